"""Who is asking, behind proxies: forwarded headers count only from TRUSTED_PROXIES.

Invariant: after this, REMOTE_ADDR is an address that a trusted proxy saw or the peer itself; X-Forwarded-* headers of
anybody else are gone, so nobody can name their own address or claim https.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)
MAX_HOPS = 20
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parsed networks; what is none is left out (a system check names it)."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)


def is_in(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether `address` is an IP address inside one of the networks (v4-mapped ones as v4)."""
    try:
        parsed = ipaddress.ip_address(address.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in trusted)


def client_address(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """The rightmost address that is no trusted proxy; what stands left of it is the client's own claim."""
    address = peer
    for hop in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
        if not is_in(address, trusted):
            break
        hop = hop.strip()
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            break
        address = hop
    return address


class TrustedProxiesMiddleware:
    """The first middleware. `request.META["crm_mail.is_forwarded"]`: somebody passed this request on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.trusted = networks(settings.TRUSTED_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        peer = meta.get("REMOTE_ADDR") or ""
        meta["crm_mail.is_forwarded"] = any(name in meta for name in FORWARDED)
        proto = meta.get("HTTP_X_FORWARDED_PROTO", "")
        forwarded_for = meta.get("HTTP_X_FORWARDED_FOR", "")
        for name in FORWARDED:
            meta.pop(name, None)
        if is_in(peer, self.trusted):
            meta["REMOTE_ADDR"] = client_address(peer, forwarded_for, self.trusted)
            # The last one is what the nearest proxy wrote.
            if (last := proto.rpartition(",")[2].strip().lower()) in ("http", "https"):
                meta["HTTP_X_FORWARDED_PROTO"] = last
        return self.get_response(request)
