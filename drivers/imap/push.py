"""Push by IDLE (RFC 2177): a line on which the server says that the inbox changed.

Signing in goes over the same guarded connection as everything else; then only the socket is kept, so hundreds of these
fit into one process. Invariants: after `open` nothing blocks; a line is renewed long before 29 minutes, and one that does
not answer its renewal is dead; what the server says is only ever compared, never believed to be mail.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from typing import NoReturn

from drivers import errors
from drivers.base import PushChannel
from drivers.imap.answers import error_for
from drivers.imap.connection import ImapConnection
from drivers.imap.folders import FolderDesk
from drivers.imap.signin import sign_in
from drivers.imap.syntax import show
from drivers.types import Login, ServerAddress

RENEW_SECONDS = 600.0  # the RFC allows 29 minutes, but lines through address translation die unnoticed before that
# After news a line is renewed soon, then less and less often: a server may miss what comes while it puts the line back
# to sleep (Dovecot 2.3 with imap_hibernate_timeout does, measured), and a renewal makes it look.
SOON = (2.0, 15.0, 120.0)
ANSWER_SECONDS = 10.0  # for a renewal
MAX_LINE = 8192  # bytes: nothing that matters here is longer
READ_AT_ONCE = 65_536  # bytes per call
IDLES_AT_ONCE = 5  # times that a server may end IDLE by itself in a row
KEEPALIVE = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))  # a dead line shows after 4 minutes

_NEWS = re.compile(rb"\* (?:\d{1,10} (?:EXISTS|EXPUNGE|FETCH)|VANISHED)\b", re.I)


class ImapPushChannel(PushChannel):
    """One inbox watched. Not opened by the constructor; `renew_seconds` between renewals (under 29 minutes)."""

    def __init__(
        self, server: ServerAddress, login: Login, *, folder_id: str = "INBOX", renew_seconds: float = RENEW_SECONDS
    ) -> None:
        self._server = server
        self._login: Login | None = login
        self._folder_id = folder_id
        self._renew_seconds = min(renew_seconds, 28 * 60.0)
        self._sock: socket.socket | None = None
        self._ahead = b""  # an unfinished line
        self._number = 0
        self._is_idling = False
        self._is_renewing = False  # DONE or IDLE was sent, its answer has not come
        self._ended = 0  # IDLEs in a row that the server ended
        self._calm = 1  # renewals since the last news
        self.due_at = 0.0

    def open(self) -> None:
        """Sign in, open the folder for reading only, begin to idle. Blocks for some round trips.

        Raises PushUnavailable without IDLE, FolderGone, and what MailboxDriver.open raises.
        """
        login, self._login = self._login, None  # the secret is kept no longer than needed
        if login is None:
            raise errors.ServerUnreachable("A push channel is opened once.", kind="dropped")
        connection = ImapConnection(self._server)
        try:
            connection.connect()
            connection.secure()
            sign_in(connection, login)
            if not connection.has(b"IDLE"):
                connection.close()
                raise errors.PushUnavailable("The server does not offer IDLE.")
            FolderDesk(connection).open(self._folder_id)
            self._sock, self._ahead = connection.detach()
        except BaseException:
            connection.drop()
            raise
        self._keep_alive()
        self._idle()

    def close(self) -> None:
        """End it, with a goodbye if the line takes it; never raises."""
        sock, self._sock = self._sock, None
        if sock is not None:
            with suppress(OSError, ValueError):
                sock.send(b"DONE\r\np0 LOGOUT\r\n" if self._is_idling else b"p0 LOGOUT\r\n")
            with suppress(OSError, ValueError):
                sock.close()

    def fileno(self) -> int:
        """The socket's number. Raises ServerUnreachable when it is closed."""
        return self._need_socket().fileno()

    def on_readable(self) -> bool:
        """See PushChannel: True for EXISTS, EXPUNGE, FETCH (flags) and VANISHED."""
        data, is_open = self._read()
        lines = (self._ahead + data).split(b"\n")
        self._ahead = lines.pop()
        if len(self._ahead) > MAX_LINE or any(len(line) > MAX_LINE for line in lines):
            self.close()
            raise errors.ProtocolError("A line above the cap.")
        has_news = False
        for line in lines:
            has_news |= self._take(line.rstrip(b"\r"))
        if not is_open:
            self._lost("The server closed the connection.")
        return has_news

    def renew(self) -> None:
        """DONE, and IDLE again when its answer has come (a command must not be sent before that: RFC 2177)."""
        if self._is_renewing:
            self._lost("The server no longer answers.", kind="timeout")
        self._is_renewing = True
        self._calm += 1
        self.due_at = time.monotonic() + ANSWER_SECONDS
        self._send(b"DONE\r\n")

    # inside

    def _take(self, line: bytes) -> bool:
        """One line of the server; True for news."""
        if line.startswith(b"+"):
            self._is_idling, self._is_renewing = True, False
            soon = SOON[self._calm] if self._calm < len(SOON) else self._renew_seconds
            self.due_at = time.monotonic() + min(soon, self._renew_seconds)
            return False
        if line.startswith(b"* "):
            if line[2:5].upper() == b"BYE":
                error = error_for(line[6:])
                self.close()
                if isinstance(error, errors.ServerBusy):
                    raise error
                self._lost("The server said goodbye.", said=show(line[6:]))
            if _NEWS.match(line):
                self._ended = self._calm = 0
                if not self._is_renewing:
                    self.due_at = min(self.due_at, time.monotonic() + SOON[0])
                return True
            return False
        if line.startswith(b"p%d " % self._number):
            self._finish(line)
        return False

    def _finish(self, line: bytes) -> None:
        """The end of an IDLE: asked for by us, by the server's own will, or a refusal."""
        status = line.split(b" ", 2)[1].upper()
        if status != b"OK" and not self._is_idling:
            self.close()
            raise errors.PushUnavailable("The server refused IDLE.", server_said=show(line))
        if not self._is_renewing:
            self._ended += 1
            if self._ended > IDLES_AT_ONCE:
                self.close()
                raise errors.PushUnavailable("The server ends IDLE again and again.")
        else:
            self._ended = 0
        self._idle()

    def _idle(self) -> None:
        self._number += 1
        self._is_idling, self._is_renewing = False, True
        self.due_at = time.monotonic() + ANSWER_SECONDS
        self._send(b"p%d IDLE\r\n" % self._number)

    def _read(self) -> tuple[bytes, bool]:
        """What is there, and whether the line is still open. TLS may hold more than the selector sees: all of it."""
        sock = self._need_socket()
        chunks: list[bytes] = []
        size = 0
        while size < READ_AT_ONCE or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            try:
                chunk = sock.recv(16_384)
            except (BlockingIOError, ssl.SSLWantReadError, InterruptedError):
                return b"".join(chunks), True
            except TimeoutError:  # keepalive gave up
                self._lost("The line is dead.", kind="timeout")
            except (OSError, ValueError):
                return b"".join(chunks), False
            if not chunk:
                return b"".join(chunks), False
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks), True

    def _send(self, data: bytes) -> None:
        """A few bytes that any living line takes at once."""
        try:
            sent = self._need_socket().send(data)
        except (OSError, ValueError):  # not writable: its buffers are full of what nobody reads
            sent = 0
        if sent != len(data):
            self._lost("The connection was lost.")

    def _keep_alive(self) -> None:
        for name, value in KEEPALIVE:
            if (option := getattr(socket, name, None)) is not None:
                with suppress(OSError):
                    self._need_socket().setsockopt(socket.IPPROTO_TCP, option, value)

    def _need_socket(self) -> socket.socket:
        if self._sock is None:
            raise errors.ServerUnreachable("The connection is closed.", kind="dropped")
        return self._sock

    def _lost(self, message: str, *, kind: str = "dropped", said: str = "") -> NoReturn:
        self._is_idling = False
        self.close()
        raise errors.ServerUnreachable(message, kind=kind, server_said=said)
