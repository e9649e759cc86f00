"""An IMAP server that says exactly what it is told: hostile, broken and odd answers byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Self

from drivers.types import Login, Security, ServerAddress

Reply = bytes | Callable[[bytes, bytes], bytes]

DEFAULTS: dict[str, Reply] = {
    "greeting": b"* OK [CAPABILITY IMAP4rev1] hello\r\n",
    "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n%(tag)s OK done\r\n",
    "LOGIN": b"%(tag)s OK in\r\n",
    "EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 10] x\r\n%(tag)s OK [READ-ONLY] done\r\n",
    "LOGOUT": b"* BYE bye\r\n%(tag)s OK out\r\n",
}


class ScriptedImap:
    """`replies` by command name ("UID FETCH"): bytes with %(tag)s, or a function of (tag, line). An empty reply closes
    the line; several replies in a list are used one after the other, the last one for ever."""

    def __init__(self, replies: dict[str, Reply | list[Reply]] | None = None) -> None:
        self.replies: dict[str, Reply | list[Reply]] = {**DEFAULTS, **(replies or {})}
        self.lines: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._clients: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        for sock in self._clients:
            sock.close()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return
        finally:
            self._listener.close()

    def address(self, timeout: float = 3.0, security: Security = Security.NONE) -> ServerAddress:
        """For a driver."""
        return ServerAddress("127.0.0.1", self.port, security, "", ("127.0.0.0/8",), timeout)

    @staticmethod
    def login() -> Login:
        """Anybody."""
        return Login("anna", "s3cret-Otter")

    def _accept(self) -> None:
        while not getattr(self, "_ending", False):
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.sendall(self._next("greeting", b"", b""))
            reader = client.makefile("rb")
            while line := reader.readline():
                self.lines.append(line)
                words = line.split()
                if len(words) < 2:
                    continue
                name = words[1].decode("latin-1").upper()
                if name == "UID" and len(words) > 2:
                    name += " " + words[2].decode("latin-1").upper()
                reply = self._next(name, words[0], line)
                if not reply:
                    client.close()
                    return
                client.sendall(reply)
        except OSError:
            return

    def _next(self, name: str, tag: bytes, line: bytes) -> bytes:
        reply = self.replies.get(name, b"%(tag)s OK done\r\n")
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if callable(reply):
            return reply(tag, line)
        return reply.replace(b"%(tag)s", tag)
