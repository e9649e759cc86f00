"""Which of many domains are public mail services. Invariant: such a domain never makes or matches a company."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from providers.models import DomainMatch, ProviderDomain, ProviderKind

IN_ONE_QUERY = 5000  # values in one IN list; SQLite allows 32,766


def public_domains(domains: Collection[str]) -> set[str]:
    """Return those of `domains` (normalised) that a public mail service of the lookup owns; one query per 5,000."""
    above = {suffix for domain in domains for suffix in _suffixes(domain)}
    exact: set[str] = set()
    below: set[str] = set()
    for some in in_chunks(sorted(above)):
        rows = ProviderDomain.objects.filter(domain__in=some, is_removed=False, provider__kind=ProviderKind.CONSUMER)
        for domain, match in rows.values_list("domain", "match"):
            (below if match == DomainMatch.SUFFIX else exact).add(domain)
    return {domain for domain in domains if domain in exact or any(suffix in below for suffix in _suffixes(domain))}


def in_chunks(values: list[str], size: int = IN_ONE_QUERY) -> Iterable[list[str]]:
    """Yield `values` in lists of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _suffixes(domain: str) -> list[str]:
    labels = domain.split(".")[-12:]
    return [".".join(labels[start:]) for start in range(len(labels))]
