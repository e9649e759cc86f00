"""Writing providers, their domains and proposals.

Invariants: a public mail domain is never learned; a proposal is for everybody only after a mail administrator's
decision; a catalogue domain that is removed stays as a removed row, so that no load brings it back.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from base.addresses import normalise_domain
from drivers.ews.address import endpoint_of
from providers import loading
from providers.catalogue import read_catalogue
from providers.loading import Counts
from providers.lookup import find_in_lookup, is_public_domain
from providers.models import (
    DomainMatch,
    DomainProposal,
    DomainSource,
    ProposalState,
    Protocol,
    Provider,
    ProviderDomain,
    ProviderKind,
    ProviderServer,
)
from providers.queries import uses_of
from providers.server_rules import NewServer, server_errors

__all__ = ["Counts", "NewServer"]


def load_catalogue() -> Counts:
    """Write the bundled catalogue into the database (idempotent, administrators' edits are kept)."""
    return loading.load()


def _require_right(user: AbstractBaseUser) -> None:
    if not getattr(user, "may_manage_servers", False):
        raise PermissionDenied(_("Only a mail administrator may change email providers and their domains."))


def clean_domain(text: str) -> str:
    """Return the normalised domain. Raises ValidationError on the field "domain"."""
    text = text.strip().removeprefix("@")
    domain = normalise_domain(text)
    if "." not in domain or domain.startswith("["):
        said = _("“%(text)s” is no domain. Write what stands after the @, for example example.org.")
        raise ValidationError({"domain": said % {"text": text[:100]}})
    return domain


@transaction.atomic
def add_domain(
    *,
    domain: str,
    provider: Provider,
    match: str = DomainMatch.EXACT,
    source: str = DomainSource.ADMINISTRATOR,
    replace: bool = False,
) -> ProviderDomain:
    """Give a domain to a provider and return its row; a removed row comes back to life.

    Raises ValidationError (field "domain") if it is no domain, or belongs to another provider and not `replace`.
    The caller has checked the right.
    """
    domain = clean_domain(domain)
    row = ProviderDomain.objects.select_for_update().filter(domain=domain, match=match).first()
    if row is None:
        return ProviderDomain.objects.create(domain=domain, match=match, provider=provider, source=source)
    if not row.is_removed and row.provider_id == provider.pk:
        return row
    if not row.is_removed and not replace:
        said = _("%(domain)s belongs to %(provider)s already. Remove it there first, then add it here.")
        raise ValidationError({"domain": said % {"domain": domain, "provider": row.provider.name}})
    row.provider, row.source, row.is_removed = provider, source, False
    row.save(update_fields=["provider", "source", "is_removed"])
    return row


@transaction.atomic
def remove_domain(*, row: ProviderDomain) -> None:
    """Take a domain out of the lookup. A catalogue's domain is kept as removed, so that it stays so."""
    owner = catalogue_owner(row.domain, row.match)
    if owner is None:
        row.delete()
        return
    row.is_removed = True
    row.source = DomainSource.CATALOGUE
    # The catalogue's own provider gets the row back, so that the other one can be deleted.
    row.provider = Provider.objects.filter(key=owner).first() or row.provider
    row.save(update_fields=["is_removed", "source", "provider"])


def catalogue_owner(domain: str, match: str) -> str | None:
    """Return the key of the provider that the bundled catalogue names for this row, None if it has none."""
    for entry in read_catalogue():
        if domain in (entry.suffixes if match == DomainMatch.SUFFIX else entry.domains):
            return entry.key
    return None


@transaction.atomic
def propose_domain(*, domain: str, provider: Provider, user: AbstractBaseUser) -> DomainProposal | None:
    """Remember that this user signed in to a mailbox of `domain` with a provider chosen by hand.

    Counts for that user at once, for everybody after approval. None where nothing is to be learned: a public mail
    domain, no domain at all, or one that the lookup gives to this provider already. A rejected proposal of the same
    provider stays rejected.
    """
    normal = normalise_domain(domain)
    if not normal or "." not in normal or normal.startswith("[") or is_public_domain(normal):
        return None
    known = find_in_lookup(normal)
    if known is not None and known.provider.pk == provider.pk:
        return None
    proposal, is_new = DomainProposal.objects.get_or_create(
        domain=normal, proposed_by_id=user.pk, defaults={"provider": provider}
    )
    was_rejected = proposal.state == ProposalState.REJECTED and proposal.provider_id == provider.pk
    if not is_new and not was_rejected:
        proposal.provider, proposal.state = provider, ProposalState.WAITING
        proposal.decided_by, proposal.decided_at = None, None
        proposal.save()
    return proposal


@transaction.atomic
def approve_proposal(*, proposal: DomainProposal, user: AbstractBaseUser) -> ProviderDomain:
    """Let everybody use a proposal; the same proposal of other users is settled with it. Returns the lookup's row.

    Raises PermissionDenied without the right, ValidationError if the domain has become a public one.
    """
    _require_right(user)
    if is_public_domain(proposal.domain):
        said = _("%(domain)s is a public mail domain and is not learned. Reject the proposal.")
        raise ValidationError(said % {"domain": proposal.domain})
    row = add_domain(domain=proposal.domain, provider=proposal.provider, source=DomainSource.LEARNED, replace=True)
    same = DomainProposal.objects.filter(
        domain=proposal.domain, provider=proposal.provider, state=ProposalState.WAITING
    )
    same.exclude(pk=proposal.pk).update(state=ProposalState.APPROVED, decided_by_id=user.pk, decided_at=timezone.now())
    _decide(proposal, ProposalState.APPROVED, user)
    return row


@transaction.atomic
def reject_proposal(*, proposal: DomainProposal, user: AbstractBaseUser) -> None:
    """Refuse a proposal; it no longer counts for its user either. Raises PermissionDenied without the right."""
    _require_right(user)
    _decide(proposal, ProposalState.REJECTED, user)


def _decide(proposal: DomainProposal, state: str, user: AbstractBaseUser) -> None:
    proposal.state, proposal.decided_at = state, timezone.now()
    proposal.decided_by_id = user.pk  # type: ignore[attr-defined]
    proposal.save(update_fields=["state", "decided_at", "decided_by"])


@transaction.atomic
def add_provider_with_servers(
    *, name: str, servers: Sequence[NewServer], user: AbstractBaseUser, domain: str | None = None
) -> Provider:
    """Make a provider of one's own (*Add new server*), at least one server, with its domain if one is given.

    Raises PermissionDenied without the right, ValidationError with the fields "name", "domain", "servers" or
    "<protocol>-<field>" (imap-host, smtp-port, ews-url), each message saying the mend.
    """
    _require_right(user)
    name = " ".join(name.split())[:120]
    errors = server_errors(servers)
    if not name:
        errors["name"] = _("Give the provider a name that your colleagues recognise.")
    elif Provider.objects.filter(name__iexact=name).exists():
        errors["name"] = _("There is a provider of this name already. Choose it from the list, or give another name.")
    if errors:
        raise ValidationError(errors)
    protocols = {server.protocol for server in servers}
    provider = Provider.objects.create(
        key=_free_key(name),
        name=name,
        kind=ProviderKind.CORPORATE,
        can_receive=bool(protocols & {Protocol.IMAP, Protocol.EWS}),
        can_send=bool(protocols & {Protocol.SMTP, Protocol.EWS}),
        created_by_id=user.pk,
    )
    ProviderServer.objects.bulk_create(
        ProviderServer(
            provider=provider,
            protocol=server.protocol,
            host=server.host.strip().lower().removesuffix("."),
            port=server.port,
            security=server.security,
            url=endpoint_of(server.url).url if server.protocol == Protocol.EWS else "",
            login_format=server.login_format,
            ca_bundle=server.ca_bundle,
        )
        for server in servers
    )
    if domain:
        add_domain(domain=domain, provider=provider)
    return provider


@transaction.atomic
def delete_provider(*, provider: Provider, user: AbstractBaseUser) -> None:
    """Delete a provider that nothing uses. Raises PermissionDenied, or ValidationError saying what uses it."""
    _require_right(user)
    reasons = uses_of(provider)
    if reasons:
        raise ValidationError(reasons)
    ProviderDomain.objects.filter(provider=provider, is_removed=True).delete()
    provider.delete()


def _free_key(name: str) -> str:
    base = (slugify(name) or "provider")[:60]
    taken = set(Provider.objects.filter(key__startswith=base).values_list("key", flat=True))
    number = 1
    key = base
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    return key
