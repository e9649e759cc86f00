"""What a server of one's own must look like. Touches nothing; whether a host may be dialled, base.net decides then.

Invariant: a row of servers that passes can be turned into an address to dial: host and port, or an https URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from base.net import MAIL_PORTS
from base.net_addresses import ascii_host
from drivers.ews.address import endpoint_of
from providers.models import LoginFormat, Protocol, SecurityMode

MAX_CA_BUNDLE = 64 * 1024  # characters


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server as a form gives it: host, port and security for IMAP and SMTP, `url` for Exchange."""

    protocol: str
    host: str = ""
    port: int | None = None
    security: str = SecurityMode.SSL
    login_format: str = LoginFormat.ADDRESS
    url: str = ""
    ca_bundle: str = ""


def server_errors(servers: Sequence[NewServer]) -> dict[str, str]:
    """Return sentences by field ("imap-host", "smtp-port", "ews-url", …; "servers" for all), {} if all is well."""
    errors: dict[str, str] = {}
    if not servers:
        errors["servers"] = _("Give a server for receiving or for sending, at least one of them.")
    if len({server.protocol for server in servers}) != len(servers):
        errors["servers"] = _("Give one server for each direction.")
    for server in servers:
        for field, said in _errors_of(server).items():
            errors[f"{server.protocol}-{field}"] = said
    return errors


def _errors_of(server: NewServer) -> dict[str, str]:
    errors: dict[str, str] = {}
    if server.protocol not in Protocol.values:
        return {"protocol": _("Choose IMAP, SMTP or Exchange.")}
    if server.login_format not in LoginFormat.values:
        errors["login_format"] = _("Choose what is given as the user name.")
    if len(server.ca_bundle) > MAX_CA_BUNDLE or (server.ca_bundle and "BEGIN CERTIFICATE" not in server.ca_bundle):
        errors["ca_bundle"] = _("Paste the certificate of your own authority in PEM form, at most 64 KB.")
    if server.protocol == Protocol.EWS:
        return errors | url_errors(server.url)
    return errors | address_errors(server.host, server.port, server.security)


def address_errors(host: str, port: int | None, security: str) -> dict[str, str]:
    """Return sentences for the fields host, port and security of an IMAP or SMTP server."""
    errors: dict[str, str] = {}
    if not ascii_host(host.replace("{domain}", "example.org")):
        errors["host"] = _("Write the server's name only, for example imap.example.org, without https:// or a port.")
    if port is None or not 1 <= port <= 65535:
        errors["port"] = _("Write a port from 1 to 65535. Usual are 993 for IMAP and 465 or 587 for SMTP.")
    elif port not in MAIL_PORTS and not settings.PRIVATE_NETWORKS:
        said = _(
            "Only the mail ports %(ports)s are reached. Another one works only in networks that the operator allows."
        )
        errors["port"] = said % {"ports": ", ".join(str(number) for number in sorted(MAIL_PORTS))}
    if security not in SecurityMode.values:
        errors["security"] = _("Choose SSL/TLS, STARTTLS or None.")
    elif security == SecurityMode.NONE and not settings.PRIVATE_NETWORKS:
        errors["security"] = _(
            "Choose SSL/TLS or STARTTLS: without them the password would travel readable for anybody."
        )
    return errors


def url_errors(url: str) -> dict[str, str]:
    """Return a sentence for the field url of an Exchange server: its host or its whole address."""
    try:
        endpoint = endpoint_of(url)
        is_good = bool(ascii_host(endpoint.host)) and (endpoint.is_encrypted or bool(settings.PRIVATE_NETWORKS))
    except ValueError:
        is_good = False
    if is_good:
        return {}
    said = _(
        "Write the host of the Exchange Server, or the whole address of its service, for example "
        "https://mail.example.org/EWS/Exchange.asmx."
    )
    return {"url": said}
