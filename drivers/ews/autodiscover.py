"""Autodiscover, ours: where the Exchange service of an address is.

Two ways. Without a secret: the v2 JSON answer of `autodiscover.<domain>` and `<domain>`; the person sees the host that it
names before typing a password. With one: SOAP, then POX, on a host that a person named or confirmed.

Invariants: a secret goes to that host only, a redirect or another host in an answer is told, never followed with it; the
domain is the address's own, never shortened (no autodiscover.com for anybody); answers are small and have no DTD.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from xml.etree.ElementTree import Element as Node

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from base.addresses import domain_of, registrable_domain
from drivers import errors
from drivers.ews.address import endpoint_of
from drivers.ews.faults import http_error, translate
from drivers.ews.transport import MAX_DISCOVERY, open_session
from drivers.types import Login, Security, ServerAddress

PATH = "/autodiscover/"
MAX_REDIRECTS = 3
NOT_OURS = ("outlook.office365.com", "outlook.office.com", "outlook.com")  # Exchange Online: by OAuth, not by EWS
_POX = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_SOAP = "http://schemas.microsoft.com/exchange/2010/Autodiscover"


@dataclass(frozen=True, slots=True)
class Found:
    """The service's `url`, and the document that named it (`where`, a host)."""

    url: str
    where: str

    @property
    def host(self) -> str:
        """The host of the service."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_online(self) -> bool:
        """Whether this is Exchange Online, which is reached by OAuth over IMAP and SMTP."""
        return any(self.host == name or self.host.endswith(f".{name}") for name in NOT_OURS)


def find_service(address: str, door: ServerAddress) -> Found | None:
    """Ask without a secret; None where nobody answers. `door` gives private networks, authority and timeout."""
    domain = domain_of(address)
    if not domain or not registrable_domain(domain):
        return None
    for host in (f"autodiscover.{domain}", domain):
        try:
            url = _json(host, address, door)
        except errors.DriverError:
            continue
        if url:
            return Found(url, host)
    return None


def _json(host: str, address: str, door: ServerAddress) -> str:
    base, name = f"https://{_place(host, door)}{PATH}autodiscover.json", quote(address)
    return _follow(f"{base}/v1.0/{name}?Protocol=EWS", door) or _follow(f"{base}?Email={name}&Protocol=EWS", door)


def _follow(url: str, door: ServerAddress) -> str:
    """The URL that a document names, over a few redirects: no secret goes along."""
    for _turn in range(MAX_REDIRECTS + 1):
        answer = _get(url, door)
        if answer.status_code in (301, 302, 307, 308):
            url = urljoin(url, answer.headers.get("Location", ""))
            if urlsplit(url).scheme != "https":
                return ""
            continue
        return read_json(answer.content) if answer.status_code == 200 else ""
    return ""


def _place(host: str, door: ServerAddress) -> str:
    return f"{host}:{door.port}" if door.port not in (0, 443) else host


def _get(url: str, door: ServerAddress) -> Any:
    parts = urlsplit(url)
    server = replace(door, host=parts.hostname or "", port=parts.port or 443, security=Security.SSL, url=url)
    try:
        with open_session(server, max_answer=MAX_DISCOVERY) as session:
            answer = session.get(url, allow_redirects=False, timeout=door.timeout)
            answer.content  # noqa: B018 - read while the session is open
            return answer
    except Exception as error:
        raise translate(error, server.host) from error


def ask(server: ServerAddress, login: Login, auth: Any) -> Found:
    """Ask `server` (a host that a person confirmed) with the secret in `auth`: SOAP, then POX.

    Raises ExchangeElsewhere when it names another host, AuthenticationFailed, ServerUnreachable, ProtocolError.
    """
    address = server.mailbox or login.user_name
    last: errors.DriverError = errors.ProtocolError("Autodiscover knows no Exchange service for this address.")
    for file, body, read in (
        ("autodiscover.svc", soap(address), read_soap),
        ("autodiscover.xml", pox(address), read_pox),
    ):
        try:
            url = read(_post(server, file, body, auth))
        except errors.AuthenticationFailed:
            raise
        except errors.ProtocolError as error:
            last = error
            continue
        if not url:
            continue
        found = Found(url, server.host)
        if found.host != server.host:
            raise errors.ExchangeElsewhere("Another server has the mailbox.", host=found.host, url=found.url)
        return found
    raise last


def _post(server: ServerAddress, file: str, body: bytes, auth: Any) -> bytes:
    origin = urlsplit(server.url)
    url = f"{origin.scheme}://{origin.netloc}{PATH}{file}"
    try:
        with open_session(server, max_answer=MAX_DISCOVERY) as session:
            session.auth = auth
            answer = session.post(url, data=body, allow_redirects=False, timeout=server.timeout)
            content = bytes(answer.content)
    except Exception as error:
        raise translate(error, server.host) from error
    if answer.status_code in (301, 302, 307, 308):
        host = urlsplit(urljoin(url, answer.headers.get("Location", ""))).hostname or ""
        raise errors.ExchangeElsewhere("Another server knows the mailbox.", host=host, url="")
    refusal = http_error(answer)
    if refusal is not None:
        raise refusal
    return content


# documents


def read_json(data: bytes) -> str:
    """The URL of a v2 answer, "" where there is none."""
    try:
        found = json.loads(data[:65_536])
    except (ValueError, RecursionError):
        return ""
    url = found.get("Url") if isinstance(found, dict) else None
    return _service(url)


def read_pox(data: bytes) -> str:
    """The EwsUrl of a POX answer. Raises ExchangeElsewhere for a redirect, ProtocolError for what is no answer."""
    root = _parse(data)
    for name in ("RedirectUrl", "RedirectAddr"):
        for one in _all(root, name):
            text = (one.text or "").strip()
            host = urlsplit(text).hostname or "" if name == "RedirectUrl" else text.rpartition("@")[2]
            raise errors.ExchangeElsewhere("Another server knows the mailbox.", host=host, url="")
    kinds: dict[str, str] = {}
    for protocol in _all(root, "Protocol"):
        kind = next((one.text or "" for one in _all(protocol, "Type")), "")
        url = next((_service(one.text) for one in _all(protocol, "EwsUrl")), "")
        if url:
            kinds.setdefault(kind.strip().upper(), url)
    return kinds.get("EXPR") or kinds.get("EXCH") or next(iter(kinds.values()), "")


def read_soap(data: bytes) -> str:
    """ExternalEwsUrl, else InternalEwsUrl. Raises ExchangeElsewhere for a redirect, ProtocolError for what is no answer."""
    root = _parse(data)
    code = next((one.text or "" for one in _all(root, "ErrorCode") if (one.text or "") not in ("", "NoError")), "")
    if code in ("RedirectUrl", "RedirectAddress"):
        target = next(((one.text or "").strip() for one in _all(root, "RedirectTarget")), "")
        host = urlsplit(target).hostname or target.rpartition("@")[2]
        raise errors.ExchangeElsewhere("Another server knows the mailbox.", host=host, url="")
    settings: dict[str, str] = {}
    for one in _all(root, "UserSetting"):
        name = next((child.text or "" for child in _all(one, "Name")), "")
        settings[name] = next((child.text or "" for child in _all(one, "Value")), "")
    return _service(settings.get("ExternalEwsUrl")) or _service(settings.get("InternalEwsUrl"))


def pox(address: str) -> bytes:
    """The request of POX."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/'
        f'outlook/requestschema/2006"><Request><EMailAddress>{_escaped(address)}</EMailAddress>'
        f"<AcceptableResponseSchema>{_POX}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


def soap(address: str) -> bytes:
    """The request of GetUserSettings."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:a="' + _SOAP + '"'
        ' xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
        "<soap:Header><a:RequestedServerVersion>Exchange2013</a:RequestedServerVersion>"
        f"<wsa:Action>{_SOAP}/Autodiscover/GetUserSettings</wsa:Action></soap:Header><soap:Body>"
        "<a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User>"
        f"<a:Mailbox>{_escaped(address)}</a:Mailbox></a:User></a:Users><a:RequestedSettings>"
        "<a:Setting>ExternalEwsUrl</a:Setting><a:Setting>InternalEwsUrl</a:Setting></a:RequestedSettings></a:Request>"
        "</a:GetUserSettingsRequestMessage></soap:Body></soap:Envelope>"
    ).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _parse(data: bytes) -> Node:
    try:
        root: Node = ElementTree.fromstring(data, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise errors.ProtocolError("The answer of Autodiscover could not be read.") from error
    return root


def _all(node: Node, name: str) -> Iterator[Node]:
    """All elements of this local name, whatever their namespace."""
    return (one for one in node.iter() if isinstance(one.tag, str) and one.tag.rpartition("}")[2] == name)


def _service(url: object) -> str:
    """The URL of a service in its usual form, "" for what is none or is not https."""
    try:
        endpoint = endpoint_of(url) if isinstance(url, str) else None
    except ValueError:
        return ""
    return endpoint.url if endpoint is not None and endpoint.is_encrypted else ""
