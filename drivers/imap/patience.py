"""Reading from a socket with an end to patience.

Invariant: the socket's timeout bounds each read, and this bounds their sum: a server that drips a byte now and then
cannot hold a worker, one that floods its greeting cannot fill the memory.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

GREETING_BYTES = 1_000_000  # greeting and first capabilities
RESPONSE_TIMEOUTS = 10  # one response may take so many times the timeout of a step
BUFFER = 1 << 18

_Read = Callable[[int, Any], int]  # at most so many bytes into a buffer; how many it were


class Patient(io.RawIOBase):
    """The raw side of a buffered reader; `budget` bytes may still come (None: any number)."""

    def __init__(self, sock: socket.socket, budget: int | None, timeout: float) -> None:
        super().__init__()
        # TLS gives a record at a time, 4 kB from Dovecot: recv_into would be another call for each.
        self._read = cast("_Read", sock.read) if isinstance(sock, ssl.SSLSocket) else _receive(sock)
        self._longest = timeout * RESPONSE_TIMEOUTS
        self.budget = budget
        self.deadline = time.monotonic() + self._longest

    def buffered(self) -> io.BufferedReader:
        """What lines and literals are read from."""
        return io.BufferedReader(self, BUFFER)

    def begin(self, give_up_at: float | None) -> None:
        """A new response begins; `give_up_at` (monotonic) is the end of the whole command's time."""
        self.deadline = time.monotonic() + self._longest
        if give_up_at is not None:
            self.deadline = min(self.deadline, give_up_at)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """One read. Raises TimeoutError at the deadline, OSError above the budget or when the line is gone."""
        if time.monotonic() > self.deadline:
            raise TimeoutError
        count = self._read(len(buffer), buffer)
        if self.budget is not None:
            self.budget -= count
            if self.budget < 0:
                raise OSError("more than a greeting")
        return count


def _receive(sock: socket.socket) -> _Read:
    return lambda size, buffer: sock.recv_into(buffer, size)


def is_readable(sock: socket.socket) -> bool:
    """Whether something waits to be read, the end of the line or a broken socket included; waits for nothing."""
    try:
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        poll = select.poll()  # select() knows no descriptors above 1023
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
