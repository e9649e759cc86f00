"""The guarded connection in the shape that asyncio needs: a plain connected socket, and TLS settings for it."""

from __future__ import annotations

import socket
import ssl

from base import net
from drivers.errors import CertificateInvalid, DriverError, ServerUnreachable
from drivers.types import Security, ServerAddress

_KINDS: dict[type[net.NetError], str] = {
    net.ConnectionBlocked: "blocked",
    net.UnknownHost: "unknown_host",
    net.Refused: "refused",
    net.TimedOut: "timeout",
}


def open_socket(server: ServerAddress) -> socket.socket:
    """Connected, non-blocking, not yet encrypted. Raises ServerUnreachable."""
    target = net.Target(server.host, server.port, server.private_networks, server.timeout)
    try:
        sock = net.dial(target, encrypted=server.security is not Security.NONE)
    except net.NetError as error:
        raise _neutral(error) from None
    sock.setblocking(False)
    return sock


def tls_settings(server: ServerAddress) -> ssl.SSLContext | None:
    """Verifying TLS settings, None for an open line. Raises CertificateInvalid for an unreadable authority."""
    if server.security is Security.NONE:
        return None
    try:
        return net.tls_context(server.ca_bundle)
    except (ssl.SSLError, ValueError):
        raise CertificateInvalid("The certificate authority cannot be read.", host=server.host) from None


def _neutral(error: net.NetError) -> DriverError:
    return ServerUnreachable(str(error), kind=_KINDS.get(type(error), "dropped"))
