"""Is the sender who the From line says? Only the mailbox's own server may answer (RFC 8601).

Invariant: a header that somebody else could have written decides nothing: only the topmost Authentication-Results
counts, and only if its authserv-id is one of the mailbox's own server.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from base.addresses import domain_of, normalise_domain, registrable_domain

MAX_VALUE = 8000  # characters read of one header
_COMMENT = re.compile(r"\((?:[^()\\]|\\.){0,1000}\)")
_RESULT = re.compile(r"\s*([a-z][a-z0-9-]{0,30})(?:/\d{1,3})?\s*=\s*([a-z]{1,20})", re.I)
_PROPERTY = re.compile(
    r"\b(smtp|header|policy)\s*\.\s*([a-z0-9-]{1,30})\s*=\s*(\"[^\"]{0,500}\"|[^\s;\"]{1,500})", re.I
)


class Standing(StrEnum):
    """What we may say about a sender."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is a short machine word: dmarc-pass, dkim-aligned, spf-aligned, dmarc-fail, dkim-fail, spf-fail,
    no-results, foreign-server, not-aligned, no-sender, inconclusive."""

    standing: Standing
    reason: str


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One "method=result" with its properties ("header.d": "example.org")."""

    method: str
    result: str
    properties: dict[str, str]


def parse_results(value: str) -> tuple[str, list[MethodResult]]:
    """Return (authserv-id in lower case, results) of one header value; "" as id where the server writes none."""
    text = value[:MAX_VALUE]
    for _ in range(5):  # nested comments, from the inside
        shorter = _COMMENT.sub(" ", text)
        if shorter == text:
            break
        text = shorter
    segments = _split(text)
    head = segments[0].split()
    identity = ""
    if head and "=" not in segments[0]:
        identity = head[0].strip('"').lower().rstrip(".")
        segments = segments[1:]
    results = []
    for segment in segments[:50]:
        match = _RESULT.match(segment)
        if match:
            found = {f"{p[1]}.{p[2]}".lower(): p[3].strip('"') for p in _PROPERTY.finditer(segment, match.end())}
            results.append(MethodResult(match[1].lower(), match[2].lower(), found))
    return identity, results


def _split(text: str) -> list[str]:
    """Split at semicolons outside of quotes."""
    return [
        piece.replace("\x00", ";") for piece in re.sub(r'"[^"]*"', lambda m: m[0].replace(";", "\x00"), text).split(";")
    ]


def sender_verdict(
    authentication_results: Sequence[str], *, trusted_authserv_ids: Collection[str], from_domain: str
) -> Verdict:
    """Return whether the From domain is verified.

    `authentication_results`: raw values in order, topmost first. `trusted_authserv_ids`: how the mailbox's own server
    names itself ("" stands for servers that write no id, Exchange Online). `from_domain`: domain of the only From
    address, "" where there is none or several.
    """
    domain = normalise_domain(from_domain)
    if not domain:
        return Verdict(Standing.UNKNOWN, "no-sender")
    if not authentication_results:
        return Verdict(Standing.UNKNOWN, "no-results")
    identity, results = parse_results(authentication_results[0])
    if identity not in {name.lower().rstrip(".") for name in trusted_authserv_ids}:
        return Verdict(Standing.UNKNOWN, "foreign-server")
    return _judge(results, domain)


def _judge(results: Sequence[MethodResult], domain: str) -> Verdict:
    for result in results:
        if result.method == "dmarc" and result.result in ("pass", "bestguesspass", "fail"):
            named = result.properties.get("header.from", "")
            if named and normalise_domain(named.rpartition("@")[2]) != domain:
                return Verdict(Standing.UNKNOWN, "not-aligned")
            if result.result == "fail":
                return Verdict(Standing.FAILED, "dmarc-fail")
            return Verdict(Standing.VERIFIED, "dmarc-pass")
    passed = [result for result in results if result.result == "pass" and result.method in ("dkim", "spf")]
    for result in passed:
        if any(_aligned(name, domain) for name in _domains(result)):
            return Verdict(Standing.VERIFIED, f"{result.method}-aligned")
    failed = [
        result.method
        for result in results
        if result.result in ("fail", "hardfail") and result.method in ("dkim", "spf")
    ]
    if failed and not passed:
        return Verdict(Standing.FAILED, f"{failed[0]}-fail")
    return Verdict(Standing.UNKNOWN, "not-aligned" if passed else "inconclusive")


def _domains(result: MethodResult) -> list[str]:
    names = ("header.d", "header.i") if result.method == "dkim" else ("smtp.mailfrom", "smtp.from")
    values = [result.properties.get(name, "") for name in names]
    return [domain_of(f"x@{value.rpartition('@')[2]}") for value in values if value]


def _aligned(name: str, domain: str) -> bool:
    """Relaxed alignment (RFC 7489 3.1): the same registrable domain."""
    if not name:
        return False
    return name == domain or bool(registrable_domain(name)) and registrable_domain(name) == registrable_domain(domain)
