"""`HOST:PORT:SECURITY` as the command takes it, pure. An IPv6 host stands in brackets. Exchange: a host or a URL."""

from __future__ import annotations

import re

from accounts.setup import ChosenServer
from drivers.ews.address import endpoint_of

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


def exchange_server(text: str, *, login_format: str = "use_email_address", ca_bundle: str = "") -> ChosenServer:
    """The Exchange service that `text` names: "mail.example.org" or a whole URL. Raises ValueError."""
    try:
        endpoint = endpoint_of(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address of an Exchange service: give a host or a whole https URL.") from None
    return ChosenServer(
        protocol="ews",
        host=endpoint.host,
        port=endpoint.port,
        security="ssl" if endpoint.is_encrypted else "none",
        url=endpoint.url,
        login_format=login_format,
        ca_bundle=ca_bundle,
    )
