"""From a checked set-up row to a connected email account, in one transaction.

Invariant: whether an address is connected already is told only after a successful sign-in to it; the candidate
replaces a working credential only here.
"""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts.models import AccountState, Credential, EmailAccount, EmailAccountServer, MailboxSetup
from accounts.setup import CheckKind, ChosenServer, Stage, chosen, may_receive_only, outcome, user_name_for
from accounts.vault import move_candidate
from base.addresses import domain_of
from providers.models import Provider, ProviderKind, ProviderServer
from providers.services import propose_domain


class Duplicate(Exception):
    """The address is connected already; `email_account` is the one, its owner the person to ask."""

    def __init__(self, email_account: EmailAccount) -> None:
        super().__init__(email_account.address)
        self.email_account = email_account


def states_of(setup: MailboxSetup) -> dict[str, str]:
    """Check kind → state."""
    return dict(setup.checks.values_list("kind", "state"))


def settle(setup_id: UUID) -> None:
    """After a check: go on to done or failed when all have ended. Two workers ending together settle once."""
    with transaction.atomic():
        setup = MailboxSetup.objects.select_for_update(of=("self",)).filter(pk=setup_id, stage=Stage.CHECKING).first()
        if setup is None:
            return
        stage = outcome(states_of(setup))
        if stage == Stage.FAILED:
            _fail(setup)
        if stage != Stage.DONE:
            return
        try:
            finish_setup(setup)
        except Duplicate:
            _fail(setup)


def _fail(setup: MailboxSetup) -> None:
    setup.stage = Stage.FAILED
    setup.save(update_fields=["stage"])


@transaction.atomic
def receive_only(setup: MailboxSetup) -> EmailAccount | None:
    """Sending was refused and the person goes on without it; None where that is not the situation. Raises Duplicate."""
    setup = MailboxSetup.objects.select_for_update(of=("self",)).get(pk=setup.pk)
    if setup.stage != Stage.FAILED or not may_receive_only(states_of(setup)):
        return None
    setup.servers = [server.as_dict() for server in chosen(setup.servers) if server.receives]
    setup.save(update_fields=["servers"])
    setup.checks.filter(kind=CheckKind.SEND).delete()
    return finish_setup(setup)


def connected_already(setup: MailboxSetup) -> EmailAccount | None:
    """The email account that already has this address, if this run may learn of it (its sign-in succeeded)."""
    states = states_of(setup)
    if setup.is_again or states.get(CheckKind.RECEIVE) != "ok":
        return None
    return EmailAccount.objects.filter(address_key=setup.address).select_related("owner").first()


@transaction.atomic
def finish_setup(setup: MailboxSetup) -> EmailAccount:
    """The email account, connected, its credential moved over from the run. Raises Duplicate."""
    email_account = _email_account(setup)
    servers = chosen(setup.servers)
    provider = setup.provider or _new_provider(setup, servers)
    email_account.provider = provider
    email_account.can_receive = any(server.receives for server in servers)
    if not setup.is_again:
        email_account.can_send = _sends(setup, servers)
    email_account.failures = 0
    email_account.last_error_kind = email_account.last_error_said = ""
    email_account.last_error_at = None
    email_account.save()
    _copy_servers(setup, email_account, servers)
    move_candidate(setup, email_account)
    if provider and not setup.is_again and (setup.is_chosen_by_hand or setup.provider_name):
        propose_domain(domain=domain_of(setup.address), provider=provider, user=setup.user)
    setup.email_account = email_account
    setup.provider = provider
    setup.stage = Stage.DONE
    setup.save(update_fields=["email_account", "provider", "stage"])
    return email_account


def _email_account(setup: MailboxSetup) -> EmailAccount:
    """The row to fill: of the account signed in to again, of one stopped earlier by the same owner, or a new one."""
    if setup.is_again:
        again = EmailAccount.objects.select_for_update(of=("self",)).get(pk=setup.email_account_id or 0)
        if again.state == AccountState.NEEDS_SIGN_IN:
            again.state = AccountState.ACTIVE if again.answered_at else AccountState.CONNECTED
        again.sync_requested_at = again.next_sync_at = timezone.now()
        return again
    there = EmailAccount.objects.select_for_update(of=("self",)).filter(address_key=setup.address).first()
    if there is not None:
        if there.owner_id != setup.user_id or there.state != AccountState.REMOVED:
            raise Duplicate(there)
        there.state, there.answered_at = AccountState.CONNECTED, None
        return there
    is_first = not EmailAccount.objects.filter(owner=setup.user).exists()
    fresh = EmailAccount(
        owner=setup.user,
        address=setup.address,
        address_key=setup.address,
        display_name=setup.user.name,
        state=AccountState.CONNECTED,
        is_default_sender=is_first and _sends(setup, chosen(setup.servers)),
    )
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
    except IntegrityError:  # connected by another run in this moment
        raise Duplicate(EmailAccount.objects.get(address_key=setup.address)) from None
    return fresh


def _sends(setup: MailboxSetup, servers: tuple[ChosenServer, ...]) -> bool:
    """Whether it can send: a server for it, and its check was not given up (`receive_only`)."""
    return any(server.sends for server in servers) and CheckKind.SEND in states_of(setup)


def _copy_servers(setup: MailboxSetup, email_account: EmailAccount, servers: tuple[ChosenServer, ...]) -> None:
    seen = dict(setup.checks.values_list("kind", "detail"))
    email_account.servers.exclude(protocol__in=[server.protocol for server in servers]).delete()
    for server in servers:
        names = seen.get(CheckKind.RECEIVE if server.receives else CheckKind.SEND, {}).get("names", [])
        EmailAccountServer.objects.update_or_create(
            email_account=email_account,
            protocol=server.protocol,
            defaults={
                "host": server.host,
                "port": server.port or None,
                "security": server.security,
                "url": server.url,
                "login_format": server.login_format,
                "ca_bundle": server.ca_bundle,
                "impersonates": server.impersonates,
                "user_name": user_name_for(server, setup.address, setup.user_name),
                "capabilities": {"names": names},
            },
        )


def _new_provider(setup: MailboxSetup, servers: tuple[ChosenServer, ...]) -> Provider | None:
    """A server typed in under a name becomes a provider that others can choose too."""
    if not setup.provider_name or not setup.user.may_manage_servers:
        return None
    base = slugify(setup.provider_name)[:60] or "server"
    key, number = base, 1
    while Provider.objects.filter(key=key).exists():
        number += 1
        key = f"{base}-{number}"
    provider = Provider.objects.create(
        key=key,
        name=setup.provider_name,
        kind=ProviderKind.CORPORATE,
        can_receive=any(server.receives for server in servers),
        can_send=any(server.sends for server in servers),
        created_by=setup.user,
    )
    for server in servers:
        ProviderServer.objects.create(
            provider=provider,
            protocol=server.protocol,
            host=server.host,
            port=server.port or None,
            security=server.security,
            url=server.url,
            login_format=server.login_format,
            ca_bundle=server.ca_bundle,
            impersonates=server.impersonates,
        )
    return provider


def has_candidate(setup: MailboxSetup) -> bool:
    """Whether a password is kept for this run."""
    return Credential.objects.filter(setup=setup).exists()
