"""The MX hosts of a domain (pure but for the DNS question). Knows no Django and no provider.

Invariant: an answer is a hint from a stranger: names are normalised, at most MAX_RECORDS of them are read, the whole
question ends within TIMEOUT seconds, and any failure is "no records".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import dns.exception
import dns.nameserver
import dns.resolver

from base.addresses import normalise_domain, registrable_domain

TIMEOUT = 3.0  # seconds for the whole question, all tries included
MAX_RECORDS = 20  # read of one answer
NAME_SERVERS: tuple[tuple[str, int], ...] = ()  # (address, port) to ask; empty: those of the machine
# RFC 6761, 6762, 7686: no name server of the internet answers for them.
RESERVED = (".local", ".localhost", ".invalid", ".test", ".example", ".onion", ".arpa")


@dataclass(frozen=True, slots=True, order=True)
class MxRecord:
    """One MX host; the lowest preference is tried first (RFC 5321 section 5)."""

    preference: int
    host: str


class Resolver(Protocol):
    """Answers with (preference, host name as sent) of a domain; may raise dns.exception.DNSException or OSError."""

    def __call__(self, domain: str, /) -> Iterable[tuple[int, str]]: ...


def find_mx(domain: str, *, resolver: Resolver | None = None) -> tuple[MxRecord, ...]:
    """Return the MX hosts of a normalised domain, the most preferred first; () if there are none or nobody answers.

    A null MX (RFC 7505) is none. Names that nobody can register (single labels, reserved zones) are not asked for.
    """
    if not registrable_domain(domain) or domain.endswith(RESERVED):
        return ()
    try:
        return read_answer((resolver or dns_resolver())(domain))
    except (dns.exception.DNSException, OSError, ValueError):
        return ()


def read_answer(pairs: Iterable[tuple[int, str]]) -> tuple[MxRecord, ...]:
    """Return sorted records of a hostile answer: unreadable names are skipped, at most MAX_RECORDS are read."""
    found = set()
    for number, (preference, name) in enumerate(pairs):
        if number >= MAX_RECORDS:
            break
        host = normalise_domain(name)
        if host and "." in host:
            found.add(MxRecord(preference, host))
    return tuple(sorted(found))


def dns_resolver(servers: Sequence[tuple[str, int]] = (), timeout: float = TIMEOUT) -> Resolver:
    """Return a resolver that asks `servers` (address, port), else NAME_SERVERS, else the machine's own."""
    return _DnsResolver(tuple(servers) or NAME_SERVERS, timeout)


@lru_cache(maxsize=8)
def _stub(servers: tuple[tuple[str, int], ...]) -> dns.resolver.Resolver:
    stub = dns.resolver.Resolver(configure=not servers)
    if servers:
        stub.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    return stub


@dataclass(frozen=True, slots=True)
class _DnsResolver:
    servers: tuple[tuple[str, int], ...]
    timeout: float

    def __call__(self, domain: str, /) -> Iterable[tuple[int, str]]:
        answer = _stub(self.servers).resolve(f"{domain}.", "MX", lifetime=self.timeout, search=False)
        return [(int(record.preference), record.exchange.to_text()) for record in answer]
