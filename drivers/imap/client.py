"""imapclient on a socket of ours: the greeting and the state of the conversation.

Invariant: imapclient never dials, never logs what is said and reads no literal above the cap.
"""

from __future__ import annotations

import imaplib
import socket
from typing import Any

from imapclient import IMAPClient

from drivers.imap.patience import GREETING_BYTES, Patient

MAX_LITERAL = 4_000_000  # bytes, unless a command expects more


class OurSocketIMAP4(imaplib.IMAP4):
    """imaplib on a socket that base.net opened."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._ready = sock
        self.patient = Patient(sock, GREETING_BYTES, timeout)
        super().__init__("", 0, timeout)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock = self._ready
        self.file: Any = self.patient.buffered()

    def read(self, size: int) -> bytes:
        if size > MAX_LITERAL:
            raise self.abort("literal above the cap")
        return bytes(super().read(size))


class Client(IMAPClient):  # type: ignore[misc]
    """imapclient without a dialler of its own, and without a log of what is said."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._given = sock
        super().__init__("", 143, ssl=False, timeout=timeout)
        self._imap.debug = 0  # imapclient would have it format every line

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - imapclient's name
        return OurSocketIMAP4(self._given, self._timeout.read)
