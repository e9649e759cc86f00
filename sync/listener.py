"""`manage.py listen`: one process holds the standing lines (IDLE) of hundreds of mailboxes by one selector.

    keeper thread: takes mailboxes, renews leases, asks for runs  ⇄  this: the sockets  ⇄  a few threads that sign in

Invariants: nothing here waits for one server, so a slow one delays nobody; signing in blocks only its own thread; a line
that ends is given back, opened again later, and its mailbox is polled meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

import structlog
from django.db import Error, connection

from base.process import give_memory_back, holder_name
from drivers.base import PushChannel
from drivers.errors import DriverError, PushUnavailable
from drivers.registry import push_channel
from sync.listener_keeper import Drop, Keeper, Lost, News, Open, Opened, Probe
from sync.listener_rows import Where

log = structlog.get_logger(__name__)
OPENERS = 8  # threads that sign in
TURN = 1.0  # seconds between two looks at which lines are due
TIDY = 10.0  # seconds; opening a line needs far more memory than keeping it
GOODBYE = 1.5  # seconds for the rows at the end


class Listener:
    """Runs until `stop`. `ring` rings the task of a mailbox."""

    def __init__(self, ring: Callable[[int], object], *, openers: int = OPENERS) -> None:
        self.keeper = Keeper(holder_name(), ring, self._tell)
        self.lines: dict[int, PushChannel] = {}
        self._expected: set[int] = set()  # to be opened, not dropped meanwhile
        self._orders: SimpleQueue[Open | Drop | Probe | tuple[int, PushChannel]] = SimpleQueue()
        self._to_open: SimpleQueue[Where] = SimpleQueue()
        self._openers = openers
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, None)

    def stop(self) -> None:
        """End soon; may be called in a signal handler or from another thread."""
        self._stopping.set()
        self._wake()

    def run(self) -> None:
        """Watch until stopped."""
        keeping = threading.Thread(target=self._keep, name="keeper", daemon=True)
        threads = [keeping, *(threading.Thread(target=self._open_lines, daemon=True) for _ in range(self._openers))]
        for thread in threads:
            thread.start()
        try:
            due_at = tidy_at = 0.0
            while not self._stopping.is_set():
                self._turn()
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + TURN
                    self._renew_due()
                if time.monotonic() >= tidy_at:
                    tidy_at = time.monotonic() + TIDY
                    give_memory_back()
        finally:
            self._stopping.set()
            keeping.join(GOODBYE)
            for line in self.lines.values():
                line.close()
            self._selector.close()

    # the sockets

    def _turn(self) -> None:
        for key, _events in self._selector.select(TURN):
            if key.data is None:
                with suppress(BlockingIOError):
                    while self._ear.recv(4096):
                        pass
                continue
            self._hear(key.data)
        with suppress(Empty):
            while True:
                self._obey(self._orders.get_nowait())

    def _hear(self, pk: int) -> None:
        line = self.lines.get(pk)
        if line is None:
            return
        try:
            if line.on_readable():
                self.keeper.events.put(News(pk))
        except DriverError as error:
            self._end(pk, error)

    def _renew_due(self) -> None:
        now = time.monotonic()
        for pk in [pk for pk, line in self.lines.items() if line.due_at <= now]:
            self._renew(pk)

    def _renew(self, pk: int) -> None:
        try:
            self.lines[pk].renew()
        except DriverError as error:
            self._end(pk, error)

    def _end(self, pk: int, error: DriverError | None) -> None:
        line = self.lines.pop(pk, None)
        if line is not None:
            self._forget_socket(pk)
            line.close()
        if error is not None:
            self.keeper.events.put(Lost(pk, error))

    def _forget_socket(self, pk: int) -> None:
        """The channel may have closed its socket already: then it is found by what was registered with it."""
        for key in list(self._selector.get_map().values()):
            if key.data == pk:
                self._selector.unregister(key.fileobj)

    def _obey(self, order: Open | Drop | Probe | tuple[int, PushChannel]) -> None:
        match order:
            case Open(where):
                self._expected.add(where.email_account_id)
                self._to_open.put(where)
            case Drop(pk):
                self._expected.discard(pk)
                self._end(pk, None)
            case Probe(pk):
                if pk in self.lines:
                    self._renew(pk)
            case (pk, line):
                self._begin(pk, line)

    def _begin(self, pk: int, line: PushChannel) -> None:
        if pk not in self._expected:
            line.close()
            return
        self._expected.discard(pk)
        self._end(pk, None)
        try:
            self._selector.register(line.fileno(), selectors.EVENT_READ, pk)
        except DriverError as error:
            self.keeper.events.put(Lost(pk, error))
            return
        self.lines[pk] = line
        self.keeper.events.put(Opened(pk))
        self._hear(pk)  # what was read ahead

    # the other threads

    def _tell(self, order: Open | Drop | Probe) -> None:
        self._orders.put(order)
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):
            self._bell.send(b"!")

    def _open_lines(self) -> None:
        while True:
            where = self._to_open.get()
            pk = where.email_account_id
            if pk not in self._expected:
                continue
            line = push_channel(where.protocol, where.server, where.login)
            try:
                if line is None:
                    raise PushUnavailable("This protocol knows no push.")
                line.open()
            except DriverError as error:
                self._expected.discard(pk)
                self.keeper.events.put(Lost(pk, error))
                continue
            self._orders.put((pk, line))
            self._wake()

    def _keep(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self.keeper.step(wait=0.5)
                except Error as error:  # the database is away: the lines stay, their news are kept
                    log.warning("listener_rows_failed", error=type(error).__name__)
                    connection.close()
                    self._stopping.wait(1.0)
            with suppress(Error):
                self.keeper.give_all_back()
        finally:
            connection.close()
