"""Which addresses are public (pure). Invariant: an address that hides another one (v4-mapped, NAT64, 6to4, Teredo,
ISATAP) is never more public than the one it hides; whatever is not surely public is not.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import idna

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_NEVER_4 = tuple(
    ipaddress.IPv4Network(cidr)
    for cidr in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER_6 = tuple(
    ipaddress.IPv6Network(cidr)
    for cidr in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
)  # 2001::/23 holds Teredo, ORCHID and the benchmarking range; 2002::/16 is 6to4
_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")


def is_public(address: IPAddress) -> bool:
    """True for a unicast address of the public Internet (IANA special-purpose registries, RFC 6890)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _NEVER_4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:  # RFC 6052: DNS64 in networks that speak IPv6 only
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.scope_id is not None or address not in _GLOBAL_6 or any(address in network for network in _NEVER_6):
        return False
    if (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE:  # ISATAP, RFC 5214
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


def parse_address(text: str) -> IPAddress | None:
    """An address out of the resolver's answer; v4-mapped ones are unwrapped. None for other families' answers."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=64)
def parse_networks(cidrs: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    """Networks out of CIDR texts; one that does not parse allows nothing."""
    networks: list[IPNetwork] = []
    for cidr in cidrs:
        try:
            networks.append(ipaddress.ip_network(cidr.strip(), strict=False))
        except ValueError:
            continue
    return tuple(networks)


def ascii_host(host: str) -> str:
    """The name as DNS and TLS want it (A-labels, no brackets, no final dot), "" if it is none (RFC 5891)."""
    host = host.strip().removesuffix(".")
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare:
        return bare if parse_address(bare) is not None and "%" not in bare else ""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    return host.lower() if _HOST.fullmatch(host) else ""
