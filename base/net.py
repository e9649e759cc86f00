"""The only door to the network for a host that a person or a document named (server-side request forgery).

Invariant: a name is resolved once, every address is checked, and the connection goes to a checked address; TLS is then
checked against the name that was given. Public addresses are reached on mail ports only; anything else must lie inside
the operator's `private_networks`. All refusals look the same (ConnectionBlocked), whatever the reason.
Knows no protocol and no Django; drivers translate these exceptions into their own.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from base.net_addresses import IPAddress, ascii_host, is_public, parse_address, parse_networks

MAIL_PORTS = frozenset({25, 143, 443, 465, 587, 993, 2525})
BLOCKED_PAUSE = 0.3  # seconds: a refusal takes this long at least, whatever was found out
MAX_ADDRESSES = 8  # tried per name
MAX_LOOKUPS = 64  # lookups that may hang at the same time (getaddrinfo cannot be cancelled)

_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


class NetError(Exception):
    """No connection could be had; `host` is the name that was asked for."""

    def __init__(self, host: str, message: str = "") -> None:
        super().__init__(message or host)
        self.host = host


class ConnectionBlocked(NetError):
    """The address, port or security is not allowed; the text never says which."""

    def __init__(self, host: str) -> None:
        super().__init__(host, "This server address is not allowed.")


class UnknownHost(NetError):
    """The name does not exist or is no host name."""


class Refused(NetError):
    """Nothing listens there, or the network has no way there."""


class TimedOut(NetError):
    """No answer in time."""


class TlsFailed(NetError):
    """`problem` is one of name, expired, self_signed, untrusted, protocol."""

    def __init__(self, host: str, problem: str, message: str = "") -> None:
        super().__init__(host, message or f"TLS failed: {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Target:
    """What to reach: `private_networks` are CIDRs allowed besides public addresses, `timeout` seconds per step."""

    host: str
    port: int
    private_networks: tuple[str, ...] = ()
    timeout: float = 30.0


def open_connection(target: Target, *, security: str, ca_bundle: str = "") -> socket.socket:
    """Dial and, for security "ssl", wrap in TLS; "starttls" and "none" return the plain socket.

    Raises ConnectionBlocked, UnknownHost, Refused, TimedOut, TlsFailed.
    """
    sock = dial(target, encrypted=security != "none")
    if security != "ssl":
        return sock
    return start_tls(sock, target.host, ca_bundle=ca_bundle, timeout=target.timeout)


def dial(target: Target, *, encrypted: bool = True) -> socket.socket:
    """A connected plain TCP socket to a checked address, with `target.timeout` set.

    `encrypted` False (no TLS will follow) is allowed to private networks only.
    Raises ConnectionBlocked, UnknownHost, Refused, TimedOut.
    """
    started = time.monotonic()
    host = ascii_host(target.host)
    if not host or not 0 < target.port < 65536:
        raise UnknownHost(target.host)
    addresses = allowed_addresses(
        resolve(host, target.port, target.timeout),
        port=target.port,
        encrypted=encrypted,
        private_networks=target.private_networks,
    )
    if not addresses:
        time.sleep(max(0.0, BLOCKED_PAUSE - (time.monotonic() - started)))
        raise ConnectionBlocked(target.host)
    return _dial_first(addresses[:MAX_ADDRESSES], target)


def resolve(host: str, port: int, timeout: float) -> list[IPAddress]:
    """All addresses of a name, each once, in the resolver's order. Raises UnknownHost, TimedOut.

    getaddrinfo knows no timeout, so it runs in a thread that is left behind when it hangs (their number is bounded).
    """
    found: list[IPAddress] = []
    failed: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                address = parse_address(str(answer[4][0]))
                if address is not None and address not in found:
                    found.append(address)
        except (OSError, UnicodeError) as error:
            failed.append(error)
        finally:
            _lookups.release()

    if not _lookups.acquire(timeout=timeout):
        raise TimedOut(host)
    thread = threading.Thread(target=look_up, daemon=True, name="resolve")
    try:
        thread.start()
    except RuntimeError:
        _lookups.release()
        raise TimedOut(host)
    thread.join(timeout)
    if thread.is_alive():
        raise TimedOut(host)
    if failed and isinstance(failed[0], socket.gaierror) and failed[0].errno == socket.EAI_AGAIN:
        raise TimedOut(host)
    if failed or not found:
        raise UnknownHost(host)
    return found


def allowed_addresses(
    addresses: Sequence[IPAddress], *, port: int, encrypted: bool, private_networks: Sequence[str]
) -> list[IPAddress]:
    """The addresses that may be dialled, empty when the name must be refused.

    An address inside `private_networks` is always fine, and when there is one the others are only skipped (localhost
    is ::1 and 127.0.0.1). Otherwise one forbidden address refuses the whole name: a mix of public and inner
    addresses is what a rebinding attack looks like.
    """
    networks = parse_networks(tuple(private_networks))
    private = [address for address in addresses if any(address in network for network in networks)]
    if private:
        return private
    if not encrypted or port not in MAIL_PORTS or not all(is_public(address) for address in addresses):
        return []
    return list(addresses)


def _dial_first(addresses: Sequence[IPAddress], target: Target) -> socket.socket:
    """The first address that answers; all tries together take at most the timeout."""
    deadline = time.monotonic() + target.timeout
    last: NetError = Refused(target.host)
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            sock = socket.create_connection((str(address), target.port), timeout=left / (len(addresses) - number))
        except TimeoutError:
            last = TimedOut(target.host)
        except OSError:
            last = Refused(target.host)
        else:
            sock.settimeout(target.timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return sock
    raise last


def start_tls(sock: socket.socket, host: str, *, ca_bundle: str = "", timeout: float = 30.0) -> ssl.SSLSocket:
    """Wrap `sock` in TLS, the certificate checked against `host` (a name or an address).

    `ca_bundle` is PEM text of the only authorities to trust ("" for the system's). The socket is closed on failure.
    Raises TlsFailed, TimedOut.
    """
    try:
        sock.settimeout(timeout)
        return tls_context(ca_bundle).wrap_socket(sock, server_hostname=ascii_host(host))
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise TlsFailed(host, _certificate_problem(error))
    except TimeoutError:
        sock.close()
        raise TimedOut(host)
    except (ssl.SSLError, OSError, ValueError) as error:
        sock.close()
        raise TlsFailed(host, "protocol", type(error).__name__)


@lru_cache(maxsize=32)
def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """A verifying client context (TLS 1.2 or newer), kept because loading is slow. Raises ssl.SSLError."""
    context = ssl.create_default_context(cadata=ca_bundle or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


# X509_V_ERR_* of OpenSSL
_PROBLEMS = {
    9: "expired",  # not yet valid
    10: "expired",
    18: "self_signed",
    62: "name",
    63: "name",
    64: "name",
}


def _certificate_problem(error: ssl.SSLCertVerificationError) -> str:
    return _PROBLEMS.get(error.verify_code, "untrusted")
