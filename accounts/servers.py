"""`HOST:PORT:SECURITY` as the command takes it, pure. An IPv6 host stands in brackets."""

from __future__ import annotations

import re

from accounts.setup import ChosenServer

_HOST = r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/@]+))"
_SERVER = re.compile(_HOST + r":(?P<port>\d{1,5}):(?P<security>ssl|starttls|none)")


def parse_server(protocol: str, text: str, *, ca_bundle: str = "") -> ChosenServer:
    """The server that `text` names ("imap.example.org:993:ssl", "[::1]:1143:none"). Raises ValueError."""
    found = _SERVER.fullmatch(text.strip())
    if not found or not 0 < int(found["port"]) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT:SECURITY with ssl, starttls or none (an IPv6 host in brackets).")
    return ChosenServer(
        protocol=protocol,
        host=found["six"] or found["host"].lower(),
        port=int(found["port"]),
        security=found["security"],
        ca_bundle=ca_bundle,
    )
