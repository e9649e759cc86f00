"""One run of the wizard: address, provider or servers, password kept as a candidate, checks begun.

Invariant: the password goes straight into an encrypted candidate credential of the row and comes back nowhere;
a row and its candidate are forgotten after a day.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Credential, EmailAccount, MailboxSetup, SetupCheck, User
from accounts.servers import exchange_server
from accounts.setup import ChosenServer, Stage, checks_for, chosen
from accounts.vault import store_secret
from base.addresses import clean_line, is_valid, normalise_address
from providers.models import Protocol, Provider
from providers.queries import ServerOffer, server_offers

SETUP_LIFE = timedelta(days=1)
MAX_ATTEMPTS = 20  # sign-ins per run: the wizard is no tool for guessing passwords
MAX_SETUPS = 60  # runs per user and day


class WizardError(Exception):
    """Something the person can mend; the text is for the screen."""


def start_setup(*, user: User, address: str) -> MailboxSetup:
    """A new run for `address`, with nothing looked up yet. Raises WizardError for what is no address."""
    address = normalise_address(clean_line(address, 320))
    if not is_valid(address):
        raise WizardError(_("This is not a complete email address."))
    now = timezone.now()
    if MailboxSetup.objects.filter(user=user, created_at__gt=now - SETUP_LIFE).count() >= MAX_SETUPS:
        raise WizardError(_("Too many tries today. Go on tomorrow, or ask a mail administrator."))
    return MailboxSetup.objects.create(user=user, address=address, stage=Stage.SERVICE, expires_at=now + SETUP_LIFE)


def start_again(*, user: User, email_account: EmailAccount) -> MailboxSetup:
    """A run that signs in again to an existing email account, with its own copies of the servers."""
    servers = [
        ChosenServer(
            protocol=server.protocol,
            host=server.host,
            port=server.port or 0,
            security=server.security,
            url=server.url,
            login_format=server.login_format,
            ca_bundle=server.ca_bundle,
            impersonates=server.impersonates,
        )
        for server in email_account.servers.all()
    ]
    typed = {s.user_name for s in email_account.servers.all() if s.login_format != "use_mailbox_name"}
    typed.discard(email_account.address_key)
    return MailboxSetup.objects.create(
        user=user,
        email_account=email_account,
        is_again=True,
        address=email_account.address_key,
        stage=Stage.PASSWORD,
        provider=email_account.provider,
        servers=[server.as_dict() for server in servers],
        user_name=typed.pop() if typed else "",
        expires_at=timezone.now() + SETUP_LIFE,
    )


def servers_of(provider: Provider, address: str) -> tuple[ChosenServer, ...]:
    """The preferred server of a provider for each direction it is enabled for, IMAP before Exchange."""
    found: dict[bool, ChosenServer] = {}
    for offer in server_offers(provider, address):
        if offer.protocol == Protocol.EWS:
            if False not in found:  # Exchange does both: beside it no SMTP is needed
                found[False] = found[True] = _exchange(offer)
            continue
        found.setdefault(
            offer.protocol == Protocol.SMTP,
            ChosenServer(
                protocol=offer.protocol,
                host=offer.host,
                port=offer.port or 0,
                security=offer.security,
                url=offer.url,
                login_format=offer.login_format,
                ca_bundle=offer.ca_bundle,
            ),
        )
    return tuple(dict.fromkeys(found.values()))


def _exchange(offer: ServerOffer) -> ChosenServer:
    server = exchange_server(offer.url or offer.host, login_format=offer.login_format, ca_bundle=offer.ca_bundle)
    return replace(server, impersonates=offer.impersonates)


@transaction.atomic
def choose_provider(
    setup: MailboxSetup, provider: Provider, *, evidence: str = "", by_hand: bool = False
) -> MailboxSetup:
    """Take this provider's servers; the next page is the password."""
    setup.provider = provider
    setup.provider_name = ""
    setup.evidence = clean_line(evidence, 300)
    setup.is_chosen_by_hand = by_hand
    return _take(setup, servers_of(provider, setup.address))


def add_server(setup: MailboxSetup, *, name: str, servers: tuple[ChosenServer, ...]) -> MailboxSetup:
    """Servers typed in by somebody who may manage servers; they become a provider after a successful sign-in.

    Raises PermissionDenied for others.
    """
    if not setup.user.may_manage_servers:
        raise PermissionDenied
    setup.provider_name = clean_line(name, 120)
    return use_servers(setup, servers)


@transaction.atomic
def use_servers(setup: MailboxSetup, servers: tuple[ChosenServer, ...]) -> MailboxSetup:
    """Servers given by name, without a provider (the command does this too)."""
    setup.provider = None
    setup.evidence = ""
    setup.is_chosen_by_hand = True
    return _take(setup, servers)


def _take(setup: MailboxSetup, servers: tuple[ChosenServer, ...]) -> MailboxSetup:
    # A password typed for one host must never travel to another one.
    setup.checks.all().delete()
    _forget_candidate(setup)
    setup.servers = [server.as_dict() for server in servers]
    setup.user_name = ""
    setup.stage = Stage.PASSWORD
    setup.save()
    return setup


def _forget_candidate(setup: MailboxSetup) -> None:
    Credential.objects.filter(setup=setup).delete()


@transaction.atomic
def give_password(setup: MailboxSetup, *, password: str, user_name: str = "") -> list[int]:
    """Keep the candidate and begin the checks; returns the ids to ring. Raises WizardError after too many tries."""
    setup = MailboxSetup.objects.select_for_update(of=("self",)).get(pk=setup.pk)
    setup.user_name = clean_line(user_name, 320)
    setup.save(update_fields=["user_name"])
    store_secret(password, setup=setup)
    return begin_checks(setup)


@transaction.atomic
def begin_checks(setup: MailboxSetup) -> list[int]:
    """Fresh check rows for the candidate that is kept; returns the ids to ring (folders are read while receiving).

    Raises WizardError after too many tries.
    """
    if setup.attempt >= MAX_ATTEMPTS:
        raise WizardError(_("Too many tries with this address. Start again tomorrow."))
    setup.checks.all().delete()
    kinds = checks_for(chosen(setup.servers))
    now = timezone.now()
    rows = [
        SetupCheck.objects.create(setup=setup, kind=kind, position=place, started_at=now)
        for place, kind in enumerate(kinds)
    ]
    setup.attempt += 1
    setup.stage = Stage.CHECKING
    setup.save(update_fields=["attempt", "stage"])
    return [row.pk for row in rows if row.kind != "folders"]


def forget_abandoned_setups() -> int:
    """Delete runs older than a day, their candidates too; returns how many."""
    rows = MailboxSetup.objects.filter(expires_at__lt=timezone.now())
    count = rows.count()
    rows.delete()
    return count
