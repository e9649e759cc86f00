"""Who runs the mail of an address: the user's own proposals, the *Email providers domains* lookup, then MX.

Invariant: exact rows win over suffix rows, the longest suffix wins, a disabled provider or a removed row never
matches, and what only one user proposed counts for that user alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from base.addresses import domain_of, normalise_domain
from base.arrays import one_of
from base.prepared import TEXTS, PreparedValues
from providers.catalogue import public_domains
from providers.discovery.mx import MxRecord, Resolver, find_mx
from providers.models import (
    DomainMatch,
    DomainProposal,
    DomainSource,
    ProposalState,
    Provider,
    ProviderDomain,
    ProviderKind,
)

_DOMAINS = PreparedValues(
    lambda domains: (
        ProviderDomain.objects.filter(one_of("domain", domains))
        .order_by()
        .values_list("domain", "source", "is_removed", "provider__kind", "provider__mx_suffixes")
    ),
    TEXTS,
)


@dataclass(frozen=True, slots=True)
class Match:
    """The provider of a domain. `how` is lookup, suffix, proposal or mx; `evidence` names the domain or MX host."""

    provider: Provider
    how: str
    domain: str
    evidence: str

    @property
    def because(self) -> str:
        """One sentence for the screen: why this provider."""
        words = {"domain": self.domain, "evidence": self.evidence}
        if self.how == "mx":
            return _("Found by the MX record of %(domain)s: %(evidence)s") % words
        if self.how == "proposal":
            return _("You chose this provider for %(domain)s before") % words
        if self.how == "suffix":
            return _("Found in the list of email providers domains: %(evidence)s and all domains below it") % words
        return _("Found in the list of email providers domains: %(domain)s") % words


def find_provider(
    address_or_domain: str,
    *,
    user: AbstractBaseUser | None = None,
    resolver: Resolver | None = None,
    ask_dns: bool = True,
) -> Match | None:
    """Return who runs the mail of this address or domain, None if nobody knows.

    The user's own waiting proposal counts first (they signed in with it), then the lookup, then the DNS (at most 3 s;
    not with `ask_dns` False). A domain of a disabled provider has no match, whatever its MX says. Never raises on bad
    input: no domain, no match.
    """
    domain = to_domain(address_or_domain)
    if not domain:
        return None
    match = _find_proposal(domain, user) or find_in_lookup(domain)
    if match is not None:
        return match if match.provider.is_enabled else None
    return match_mx(domain, find_mx(domain, resolver=resolver)) if ask_dns else None


def to_domain(address_or_domain: str) -> str:
    """Return the normalised domain of an address or domain, "" if it is none (address literals included)."""
    text = address_or_domain.strip()
    domain = domain_of(text) if "@" in text else normalise_domain(text)
    return "" if domain.startswith("[") or "." not in domain else domain


def find_in_lookup(domain: str) -> Match | None:
    """Return the match of the lookup table alone, a disabled provider's too. One query."""
    names = parents(domain)
    rows = ProviderDomain.objects.filter(domain__in=names, is_removed=False).select_related("provider").order_by("id")
    suffix: ProviderDomain | None = None
    for row in rows:
        if row.match == DomainMatch.EXACT:
            if row.domain == domain:
                return Match(row.provider, "lookup", domain, row.domain)
        elif suffix is None or len(row.domain) > len(suffix.domain):
            suffix = row
    return Match(suffix.provider, "suffix", domain, suffix.domain) if suffix else None


def parents(domain: str) -> list[str]:
    """Return the domain and those above it: a.b.c → a.b.c, b.c, c."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _find_proposal(domain: str, user: AbstractBaseUser | None) -> Match | None:
    if user is None or user.pk is None:
        return None
    proposal = (
        DomainProposal.objects.filter(
            domain=domain, proposed_by_id=user.pk, state=ProposalState.WAITING, provider__is_enabled=True
        )
        .select_related("provider")
        .first()
    )
    return Match(proposal.provider, "proposal", domain, domain) if proposal else None


def match_mx(domain: str, records: Iterable[MxRecord]) -> Match | None:
    """Return the match of these MX hosts (the most preferred first), by the longest of the providers' `mx_suffixes`."""
    records = tuple(records)
    if not records:
        return None
    suffixes: dict[str, Provider] = {}
    for provider in Provider.objects.filter(is_enabled=True).exclude(mx_suffixes=[]):
        for text in provider.mx_suffixes:
            suffix = normalise_domain(str(text))
            if suffix:
                suffixes.setdefault(suffix, provider)
    for record in records:
        for name in parents(record.host):
            if name in suffixes:
                return Match(suffixes[name], "mx", domain, record.host)
    return None


def is_public_domain(domain: str) -> bool:
    """Return whether strangers share this domain (gmail.com): it never makes or matches a company.

    True for the domains of the catalogue (removed from the lookup or not), for the bundled list, and for those that an
    administrator gave to a public mail service which hosts no domains of its customers. At most one query.
    """
    return bool(public_among([domain]))


def public_among(domains: Iterable[str]) -> set[str]:
    """Return those of `domains` that are public mail domains (as given); see is_public_domain. One query."""
    given = {domain: normalise_domain(domain) for domain in domains}
    bundled = public_domains()
    found = {normal for normal in given.values() if normal in bundled}
    rest = {normal for normal in given.values() if normal} - found
    if rest:
        found |= {domain for domain, *row in _DOMAINS.fetch(rest) if _is_public(*row)}
    return {domain for domain, normal in given.items() if normal in found}


def _is_public(source: str, is_removed: bool, kind: str, mx_suffixes: list[str]) -> bool:
    if source == DomainSource.CATALOGUE:
        return True
    # Fastmail and the like are public services that also host their customers' own domains: those stay companies.
    return not is_removed and kind == ProviderKind.CONSUMER and not mx_suffixes
