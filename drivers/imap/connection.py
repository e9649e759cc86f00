"""One IMAP conversation: dial through base.net, secure, sign in, run commands, read answers under caps.

imapclient holds the connection (greeting, capabilities, goodbye) on a socket of ours; commands and answers go through
`submit` and `wait`, which may keep several commands in flight. Invariants: arguments are `syntax.Argument`s, announced
literals are capped before they are read, every failure is a `drivers.errors` one without a secret, and a connection
that broke once stays broken.
"""

from __future__ import annotations

import imaplib
import io
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from base import net
from drivers import errors
from drivers.imap.answers import error_for, unreachable
from drivers.imap.client import MAX_LITERAL, Client
from drivers.imap.patience import Patient, is_readable
from drivers.imap.syntax import Argument, Literal, show
from drivers.types import Security, ServerAddress

MAX_LINE = 32_000_000  # bytes: SEARCH in a mailbox of some million messages
MAX_ANSWER = 200_000_000  # bytes kept of one command's answer
READ_CHUNK = 1 << 20
COMMAND_SECONDS = 1800.0  # a command takes no longer, however much a server drips
IN_FLIGHT = 3  # commands sent ahead of their answers: more could fill both sides' buffers and stand still

_LITERAL_END = re.compile(rb"\{(\d{1,20})\+?\}\r?\n$")
_BROKEN = (OSError, ssl.SSLError, ValueError)  # ValueError: reading from a closed file


@dataclass(slots=True)
class Answer:
    """What a command brought: untagged responses as parts (line, literal, line, ...) and the tagged end.

    Responses are filed with the oldest command in flight, which need not be the one that they belong to.
    """

    tag: bytes
    literal_cap: int
    give_up_at: float  # time.monotonic()
    responses: list[list[bytes]] = field(default_factory=list)
    size: int = 0
    done: bool = False
    status: bytes = b""
    text: bytes = b""

    @property
    def ok(self) -> bool:
        """True when the command ended with OK."""
        return self.status == b"OK"

    def lines(self, *names: bytes) -> list[list[bytes]]:
        """Responses of these kinds, whatever their number stands in front (`* LIST`, `* 5 FETCH`)."""
        return [parts for parts in self.responses if response_kind(parts[0]) in names]


def response_kind(line: bytes) -> bytes:
    """`FETCH` of `* 5 FETCH (...`, `LIST` of `* LIST ...`, upper case."""
    words = line.split(None, 3)
    if len(words) > 2 and words[1].isdigit():
        return words[2].rstrip().upper()
    return words[1].rstrip().upper() if len(words) > 1 else b""


class ImapConnection:
    """The wire: `connect`, `secure`, then commands. `capabilities` are upper-case names."""

    def __init__(self, server: ServerAddress) -> None:
        self.server = server
        self.capabilities: frozenset[bytes] = frozenset()
        self.utf8 = False  # ENABLE UTF8=ACCEPT was taken
        self.qresync = False  # ENABLE QRESYNC was taken
        self.secret = ""  # blanked out of whatever the server says
        self.last_challenge = b""  # what stood behind the last "+" (SASL)
        self._sock: socket.socket | None = None
        self._client: Client | None = None
        self._imap: Any = None
        self._file: io.BufferedReader | None = None
        self._patient: Patient | None = None
        self._in_flight: list[Answer] = []
        self._number = 0

    # opening and closing

    def connect(self) -> None:
        """Dial. Raises ServerUnreachable (blocked, unknown_host, refused, timeout)."""
        server = self.server
        target = net.Target(server.host, server.port, server.private_networks, server.timeout)
        try:
            self._sock = net.dial(target, encrypted=server.security != Security.NONE)
        except net.NetError as error:
            raise unreachable(error)

    def secure(self) -> None:
        """TLS as asked for, and the greeting.

        Raises CertificateInvalid, TlsUnavailable, ServerUnreachable, ServerBusy, ProtocolError.
        """
        if self.server.security == Security.SSL:
            self._start_tls()
        self._greet()
        if self.server.security == Security.STARTTLS:
            if b"STARTTLS" not in self.capabilities:
                raise errors.TlsUnavailable("The server does not offer STARTTLS.")
            answer = self.run(b"STARTTLS")
            if not answer.ok:
                raise errors.TlsUnavailable("The server refused STARTTLS.", server_said=show(answer.text))
            self._start_tls()
            # A new buffer: what an attacker slipped in before TLS is thrown away (RFC 3501 6.2.1).
            self._imap.sock = self._sock
            self._patient = Patient(self._need_socket(), None, self.server.timeout)
            self._imap.file = self._file = self._patient.buffered()
            self.refresh_capabilities()

    def close(self) -> None:
        """LOGOUT if the line still stands, then close; never raises."""
        if self._client is not None and self._file is not None and not self._in_flight:
            with suppress(errors.DriverError, *_BROKEN):
                self._need_socket().settimeout(min(2.0, self.server.timeout))
                self.run(b"LOGOUT")
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word."""
        for thing in (self._file, self._sock):
            if thing is not None:
                with suppress(*_BROKEN):
                    thing.close()
        self._file = self._sock = self._client = self._imap = None
        self._in_flight.clear()

    def detach(self) -> tuple[socket.socket, bytes]:
        """Give the socket away, not blocking any more, with what was read ahead; this connection is closed then."""
        sock = self._need_socket()
        sock.setblocking(False)
        ahead = b""
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            ahead = self._reader().peek()
        self._sock = None
        self.drop()
        return sock, ahead

    def is_silent(self) -> bool:
        """True if the line stands, no answer is awaited and nothing waits to be read, not even the line's end."""
        return self._sock is not None and not self._in_flight and not is_readable(self._sock)

    def fileno(self) -> int:
        """The socket's number, for a selector."""
        return self._need_socket().fileno()

    # commands

    def has(self, *names: bytes) -> bool:
        """True if all are announced."""
        return all(name in self.capabilities for name in names)

    def run(self, *arguments: Argument, literal_cap: int = MAX_LITERAL) -> Answer:
        """One command and its whole answer, OK or not. Raises ServerUnreachable, ServerBusy, ProtocolError."""
        self.drain()
        return self.wait(self.submit(*arguments, literal_cap=literal_cap))

    def require(self, *arguments: Argument, literal_cap: int = MAX_LITERAL) -> Answer:
        """Like `run`, but NO and BAD raise what they stand for."""
        answer = self.run(*arguments, literal_cap=literal_cap)
        if not answer.ok:
            raise error_for(answer.text, secret=self.secret)
        return answer

    def submit(self, *arguments: Argument, literal_cap: int = MAX_LITERAL) -> Answer:
        """Send a command and return at once; `wait` reads its answer. Literals make it wait for what is in flight."""
        self._number += 1
        answer = Answer(b"m%d" % self._number, literal_cap, time.monotonic() + COMMAND_SECONDS)
        pieces: list[bytes] = [answer.tag]
        needs_pause = not self.has(b"LITERAL+")
        if needs_pause and any(isinstance(argument, Literal) for argument in arguments):
            self.drain()
        self._in_flight.append(answer)
        for argument in arguments:
            if not isinstance(argument, Literal):
                pieces.append(b" " + argument)
                continue
            pieces.append(b" {%d}\r\n" % len(argument) if needs_pause else b" {%d+}\r\n" % len(argument))
            if needs_pause:
                self._send(b"".join(pieces))
                pieces = []
                if not self._read_continuation(answer):
                    return answer
            pieces.append(bytes(argument))
        pieces.append(b"\r\n")
        self._send(b"".join(pieces))
        return answer

    def drain(self) -> None:
        """Finish what is in flight; its answers stay with whoever waits for them."""
        while self._in_flight:
            self.wait(self._in_flight[0])

    def pipeline(self, commands: Iterable[Sequence[Argument]]) -> Iterator[Answer]:
        """Answers of many commands in order, a few in flight; the caller clears each answer's responses.

        A server may work on several at once (Dovecot does): a response may be filed with the command before its own,
        so the caller looks at all of them together.
        """
        sent: deque[Answer] = deque()
        for command in commands:
            sent.append(self.submit(*command))
            if len(sent) >= IN_FLIGHT:
                yield self.wait(sent.popleft())
        while sent:
            yield self.wait(sent.popleft())

    def continue_with(self, answer: Answer, data: bytes) -> bool:
        """Wait for "+" and answer it with a line (AUTHENTICATE, IDLE); False when the command ended instead."""
        if not self._read_continuation(answer):
            return False
        self._send(data + b"\r\n")
        return True

    def wait(self, answer: Answer) -> Answer:
        """Read until `answer` is complete; what belongs to earlier commands in flight is filed with them."""
        while not answer.done:
            self._read_one()
        return answer

    def refresh_capabilities(self) -> None:
        """Ask again (after STARTTLS and after signing in they differ)."""
        answer = self.require(b"CAPABILITY")
        for parts in answer.lines(b"CAPABILITY"):
            self.capabilities = frozenset(parts[0].upper().split()[2:])

    # inside

    def _greet(self) -> None:
        try:
            self._client = Client(self._need_socket(), self.server.timeout)
            self._imap = self._client._imap
            self._file = self._imap.file
            self._patient = self._imap.patient
            self._patient.budget = None
            if self._imap.state != "NONAUTH":
                raise errors.ProtocolError("The server claims to know us already (PREAUTH).")
            self.capabilities = frozenset(name.upper().encode("ascii", "replace") for name in self._imap.capabilities)
        except imaplib.IMAP4.abort:
            self._lost("The server closed the connection.")
        except imaplib.IMAP4.error as error:
            said = show(str(error).encode("utf-8", "replace"))
            self.drop()
            if "BYE" in said:
                raise errors.ServerBusy("The server sends us away.", server_said=said)
            raise errors.ProtocolError("This is no IMAP server.", server_said=said)
        except TimeoutError:
            self._lost("The server did not greet in time.", kind="timeout")
        except (*_BROKEN, LookupError, AttributeError):
            self._lost("The server closed the connection.")

    def _start_tls(self) -> None:
        sock, self._sock = self._need_socket(), None
        try:
            self._sock = net.start_tls(
                sock, self.server.host, ca_bundle=self.server.ca_bundle, timeout=self.server.timeout
            )
        except net.NetError as error:
            raise unreachable(error)

    def _need_socket(self) -> socket.socket:
        if self._sock is None:
            raise errors.ServerUnreachable("The connection is closed.", kind="dropped")
        return self._sock

    def _send(self, data: bytes) -> None:
        try:
            self._need_socket().sendall(data)
        except TimeoutError:
            self._lost("The server does not read.", kind="timeout")
        except _BROKEN:
            self._lost("The connection was lost.")

    def _read_continuation(self, answer: Answer) -> bool:
        while not answer.done:
            if self._read_one():
                return True
        return False

    def _read_one(self) -> bool:
        """Read one response and file it; True for a continuation request."""
        current = self._in_flight[0] if self._in_flight else None
        if self._patient is not None:
            self._patient.begin(current.give_up_at if current else None)
        parts = self._read_parts(current.literal_cap if current else MAX_LITERAL)
        line = parts[0]
        if line.startswith(b"+"):
            self.last_challenge = line[1:].strip()
            return True
        if line.startswith(b"* "):
            if line[2:5].upper() == b"BYE":
                self._bye(line)
            elif current is not None:
                current.size += sum(map(len, parts))
                if current.size > MAX_ANSWER + current.literal_cap:
                    self._refuse("A server's answer above the cap.")
                current.responses.append(parts)
            return False
        self._finish(line)
        return False

    def _finish(self, line: bytes) -> None:
        tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
        for index, answer in enumerate(self._in_flight):
            if answer.tag == tag:
                status, _, answer.text = rest.partition(b" ")
                answer.status, answer.done = status.upper(), True
                del self._in_flight[index]
                return
        self._refuse("The server answered a command that was never sent.", line)

    def _read_parts(self, literal_cap: int) -> list[bytes]:
        parts = [self._read_line()]
        total = 0
        while parts[-1].endswith((b"}\r\n", b"}\n")) and (match := _LITERAL_END.search(parts[-1][-24:])) is not None:
            size = int(match.group(1))
            total += size
            if total > literal_cap or len(parts) > 10_000:
                self._refuse("A literal above the cap.")
            parts.append(self._read_exactly(size))
            parts.append(self._read_line())
        return parts

    def _read_line(self) -> bytes:
        try:
            line = self._reader().readline(MAX_LINE)
        except TimeoutError:
            self._lost("The server did not answer in time.", kind="timeout")
        except _BROKEN:
            self._lost("The connection was lost.")
        if not line.endswith(b"\n"):
            if len(line) >= MAX_LINE:
                self._refuse("A line above the cap.")
            self._lost("The server closed the connection.")
        return line

    def _read_exactly(self, size: int) -> bytes:
        try:
            if size <= READ_CHUNK:
                data = self._reader().read(size)
            else:  # never reserve what was only announced
                chunks: list[bytes] = []
                left = size
                while left > 0 and (chunk := self._reader().read(min(left, READ_CHUNK))):
                    chunks.append(chunk)
                    left -= len(chunk)
                data = b"".join(chunks)
        except TimeoutError:
            self._lost("The server stopped in the middle of an answer.", kind="timeout")
        except _BROKEN:
            self._lost("The connection was lost.")
        if len(data) != size:
            self._lost("The server closed the connection in the middle of an answer.")
        return data

    def _reader(self) -> io.BufferedReader:
        if self._file is None:
            raise errors.ServerUnreachable("The connection is closed.", kind="dropped")
        return self._file

    def _bye(self, line: bytes) -> NoReturn:
        error = error_for(line[6:], secret=self.secret)
        self.drop()
        if isinstance(error, errors.ServerBusy):
            raise error
        raise errors.ServerUnreachable("The server said goodbye.", kind="dropped", server_said=error.server_said)

    def _lost(self, message: str, *, kind: str = "dropped") -> NoReturn:
        self.drop()
        raise errors.ServerUnreachable(message, kind=kind)

    def _refuse(self, message: str, line: bytes = b"") -> NoReturn:
        self.drop()
        raise errors.ProtocolError(message, server_said=show(line))
