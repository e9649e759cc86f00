"""HTTPS through the guard of `base.net`, for libraries that speak `requests` (sign-in servers, Exchange).

Invariants: only https; the connection goes to an address that `base.net` resolved and checked, TLS is checked against
the name; nothing of the environment (proxies, REQUESTS_CA_BUNDLE) counts; no redirect is followed; an answer has a size
and a deadline. Knows no protocol above HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection

from base import net

MAX_BYTES = 1_000_000  # of an answer, unpacked
CHUNK = 16_384


class AnswerTooBig(requests.RequestException):
    """The answer is larger than MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class Door:
    """How far one may go: `private_networks` are CIDRs besides public addresses, `ca_bundle` PEM text of the only
    authorities to trust ("" for the system's), `timeout` seconds for each step and for a whole answer."""

    private_networks: tuple[str, ...] = ()
    ca_bundle: str = ""
    timeout: float = 15.0


class _Connection(HTTPSConnection):
    """Dials through the guard; TLS on top is urllib3's, with our context and the name that was asked for."""

    door = Door()

    def _new_conn(self) -> Any:
        target = net.Target(self.host.strip("[]"), self.port or 443, self.door.private_networks, self.door.timeout)
        return net.dial(target)


class GuardedAdapter(HTTPAdapter):
    """An adapter to mount under "https://"."""

    def __init__(self, door: Door) -> None:
        self._door = door
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Connections of ours, with a verifying context."""
        connection = type("_Guarded", (_Connection,), {"door": self._door})
        pool = type("_GuardedPool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
        context = net.tls_context(self._door.ca_bundle)
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=context, cert_reqs="CERT_REQUIRED"
        )
        self.poolmanager.pool_classes_by_scheme = {"https": pool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """The host alone: what callers or the environment say about certificates does not count."""
        host_params, _pool = super().build_connection_pool_key_attributes(request, True, None)
        return host_params, {"cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to set: the context is ours."""

    def send(self, request: Any, stream: bool = False, timeout: Any = None, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """As requests, with our timeout and the whole answer read under a cap. Raises requests' exceptions, and net.NetError."""
        kwargs.pop("proxies", None)
        give_up_at = time.monotonic() + 2 * self._door.timeout
        try:
            response = super().send(request, stream=True, timeout=self._door.timeout, proxies={}, **kwargs)
        except requests.RequestException as error:
            raise _cause(error) from None
        with response:
            response._content = _read(response, give_up_at)
        return response


class GuardedSession(requests.Session):
    """A session that can go nowhere but through the guard."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        guard(self, door)

    def get_redirect_target(self, resp: Any) -> None:
        """A redirect is an answer like any other."""


def guard(session: requests.Session, door: Door) -> None:
    """Put the guard into a session that a library has made: the only adapter it has from now on."""
    session.adapters.clear()
    session.mount("https://", GuardedAdapter(door))
    session.trust_env = False
    session.max_redirects = 0


def _read(response: requests.Response, give_up_at: float) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_content(CHUNK):
        size += len(piece)
        if size > MAX_BYTES:
            raise AnswerTooBig("The answer is too big.")
        if time.monotonic() > give_up_at:
            raise requests.Timeout("The answer took too long.")
        pieces.append(piece)
    return b"".join(pieces)


def _cause(error: BaseException) -> BaseException:
    """The guard's own refusal where there is one inside, else the error."""
    found: BaseException | None = error
    for _step in range(8):
        reason = getattr(found, "reason", None)
        found = reason if isinstance(reason, BaseException) else _inner(found)
        if found is None:
            return error
        if isinstance(found, net.NetError):
            return found
    return error


def _inner(error: BaseException | None) -> BaseException | None:
    if error is None:
        return None
    first = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    return first or error.__cause__ or error.__context__


def json_object(response: requests.Response) -> Mapping[str, Any] | None:
    """The JSON object of an answer, None for anything else."""
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
