"""The way of exchangelib to the network: an HTTP adapter of ours under each of its sessions.

Invariants: every connection is opened by `base.net` (resolved once, checked, pinned); TLS is checked against the
server's name and its own authority; no redirect, proxy or environment variable leads elsewhere; an answer is read up to a
cap and a deadline before anything parses it, and one with a document type is refused.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from base import net
from drivers.types import ServerAddress

AGENT = "CRM-Mail"
MAX_ANSWER = 40 * 1024 * 1024  # bytes of one answer, decompressed: what is larger is read as it comes (streamed.py)
MAX_DISCOVERY = 1024 * 1024  # bytes of an answer of Autodiscover
MAX_STEPS = 20  # an answer may take so many times the timeout of a step
_CHUNK = 256 * 1024

for _name in ("exchangelib", "requests_oauthlib", "oauthlib", "spnego", "requests_ntlm"):
    # They write headers (credentials) and whole requests (mail) into their logs, also at the level of errors.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class AnswerRefused(Exception):
    """The answer is longer than our caps, too slow, or of a kind that is not parsed."""


class AnswerTooLarge(AnswerRefused):
    """The answer is longer than our caps."""


class Answer(requests.Response):
    """A response whose body is read within the caps, whoever asks for it; `max_size` in bytes, `patience` in seconds.

    Nothing is read before it is asked for: NTLM wants the connection of an unread answer (channel binding).
    """

    max_size = MAX_ANSWER
    patience = 600.0
    is_standing = False  # a streaming answer: read as it comes

    @property
    def content(self) -> bytes:
        """The whole body. Raises AnswerRefused."""
        if self._content is False:
            self._content = self._read()
            self._content_consumed = True  # type: ignore[attr-defined]
        return self._content or b""  # type: ignore[return-value]

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The body at once (exchangelib asks for it byte by byte), a standing one as the server sends it."""
        if self.is_standing:
            return super().iter_content(chunk_size=1)
        return iter((self.content,) if self.content else ())

    def _read(self) -> bytes:
        deadline = time.monotonic() + self.patience
        pieces: list[bytes] = []
        size = 0
        for piece in self.raw.stream(_CHUNK, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.max_size or time.monotonic() > deadline:
                self.close()
                raise AnswerTooLarge if size > self.max_size else AnswerRefused
        data = b"".join(pieces)
        refuse_document_type(data)
        return data


class GuardedAdapter(HTTPAdapter):
    """One connection, to the server's own address only."""

    def __init__(self, server: ServerAddress, opened: list[socket.socket], *, max_answer: int = MAX_ANSWER) -> None:
        """`opened` collects the sockets, so that another thread can cut them."""
        self._server = server
        self._opened = opened
        self._max_answer = max_answer
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """A pool whose connections are dialled by `base.net`."""
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block)
        self.poolmanager.pool_classes_by_scheme = _pools(self._server, self._opened)  # type: ignore[assignment]

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """No proxies. Raises ConnectionBlocked."""
        raise net.ConnectionBlocked(self._server.host)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The certificate was checked when the connection was opened."""

    def build_connection_pool_key_attributes(  # type: ignore[override]
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """Only where: how, the connection knows."""
        host_params, _pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host_params, {}

    def send(self, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any) -> Answer:  # type: ignore[override]
        """Send it to the server. Raises NetError, and requests' own errors once the connection stood."""
        kwargs["proxies"] = None
        answer = super().send(request, stream=True, **kwargs)
        answer.__class__ = Answer
        assert isinstance(answer, Answer)
        answer.max_size = self._max_answer
        answer.patience = self._server.timeout * MAX_STEPS
        answer.is_standing = stream
        return answer


def open_session(
    server: ServerAddress, opened: list[socket.socket] | None = None, *, max_answer: int = MAX_ANSWER
) -> requests.Session:
    """A session that knows one way only: to `server`."""
    session = requests.Session()
    session.trust_env = False
    session.adapters.clear()
    session.headers.update(
        {"Content-Type": "text/xml; charset=utf-8", "Accept-Encoding": "gzip, deflate", "User-Agent": AGENT}
    )
    adapter = GuardedAdapter(server, [] if opened is None else opened, max_answer=max_answer)
    session.mount(f"{server.url.partition('://')[0]}://", adapter)
    return session


def refuse_document_type(data: bytes) -> None:
    """EWS has no document types, so entities are none either. Raises AnswerRefused."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"\x00" in head[:8] or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise AnswerRefused
    start = head.find(b"<", 1) if head.startswith(b"<?") else 0
    if b"<!DOCTYPE" in data[: max(start, 0) + 4096] or b"<!ENTITY" in data[: max(start, 0) + 4096]:
        raise AnswerRefused


def _pools(server: ServerAddress, opened: list[socket.socket]) -> dict[str, Any]:
    """Pools by scheme. Each connection goes to `server` whatever it was told, so a redirect cannot lead elsewhere."""
    host = server.host

    def target(asked: str, port: int | None) -> net.Target:
        if asked.strip("[]").lower() != host.strip("[]").lower() or (port or 0) != server.port:
            raise net.ConnectionBlocked(asked)
        return net.Target(host, server.port, server.private_networks, server.timeout)

    def kept(sock: socket.socket) -> socket.socket:
        opened[:] = [one for one in opened if one.fileno() >= 0] + [sock]
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:
            return kept(net.dial(target(self.host, self.port), encrypted=False))

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            place = target(self.host, self.port)
            self.sock = kept(net.open_connection(place, security="ssl", ca_bundle=server.ca_bundle))
            self.is_verified = True

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
