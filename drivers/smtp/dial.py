"""The guarded connection in the shape that this driver needs: a plain connected socket, and TLS settings for it."""

from __future__ import annotations

import socket
import ssl

from drivers.errors import ServerUnreachable
from drivers.types import ServerAddress


def open_connection(server: ServerAddress) -> socket.socket:
    try:
        sock = socket.create_connection((server.host, server.port), timeout=server.timeout)
    except ConnectionRefusedError:
        raise ServerUnreachable("refused", kind="refused") from None
    sock.setblocking(False)
    return sock


def tls_context(server: ServerAddress) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=server.ca_bundle or None)
