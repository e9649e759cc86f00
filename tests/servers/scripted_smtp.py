"""An SMTP server that does what a test tells it, at the very step it names: refuse, be silent, hang up, lie.

`replies` maps a step (greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, END, RSET, QUIT or a word such as "*") to a
text to answer, or to DROP (hang up) or SILENT (say nothing more). A list is used one entry per occurrence.
"""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Self

DROP, SILENT = "<drop>", "<silent>"
DEFAULTS = {
    "greeting": "220 scripted ESMTP",
    "EHLO": "250-scripted\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN CRAM-MD5",
    "HELO": "250 scripted",
    "AUTH": "235 2.7.0 ok",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    "END": "250 2.0.0 queued as 1",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}


@dataclass
class ScriptedSmtp:
    """A context manager; `lines` are the commands it got, `messages` the bodies as they came (with dots doubled)."""

    replies: dict[str, str | list[str]] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    implicit_tls: bool = False
    drop_after_bytes: int | None = None  # hangs up in the middle of DATA
    stop_reading_in_data: bool = False
    lines: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._release = threading.Event()
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            connection.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            try:
                self._serve(connection)
            except OSError:
                pass
            finally:
                connection.close()

    def _reply(self, step: str) -> str:
        reply = self.replies.get(step, DEFAULTS.get(step, "500 what?"))
        if isinstance(reply, list):
            return reply.pop(0) if len(reply) > 1 else reply[0]
        return reply

    def _say(self, connection: socket.socket, step: str) -> str:
        reply = self._reply(step)
        if reply == DROP:
            raise OSError("dropped as told")
        if reply == SILENT:
            self._release.wait(30)
            raise OSError("silent as told")
        connection.sendall(reply.encode("utf-8", "surrogateescape") + b"\r\n")
        return reply

    def _serve(self, connection: socket.socket) -> None:
        if self.implicit_tls and self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
            self._connections.append(connection)
        self._say(connection, "greeting")
        reader = connection.makefile("rb")
        while line := reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.lines.append(text)
            word = text.split(" ")[0].split(":")[0].upper()
            reply = self._say(connection, word)
            if word == "STARTTLS" and reply.startswith("220") and self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
                reader = connection.makefile("rb")
            elif word == "AUTH" and reply.startswith("334"):
                self._sasl(connection, reader)
            elif word == "DATA" and reply.startswith("354"):
                self._data(connection, reader)
            elif word == "QUIT":
                return

    def _sasl(self, connection: socket.socket, reader: object) -> None:
        while line := reader.readline():  # type: ignore[attr-defined]
            self.lines.append("SASL " + line.decode().rstrip("\r\n"))
            if not self._say(connection, "SASL").startswith("334"):
                return

    def _data(self, connection: socket.socket, reader: object) -> None:
        if self.stop_reading_in_data:
            self._release.wait(30)
            return
        body = b""
        while line := reader.readline():  # type: ignore[attr-defined]
            if line == b".\r\n":
                self.messages.append(body)
                self._say(connection, "END")
                return
            body += line
            if self.drop_after_bytes is not None and len(body) >= self.drop_after_bytes:
                if "EARLY" in self.replies:
                    self._say(connection, "EARLY")
                raise OSError("dropped as told")
