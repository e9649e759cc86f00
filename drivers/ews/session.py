"""exchangelib's SOAP to one server: its protocol without its cache, its services with our payloads and raw answers.

Invariants: what a request says about itself is read from its message alone, one by one; nothing is repeated by the
library; no exception of exchangelib, requests or urllib3 leaves this module: only drivers.errors and `Refused`.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
import requests_ntlm
from exchangelib import errors as ews
from exchangelib.account import Account, Identity
from exchangelib.configuration import Configuration
from exchangelib.credentials import DELEGATE, IMPERSONATION
from exchangelib.protocol import FailFast, Protocol
from exchangelib.services.common import EWSAccountService
from exchangelib.transport import NOAUTH
from exchangelib.util import MNS
from exchangelib.version import EXCHANGE_2013_SP1, Version
from requests.auth import AuthBase, HTTPBasicAuth

from drivers import errors
from drivers.errors import DriverError
from drivers.ews import autodiscover
from drivers.ews.address import ntlm_name
from drivers.ews.faults import Refused, blocked, http_error, translate, unreadable
from drivers.ews.tolerance import all_refuse_shape, is_stumble, plainer, refuses_shape
from drivers.ews.transport import open_session
from drivers.ews.upload import Upload
from drivers.ews.wire import Element, element
from drivers.types import AuthKind, Login, ServerAddress

API_VERSION = "Exchange2013_SP1"  # understood by every server that is in support


class BearerAuth(AuthBase):
    """An OAuth access token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Policy(FailFast):
    """What the HTTP status says, before anybody reads the answer."""

    def raise_response_errors(self, response: Any) -> None:
        """Raise drivers.errors for a status that is neither an answer nor a fault in XML."""
        error = http_error(response)
        if error is not None:
            raise error


class GuardedProtocol(Protocol):
    """A protocol for one driver: own adapter, own timeout, no cache (made by `protocol_for` only)."""

    def __init__(self, server: ServerAddress, login: Login) -> None:
        self.server_address = server
        self.login = login
        self.TIMEOUT = server.timeout
        self.sockets: list[socket.socket] = []
        self.scheme = ""  # of the sign-in: ntlm, basic, bearer
        version = Version(build=EXCHANGE_2013_SP1, api_version=API_VERSION)
        super().__init__(
            config=Configuration(
                service_endpoint=server.url,
                auth_type=NOAUTH,
                version=version,
                retry_policy=Policy(),
                max_connections=1,
            )
        )

    def raw_session(self, prefix: str, *_args: Any, **_options: Any) -> requests.Session:  # type: ignore[override]
        """A session that knows one way only."""
        return open_session(self.server_address, self.sockets)

    def create_session(self) -> Any:
        """A session signed in the way the server wants."""
        session: Any = self.raw_session(self.service_endpoint)
        session.auth = self.auth()
        session.session_id, session.usage_count = 0, 0
        return session

    def auth(self) -> AuthBase | None:
        """The sign-in, as requests takes it."""
        secret = self.login.secret
        if self.login.kind is AuthKind.OAUTH2:
            return BearerAuth(secret)
        if self.scheme == "ntlm":
            return requests_ntlm.HttpNtlmAuth(ntlm_name(self.login.user_name), secret)
        if self.scheme == "basic":
            return HTTPBasicAuth(self.login.user_name.encode(), secret.encode())
        return None


def protocol_for(server: ServerAddress, login: Login) -> GuardedProtocol:
    """A protocol that exchangelib's cache (shared by all threads, keyed by address and name) never sees."""
    made: GuardedProtocol = type.__call__(GuardedProtocol, server, login)
    return made


class MailboxAccount(Account):
    """What exchangelib's services ask of an account, without its Autodiscover and its cached protocol."""

    def __init__(self, address: str, protocol: GuardedProtocol, *, impersonate: bool = False) -> None:
        self.protocol = protocol
        self.identity = Identity(primary_smtp_address=address)
        self.access_type = IMPERSONATION if impersonate else DELEGATE
        self.default_timezone = None
        self.affinity_cookie = None
        self._version_lock = Lock()
        self._version = protocol.config.version


class Call(EWSAccountService):
    """One operation of EWS: exchangelib wraps, sends and checks it, we read its messages."""

    def __init__(self, account: MailboxAccount, operation: str, *, timeout: float | None = None) -> None:
        self.SERVICE_NAME = operation
        self.prefer_affinity = False
        super().__init__(account=account, timeout=timeout)

    def _response_tag(self) -> str:  # type: ignore[override]
        return f"{{{MNS}}}{self.SERVICE_NAME}Response"

    def _response_message_tag(self) -> str:  # type: ignore[override]
        return f"{{{MNS}}}{self.SERVICE_NAME}ResponseMessage"

    def _get_elements_in_response(self, response: Any) -> Iterator[Element | Exception]:
        for message in response:
            try:
                found = self._get_element_container(message=message)
            except ews.EWSError as error:
                found = error
            yield message if found is True else found

    @property
    def api_version(self) -> str:
        """The version that requests are written in."""
        return str(self._version_hint.api_version)

    def messages(self, payload: Element) -> list[Element | Exception]:
        """A message or its error for each thing that was asked for."""
        return list(self._get_elements(payload=payload))


class Session:
    """The conversation of one driver with its server."""

    def __init__(self, server: ServerAddress, login: Login) -> None:
        self.server = server
        self.login = login
        self.address = server.mailbox or login.user_name
        self._protocol: GuardedProtocol | None = None
        self._account: MailboxAccount | None = None
        self.schemes: tuple[str, ...] = ()
        self._asks_plainly = False

    @property
    def is_open(self) -> bool:
        """Whether it may be asked."""
        return self._account is not None

    @property
    def is_own(self) -> bool:
        """Whether the mailbox surely is that of who signs in (or is acted as)."""
        return self.server.impersonate or self.address.lower() == self.login.user_name.lower()

    @property
    def version(self) -> str:
        """The server's build as it says itself ("15.2.1544.11"), "" where unknown."""
        if self._account is None or self._account.version.build is EXCHANGE_2013_SP1:
            return ""
        build = self._account.version.build
        parts = (build.major_version, build.minor_version, build.major_build, build.minor_build)
        return ".".join(str(part or 0) for part in parts)

    def open(self) -> None:
        """Find out how the server wants one to sign in. Nothing of the login is sent. Raises drivers.errors."""
        protocol = self._protocol_at(self.server)
        if urlsplit(self.server.url).path.lower().startswith(autodiscover.PATH):
            found = self._discovered(protocol)
            protocol = self._protocol_at(replace(self.server, url=found.url))
        self._protocol = protocol
        self._account = MailboxAccount(self.address, protocol, impersonate=self.server.impersonate)

    def _protocol_at(self, server: ServerAddress) -> GuardedProtocol:
        protocol = protocol_for(server, self.login)
        try:
            self.schemes = _offered(protocol)
            protocol.scheme = self.schemes[0] if self.schemes else ""
        except BaseException:
            protocol.close()
            raise
        return protocol

    def _discovered(self, protocol: GuardedProtocol) -> autodiscover.Found:
        """The service that this host's Autodiscover names; the secret goes to this host only."""
        try:
            return autodiscover.ask(self.server, self.login, protocol.auth())
        finally:
            protocol.close()

    def next_scheme(self) -> bool:
        """Sign in another way that the server offers; False when there is none."""
        protocol = self._protocol
        if protocol is None or protocol.scheme not in self.schemes[:-1]:
            return False
        protocol.close()
        protocol.scheme = self.schemes[self.schemes.index(protocol.scheme) + 1]
        return True

    def close(self) -> None:
        """Drop the connection."""
        protocol, self._protocol, self._account = self._protocol, None, None
        if protocol is not None:
            with suppress(Exception):
                protocol.close()

    def abort(self) -> None:
        """Cut the connection under whoever reads from it in another thread."""
        protocol = self._protocol
        for sock in list(protocol.sockets) if protocol is not None else ():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def account(self) -> MailboxAccount:
        """For exchangelib's own services. Raises ServerUnreachable when closed."""
        if self._account is None:
            raise blocked("dropped", "The connection is closed.")
        return self._account

    def ask(self, operation: str, payload: Element) -> list[Element | Refused]:
        """The messages of an answer, `Refused` in the place of those with an error. Raises drivers.errors."""
        plain = plainer(payload)
        if self._asks_plainly and plain is not None:
            payload, plain = plain, None
        try:
            found = self._ask_steadily(operation, payload)
        except errors.ProtocolError as error:
            if plain is None or not refuses_shape(error, operation):
                raise
            return self._ask_plainly(operation, plain)
        if plain is not None and all_refuse_shape(found, operation):
            return self._ask_plainly(operation, plain)
        return found

    def _ask_plainly(self, operation: str, plain: Element) -> list[Element | Refused]:
        """A server that does not know a property is asked so from now on."""
        found = self._ask_steadily(operation, plain)
        self._asks_plainly = not all_refuse_shape(found, operation)
        return found

    def _ask_steadily(self, operation: str, payload: Element) -> list[Element | Refused]:
        """Ask; where the server stumbles over this question but answers others, once more, then it is this question's."""
        try:
            return self._ask_once(operation, payload)
        except (errors.ServerBusy, errors.ServerUnreachable) as error:
            if not is_stumble(error, operation) or not self._answers():
                raise
        try:
            return self._ask_once(operation, payload)
        except (errors.ServerBusy, errors.ServerUnreachable) as error:
            if not is_stumble(error, operation) or not self._answers():
                raise
            raise errors.ProtocolError("The server could not do this.", server_said=error.server_said) from error

    def _answers(self) -> bool:
        """Whether it still answers the simplest question."""
        shape = element("m:FolderShape", element("t:BaseShape", "IdOnly"))
        inbox = element("m:FolderIds", element("t:DistinguishedFolderId", Id="inbox"))
        try:
            return bool(self._ask_once("GetFolder", element("m:GetFolder", shape, inbox)))
        except errors.DriverError:
            return False

    def _ask_once(self, operation: str, payload: Element) -> list[Element | Refused]:
        account = self.account()
        try:
            found = Call(account, operation).messages(payload)
        except DriverError:
            raise
        except Exception as error:
            raise translate(error, self.server.host) from error
        return [_refused(one) if isinstance(one, Exception) else one for one in found]

    def raw_pieces(self, operation: str, payload: Element, size: int) -> Generator[bytes, None, None]:
        """The bytes of an answer as they come, over a connection of its own. Raises drivers.errors, requests' errors."""
        call = Call(self.account(), operation)
        with self._posted(call, call.wrap(content=payload, api_version=call.api_version)) as answer:
            yield from answer.raw.stream(size, decode_content=True) if answer.status_code == 200 else (answer.content,)

    @contextmanager
    def _posted(self, call: Call, data: object) -> Iterator[Any]:
        """The answer to a request of ours, unread."""
        protocol = self.account().protocol
        with protocol.create_session() as own:
            answer = own.post(
                protocol.service_endpoint,
                data=data,
                headers=call._extra_headers(),
                allow_redirects=False,
                timeout=self.server.timeout,
                stream=True,
            )
            error = http_error(answer)
            if error is not None:
                raise error
            yield answer

    def upload(self, operation: str, payload: Element, raw: bytes) -> list[Element | Refused]:
        """As `ask`, with `raw` where the payload says `upload.PLACE`: its base64 is never whole in memory."""
        call = Call(self.account(), operation)
        try:
            request = Upload(call.wrap(content=payload, api_version=call.api_version), raw)
            with self._posted(call, request) as answer:
                _header, body = call._get_soap_parts(answer)
                found = list(call._get_elements_in_response(call._get_soap_messages(body)))
        except Exception as error:
            raise translate(error, self.server.host) from error
        return [_refused(one) if isinstance(one, Exception) else one for one in found]

    def one(self, operation: str, payload: Element, raw: bytes | None = None) -> Element:
        """The only message of an answer (to an upload of `raw`). Raises drivers.errors."""
        found = self.ask(operation, payload) if raw is None else self.upload(operation, payload, raw)
        if len(found) != 1:
            raise unreadable()
        if isinstance(found[0], Refused):
            raise found[0].as_error()
        return found[0]


def _refused(error: Exception) -> Refused:
    return Refused(type(error).__name__, str(error)[:300], getattr(error, "back_off", None))


def _order(protocol: GuardedProtocol) -> tuple[str, str]:
    return ("basic", "ntlm") if protocol.service_endpoint.startswith("https") else ("ntlm", "basic")


def _offered(protocol: GuardedProtocol) -> tuple[str, ...]:
    """How one may sign in, the first to be tried first. Raises drivers.errors.

    Over TLS Basic comes first where it is offered: its refusal is a refusal of the password, while NTLM also fails for
    reasons of its own (a proxy that ends TLS, a domain that turned it off). Without TLS the password stays hidden.
    """
    if protocol.login.kind is AuthKind.OAUTH2:
        return ("bearer",)
    host = protocol.server_address.host
    try:
        with protocol.raw_session(protocol.service_endpoint) as session:
            answer = session.post(
                protocol.service_endpoint,
                data=b"",
                allow_redirects=False,
                timeout=protocol.TIMEOUT,
            )
            said = answer.headers.get("WWW-Authenticate", "").lower()
            status = answer.status_code
            answer.close()
    except Exception as error:
        raise translate(error, host) from error
    if status != 401:
        refusal = http_error(answer) if status in (302, 301, 403, 404, 429, 503) else None
        if refusal is not None:
            raise refusal
        return ("basic",)  # some servers read the request first; they will say so
    words = [part.split()[0] for part in said.split(",") if part.split()]
    ways = tuple(way for way in _order(protocol) if way in words)
    if not ways and "negotiate" in words:
        ways = ("ntlm",)  # Negotiate wraps NTLM for a client without a ticket
    if not ways:
        raise blocked("sign_in", "The server offers no sign-in with a password.")
    return ways
