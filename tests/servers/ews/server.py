"""The HTTP side of the test server: sign-in, SOAP envelope, faults, throttling, streaming, and troubles on demand."""

from __future__ import annotations

import base64
import contextlib
import gzip
import itertools
import os
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import spnego
from lxml import etree

from drivers.types import AuthKind, Login, Security, ServerAddress
from tests.servers.certificates import TestAuthority
from tests.servers.ews.operations import Fault, Operations
from tests.servers.ews.properties import el, stamp
from tests.servers.ews.store import Store
from tests.servers.ews.tables import SOAP, M, T, Violation, check, name_of

E = "http://schemas.microsoft.com/exchange/services/2006/errors"
OPERATIONS = {
    name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    for name in (
        "GetFolder", "FindFolder", "SyncFolderHierarchy", "SyncFolderItems", "FindItem", "GetItem", "CreateItem",
        "UpdateItem", "MoveItem", "DeleteItem", "SendItem", "GetAttachment", "CreateAttachment", "Subscribe",
        "Unsubscribe", "GetEvents", "ConvertId", "ResolveNames",
    )
}  # fmt: skip


SOAP_DISCOVERY = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUserSettingsResponseMessage '
    'xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response><ErrorCode>NoError</ErrorCode>'
    "<UserResponses><UserResponse><ErrorCode>NoError</ErrorCode><UserSettings><UserSetting><Name>ExternalEwsUrl</Name>"
    "<Value>{url}</Value></UserSetting></UserSettings></UserResponse></UserResponses></Response>"
    "</GetUserSettingsResponseMessage></s:Body></s:Envelope>"
)
POX_DISCOVERY = (
    '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">'
    '<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><User>'
    "<AutoDiscoverSMTPAddress>{address}</AutoDiscoverSMTPAddress></User><Account><AccountType>email</AccountType>"
    "<Action>settings</Action><Protocol><Type>EXPR</Type><EwsUrl>{url}</EwsUrl></Protocol></Account></Response>"
    "</Autodiscover>"
)


@dataclass
class Trouble:
    """What goes wrong with the next request of `operation`: a SOAP fault `code` (with `back_off` ms), an HTTP `status`,
    a `message` code for its messages, `drops` the connection ("before" or "after" doing it), `garbage` for an answer."""

    operation: str = ""
    code: str = ""
    back_off: int | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    drops: str = ""
    garbage: bytes | None = None
    times: int = 1


class EwsServer:
    """Serves `stores` by address to `users` (name → password). Context manager."""

    def __init__(self, *, address: str = "anna@example.com", tls: bool = False, name: str = "localhost") -> None:
        self.address_of_user = address
        self.users = {address: "secret"}
        self.mailbox_of = {address: address}  # user name → address
        self.tokens: dict[str, str] = {}
        self.schemes = ["basic"]  # basic, ntlm; bearer is always understood
        self.knows_ntlm = True  # else it is offered, and refuses everybody
        self.answers_ntlm = True  # else it is offered, and nobody gets a challenge
        self.refused: list[str] = []  # how somebody signed in wrongly: what a directory counts before it locks one out
        self.alters: list[Callable[[str, Any], None]] = []  # change an answer (operation, its element) before it leaves
        self.refuses: list[Callable[[str, Any], Trouble | None]] = []  # the trouble of a request (operation, element)
        self.tells_version = True
        self.wants_change_keys = True
        self.zips = False  # answers are compressed, and sent in chunks
        self.stores = {address: Store(address)}
        self.delegates: dict[str, set[str]] = {}
        self.impersonators: set[str] = set()
        self.decimals = 0
        self.regenerates = False
        self.streams = True
        self.largest = 35 * 1024 * 1024
        self.bad_recipients: set[str] = set()
        self.no_mime: set[str] = set()
        self.outgoing: list[tuple[tuple[str, ...], bytes]] = []
        self.troubles: list[Trouble] = []
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.subscriptions: dict[str, tuple[Store, set[str] | None, int]] = {}
        self.streaming: set[str] = set()
        self.keepalive = 0.3  # seconds between signs of life of a stream
        self.sockets: set[socket.socket] = set()
        self.max_version = ""
        self.json_answer: tuple[int, bytes, dict[str, list[str]]] | None = None  # of Autodiscover v2
        self.knows_soap = True  # Autodiscover by SOAP, else by POX only
        self.elsewhere = ""  # where Autodiscover says that the service is, instead of here
        self.discoveries: list[tuple[str, str]] = []  # (path, who asked)
        self._ids = itertools.count(1)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.ews = self  # type: ignore[attr-defined]
        self.authority = TestAuthority() if tls else None
        self.name = name  # that its certificate is made out for
        self.stopping = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="ews")

    @property
    def store(self) -> Store:
        """The mailbox of the first user."""
        return self.stores[self.address_of_user]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The service's address."""
        name = f"https://{self.name}" if self.authority else "http://127.0.0.1"
        return f"{name}:{self.port}/EWS/Exchange.asmx"

    def server_address(self, **more: Any) -> ServerAddress:
        """As a driver is told."""
        security = Security.SSL if self.authority else Security.NONE
        host = self.name if self.authority else "127.0.0.1"
        values = {"url": self.url, "mailbox": self.address_of_user, "timeout": 20.0, **more}
        pem = self.authority.pem if self.authority else ""
        return ServerAddress(host, self.port, security, pem, ("127.0.0.0/8", "::1/128"), **values)

    def login(self, password: str | None = None) -> Login:
        """The first user's."""
        return Login(self.address_of_user, password or self.users[self.address_of_user], AuthKind.PASSWORD)

    def __enter__(self) -> EwsServer:
        if self.authority:
            issued = self.authority.issue(self.name)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            paths = [Path(self._folder.name) / name for name in ("server.pem", "server.key")]
            paths[0].write_text(issued.certificate)
            paths[1].write_text(issued.key)
            context.load_cert_chain(*map(str, paths))
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for store in self.stores.values():
            with store.lock:
                store.changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        self.drop_all()
        self._folder.cleanup()

    def drop_all(self) -> None:
        """Break every connection off."""
        for sock in list(self.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def add_mailbox(self, address: str) -> Store:
        """Another mailbox."""
        self.stores[address] = Store(address)
        return self.stores[address]

    def ntlm_file(self) -> str:
        """The users as pyspnego's NTLM acceptor wants them."""
        path = Path(self._folder.name) / "ntlm"
        rows = []
        for name, password in self.users.items():
            domain, _, user = name.rpartition("\\")
            rows.append(f"{domain}:{user}:{password if self.knows_ntlm else 'unknown'}")
        path.write_text("\n".join(rows))
        return str(path)

    def trouble_for(self, operation: str) -> Trouble | None:
        """The trouble that this request meets."""
        for trouble in self.troubles:
            if trouble.operation in ("", operation):
                trouble.times -= 1
                if trouble.times <= 0:
                    self.troubles.remove(trouble)
                return trouble
        return None

    def discovery(self, path: str, user: str) -> tuple[int, bytes, dict[str, list[str]]]:
        """Autodiscover's answer by SOAP or POX."""
        url = self.elsewhere or self.url
        kind = {"Content-Type": ["text/xml; charset=utf-8"]}
        if path.endswith(".svc"):
            if not self.knows_soap:
                return 404, b"", {}
            return 200, SOAP_DISCOVERY.format(url=url).encode(), kind
        return 200, POX_DISCOVERY.format(url=url, address=user).encode(), kind

    # subscriptions

    def new_subscription(self, store: Store, folders: set[str] | None) -> str:
        """Its id."""
        key = base64.b64encode(f"subscription-{next(self._ids)}".encode()).decode()
        self.subscriptions[key] = (store, folders, store.seq)
        return key

    def watermark(self, key: str) -> str:
        """Of a pull subscription."""
        return base64.b64encode(f"watermark-{self.subscriptions[key][2]}".encode()).decode()

    def notification(self, key: str) -> Any:
        """What happened since it was asked last; a StatusEvent where nothing did."""
        store, folders, since = self.subscriptions[key]
        events = []
        with store.lock:
            for folder in store.folders.values():
                if folders is not None and folder.id not in folders:
                    continue
                for item in folder.items.values():
                    if item.changed_seq > since:
                        kind = "NewMailEvent" if item.created_seq > since else "ModifiedEvent"
                        events.append(self._event(kind, item.id, folder.id))
                for item_id, (_created, deleted) in folder.gone.items():
                    if deleted > since:
                        events.append(self._event("DeletedEvent", item_id, folder.id))
            self.subscriptions[key] = (store, folders, store.seq)
        if not events:
            events = [el("t:StatusEvent", el("t:Watermark", self.watermark(key)))]
        return el(
            "m:Notification",
            el("t:SubscriptionId", key),
            el("t:PreviousWatermark", self.watermark(key)),
            el("t:MoreEvents", "false"),
            *events,
        )

    def _event(self, kind: str, item_id: str, folder_id: str) -> Any:
        return el(
            f"t:{kind}",
            el("t:Watermark", "AAAAAA=="),
            el("t:TimeStamp", stamp(datetime.now(UTC), self.decimals)),
            el("t:ItemId", Id=item_id, ChangeKey="AQAAAA=="),
            el("t:ParentFolderId", Id=folder_id, ChangeKey="AQAAAA=="),
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ntlm: Any = None
    user = ""

    @property
    def ews(self) -> EwsServer:
        return self.server.ews  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *_: object) -> None:
        """Silence."""

    def setup(self) -> None:
        super().setup()
        self.ews.sockets.add(self.connection)

    def finish(self) -> None:
        self.ews.sockets.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:  # noqa: N802
        if self.path.startswith("/autodiscover/autodiscover.json") and self.ews.json_answer is not None:
            self.ews.discoveries.append((self.path, ""))
            status, data, headers = self.ews.json_answer
            self._answer(status, data, headers)
            return
        self._answer(404 if self.path.startswith("/autodiscover") else 405, b"", {})

    def do_POST(self) -> None:  # noqa: N802
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path.lower() in ("/autodiscover/autodiscover.xml", "/autodiscover/autodiscover.svc"):
            if user := self._signed_in():
                self.ews.discoveries.append((self.path, user))
                status, data, headers = self.ews.discovery(self.path, user)
                self._answer(status, data, headers)
            return
        if self.path.lower() != "/ews/exchange.asmx":
            self._answer(404, b"", {})
            return
        user = self._signed_in()
        if not user:
            return
        if not self.headers.get("Content-Type", "").startswith("text/xml"):
            self._answer(415, b"", {})
            return
        self._soap(user, body)

    # sign-in

    def _signed_in(self) -> str:
        if self.ntlm is not None and self.user:  # NTLM signs the connection in
            return self.user
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        scheme = scheme.lower()
        if scheme == "bearer" and value in self.ews.tokens:
            return self.ews.tokens[value]
        if scheme == "basic" and "basic" in self.ews.schemes:
            name, _, password = base64.b64decode(value).decode().partition(":")
            if self.ews.users.get(name) == password:
                return self.ews.mailbox_of[name]
            self.ews.refused.append("basic")
        if scheme == "ntlm" and "ntlm" in self.ews.schemes and self._ntlm(value):
            return self.user
        if scheme == "ntlm" and self.ntlm is not None and not self.ntlm.complete and self._challenge:
            self._answer(401, b"", {"WWW-Authenticate": [f"NTLM {self._challenge}"]})
            return ""
        ways = {"basic": 'Basic realm="exchange"', "ntlm": "NTLM", "bearer": "Bearer"}
        self.ntlm = None
        self._answer(401, b"", {"WWW-Authenticate": [ways[way] for way in self.ews.schemes]})
        return ""

    _challenge = ""

    def _ntlm(self, value: str) -> bool:
        if not self.ews.answers_ntlm:
            return False
        os.environ["NTLM_USER_FILE"] = self.ews.ntlm_file()
        self._challenge = ""
        if self.ntlm is None:
            self.ntlm = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        try:
            token = self.ntlm.step(base64.b64decode(value))
        except Exception:  # noqa: BLE001 - whatever pyspnego says, it is no sign-in
            self.ntlm = None
            self.ews.refused.append("ntlm")
            return False
        if self.ntlm.complete:
            name = str(self.ntlm.client_principal or "").lstrip("\\")
            self.user = self.ews.mailbox_of.get(name, "")
            return bool(self.user)
        self._challenge = base64.b64encode(token or b"").decode()
        return False

    # SOAP

    def _soap(self, user: str, body: bytes) -> None:
        ews = self.ews
        try:
            root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, huge_tree=True))
            if root.tag != f"{{{SOAP}}}Envelope":
                raise Violation("No SOAP envelope.")
            header, content = root.find(f"{{{SOAP}}}Header"), root.find(f"{{{SOAP}}}Body")
            if content is None or len(content) != 1:
                raise Violation("The body holds one request.")
            request = content[0]
            operation = etree.QName(request).localname
            if header is not None:
                check(header)
            if request.tag != f"{{{M}}}{operation}":
                raise Violation(f"{name_of(request)} is no request.")
            check(request)
        except (etree.XMLSyntaxError, Violation) as error:
            ews.violations.append(str(error))
            self._fault("ErrorSchemaValidation", f"The request failed schema validation: {error}", 400)
            return
        ews.calls.append(operation)
        trouble = next(filter(None, (one(operation, request) for one in ews.refuses)), None)
        trouble = trouble or ews.trouble_for(operation)
        if trouble is not None and self._troubled(trouble, operation):
            return
        version = header.find(f"{{{T}}}RequestServerVersion") if header is not None else None
        if ews.max_version and version is not None and (version.get("Version") or "") > ews.max_version:
            self._fault("ErrorInvalidServerVersion", "The specified server version is invalid.", 500)
            return
        impersonated = header.findtext(f".//{{{T}}}ConnectingSID/*") if header is not None else None
        if impersonated and user not in ews.impersonators:
            self._fault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate.", 500)
            return
        does = Operations(ews, user, (impersonated or "").lower())
        if operation == "GetStreamingEvents":
            self._stream(request)
            return
        if operation not in OPERATIONS:
            self._fault("ErrorInvalidRequest", "The request is invalid.", 500)
            return
        messages = []
        for step in getattr(does, OPERATIONS[operation])(request):
            messages.append(_message(operation, step, trouble.message if trouble else ""))
        if trouble is not None and trouble.drops == "after":
            self._drop()
            return
        if trouble is not None and trouble.garbage is not None:
            self._answer(200, trouble.garbage, {"Content-Type": ["text/xml"]})
            return
        answer = el(f"m:{operation}Response", el("m:ResponseMessages", *messages))
        for alter in ews.alters:
            alter(operation, answer)
        self._answer(200, _envelope(answer, ews.tells_version), {"Content-Type": ["text/xml; charset=utf-8"]})

    def _troubled(self, trouble: Trouble, operation: str) -> bool:
        """Whether it ends the request."""
        if trouble.status:
            self._answer(trouble.status, b"", {key: [value] for key, value in trouble.headers.items()})
        elif trouble.code:
            self._fault(trouble.code, trouble.code, 500, trouble.back_off)
        elif trouble.drops == "before":
            self._drop()
        else:
            return False
        return True

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _fault(self, code: str, text: str, status: int, back_off: int | None = None) -> None:
        fault = etree.Element(f"{{{SOAP}}}Fault", nsmap={"s": SOAP})
        etree.SubElement(fault, "faultcode", nsmap={"a": T}).text = f"a:{code}"
        etree.SubElement(fault, "faultstring").text = text
        detail = etree.SubElement(fault, "detail")
        etree.SubElement(detail, f"{{{E}}}ResponseCode", nsmap={"e": E}).text = code
        etree.SubElement(detail, f"{{{E}}}Message", nsmap={"e": E}).text = text
        if back_off is not None:
            xml = etree.SubElement(detail, f"{{{T}}}MessageXml", nsmap={"t": T})
            etree.SubElement(xml, f"{{{T}}}Value", Name="BackOffMilliseconds").text = str(back_off)
        self._answer(500 if status != 400 else 500, _envelope(fault), {"Content-Type": ["text/xml; charset=utf-8"]})

    def _answer(self, status: int, body: bytes, headers: dict[str, list[str]]) -> None:
        self.send_response(status)
        for key, values in headers.items():
            for value in values:
                self.send_header(key, value)
        if self.ews.zips and body:
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            body = gzip.compress(body)
            for start in range(0, len(body), 1000):
                piece = body[start : start + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # streaming

    def _stream(self, request: Any) -> None:
        keys = [one.text for one in request[0]]
        ends = time.monotonic() + float(request[1].text) * 60
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        missing = [key for key in keys if key not in self.ews.subscriptions]
        if missing:
            ids = el("m:ErrorSubscriptionIds", *(el("m:SubscriptionId", key) for key in missing))
            self._chunk(_streamed([ids], "Closed", "ErrorSubscriptionNotFound"), last=True)
            return
        self.ews.streaming |= set(keys)
        store = self.ews.subscriptions[keys[0]][0]
        try:
            self._chunk(_streamed([], "OK"))
            while not self.ews.stopping.is_set() and time.monotonic() < ends:
                with store.lock:
                    if store.seq == self.ews.subscriptions[keys[0]][2]:
                        store.changed.wait(self.ews.keepalive)
                found = [self.ews.notification(key) for key in keys]
                self._chunk(_streamed([el("m:Notifications", *found)], "OK"))
            self._chunk(_streamed([], "Closed"), last=True)
        except OSError:
            self.close_connection = True
        finally:
            self.ews.streaming -= set(keys)

    def _chunk(self, data: bytes, *, last: bool = False) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) + (b"0\r\n\r\n" if last else b""))
        self.wfile.flush()


def _message(operation: str, step: Any, code: str) -> Any:
    try:
        if code:
            raise Fault(code)
        return el(f"m:{operation}ResponseMessage", el("m:ResponseCode", "NoError"), *step(), ResponseClass="Success")
    except Fault as fault:
        return el(
            f"m:{operation}ResponseMessage",
            el("m:MessageText", str(fault)),
            el("m:ResponseCode", fault.code),
            el("m:DescriptiveLinkKey", "0"),
            ResponseClass="Error",
        )


def _streamed(children: list[Any], status: str, code: str = "NoError") -> bytes:
    message = el(
        "m:GetStreamingEventsResponseMessage",
        el("m:ResponseCode", code),
        *children,
        el("m:ConnectionStatus", status),
        ResponseClass="Success" if code == "NoError" else "Error",
    )
    return _envelope(el("m:GetStreamingEventsResponse", el("m:ResponseMessages", message)))


def _envelope(content: Any, tells_version: bool = True) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    version = {"MajorVersion": "15", "MinorVersion": "2", "MajorBuildNumber": "1544", "MinorBuildNumber": "11"}
    if tells_version:
        header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
        header.append(el("t:ServerVersionInfo", Version="V2017_07_11", **version))
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    return b'<?xml version="1.0" encoding="utf-8"?>' + etree.tostring(envelope)
