"""The listener's bookkeeping, beside its lines: takes mailboxes, renews what it holds, asks for runs, notices silence.

It talks to the lines (`sync.listener`) by two queues and never touches a socket. Invariants: a mailbox is asked for in its
row before its task is rung, so a lost doorbell costs seconds; several listeners share the mailboxes evenly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

import structlog
from django.utils import timezone
from kombu.exceptions import OperationalError

from drivers.errors import DriverError, PushUnavailable
from sync import listener_rows as rows
from sync.listener_rows import Where
from sync.listener_silence import WEEKS, Rhythm, is_unusual, rhythm
from sync.policy import decide

log = structlog.get_logger(__name__)
SCAN_EVERY = 2.0  # seconds between two looks at which mailboxes there are
RENEW_EVERY = 4.0
SILENCE_EVERY = 60.0
RHYTHM_KEPT = 6 * 3600.0
RHYTHMS_AT_ONCE = 20  # read per look
COALESCE = 0.5  # a mailbox is rung at once, and then at most so often
OPENING_AT_ONCE = 32
GIVE_AWAY = 50  # lines given to another listener per scan
STEADY = 60.0  # a line that stood so long has not failed


@dataclass(frozen=True, slots=True)
class Opened:
    """A line stands."""

    email_account_id: int


@dataclass(frozen=True, slots=True)
class News:
    """A line rang."""

    email_account_id: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A line could not be opened, or ended."""

    email_account_id: int
    error: DriverError


@dataclass(frozen=True, slots=True)
class Open:
    """To the lines: open this one."""

    where: Where


@dataclass(frozen=True, slots=True)
class Drop:
    """To the lines: close this one."""

    email_account_id: int


@dataclass(frozen=True, slots=True)
class Probe:
    """To the lines: renew this one now, which shows whether it is alive."""

    email_account_id: int


@dataclass(slots=True)
class Keeper:
    """`events` come from the lines, `tell` gives them orders, `ring` rings the task of a mailbox."""

    holder: str
    ring: Callable[[int], object]
    tell: Callable[[Open | Drop | Probe], None]
    events: SimpleQueue[Opened | News | Lost] = field(default_factory=SimpleQueue)
    held: dict[int, float | None] = field(default_factory=dict)  # since when the line stands; None while opening
    _failures: dict[int, tuple[int, float]] = field(default_factory=dict)  # how often in a row, not before
    _rung: dict[int, float] = field(default_factory=dict)  # when
    _to_ring: dict[int, bool] = field(default_factory=dict)  # whether its line rang (else we ask by ourselves)
    _rhythms: dict[int, tuple[float, Rhythm]] = field(default_factory=dict)
    _looked: dict[int, datetime] = field(default_factory=dict)  # silence up to here is known about
    _scan_at: float = 0.0
    _renew_at: float = 0.0
    _silence_at: float = 0.0

    def step(self, wait: float = 0.0) -> None:
        """Take what the lines say (for the first of it up to `wait` seconds), then do what is due. Raises database errors."""
        self._take_events(wait)
        self._ring_asked()
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + RENEW_EVERY
            self._renew()
        if now >= self._scan_at:
            self._scan_at = now + SCAN_EVERY
            self._scan()
        if now >= self._silence_at:
            self._silence_at = now + SILENCE_EVERY
            self._listen_to_silence()

    def give_all_back(self) -> None:
        """The end: other listeners may have them at once."""
        rows.give_back(self.holder, list(self.held))
        rows.say_goodbye(self.holder)
        self.held.clear()

    # what the lines say

    def _take_events(self, wait: float) -> None:
        if self._to_ring:
            wait = min(wait, COALESCE / 2)
        opened: list[int] = []
        try:
            event = self.events.get(timeout=wait) if wait > 0 else self.events.get_nowait()
            while True:
                self._take(event, opened)
                event = self.events.get_nowait()
        except Empty:
            pass
        if opened:
            rows.note_opened(opened)
            self._to_ring.update(dict.fromkeys(opened, False))  # what came before the line stood
            self._scan_at = 0.0  # there is room for more

    def _take(self, event: Opened | News | Lost, opened: list[int]) -> None:
        pk = event.email_account_id
        if pk not in self.held:
            return
        if isinstance(event, Opened):
            self.held[pk] = time.monotonic()
            opened.append(pk)
        elif isinstance(event, News):
            self._to_ring[pk] = True
        else:
            self._lost(pk, event.error)

    def _lost(self, pk: int, error: DriverError) -> None:
        since = self.held.pop(pk)
        log.info("line_lost", email_account=pk, error=type(error).__name__, said=error.server_said[:100])
        count = 1 if since and time.monotonic() - since > STEADY else self._failures.get(pk, (0, 0.0))[0] + 1
        self._failures[pk] = (count, time.monotonic() + decide(error, count).delay * (count > 1 or since is None))
        if isinstance(error, PushUnavailable):
            rows.note_polled(pk, "no_idle")
        rows.give_back(self.holder, [pk])

    def _ring_asked(self) -> None:
        now = time.monotonic()
        due = {pk: news for pk, news in self._to_ring.items() if now - self._rung.get(pk, 0.0) >= COALESCE}
        if not due:
            return
        for is_news in (True, False):
            if ids := [pk for pk, news in due.items() if news == is_news]:
                rows.ask(ids, is_news=is_news)
        for pk in due:
            del self._to_ring[pk]
            self._rung[pk] = now
            try:
                self.ring(pk)
            except (OperationalError, OSError) as error:  # the row asks; the tick rings again
                log.warning("doorbell_failed", error=type(error).__name__)

    # what is held

    def _renew(self) -> None:
        for pk in set(self.held) - rows.renew(self.holder, self.held):
            self._drop(pk)

    def _drop(self, pk: int) -> None:
        self.held.pop(pk, None)
        self._to_ring.pop(pk, None)
        self.tell(Drop(pk))

    def _scan(self) -> None:
        """New, paused and removed mailboxes; this listener's share of them all."""
        rows.free_dead()
        wanted = rows.wanted()
        if unwanted := set(self.held) - wanted:
            self._leave(unwanted)
        listeners = rows.beat(self.holder, sum(since is not None for since in self.held.values()))
        share = -(-len(wanted) // listeners)
        excess = len(self.held) - share - (listeners > 1)  # one too many is not worth moving
        if excess > 0:
            self._leave(set(sorted(self.held)[-min(excess, GIVE_AWAY) :]))
        self._forget(wanted)
        opening = sum(since is None for since in self.held.values())
        now = time.monotonic()
        resting = {pk for pk, (_count, until) in self._failures.items() if until > now}
        self._take_more(wanted - set(self.held) - resting, min(share - len(self.held), OPENING_AT_ONCE - opening))

    def _leave(self, ids: set[int]) -> None:
        for pk in ids:
            self._drop(pk)
        rows.give_back(self.holder, list(ids))

    def _forget(self, wanted: set[int]) -> None:
        for known in (self._failures, self._rung, self._rhythms, self._looked):
            for pk in set(known) - wanted:
                del known[pk]

    def _take_more(self, free: set[int], limit: int) -> None:
        taken = rows.take(self.holder, free, limit)
        places = rows.where(taken) if taken else {}
        for pk in taken:
            place = places.get(pk)
            self.held[pk] = None
            if place is None:  # no usable secret: the poll asks the person
                self._lost(pk, DriverError("no usable secret is kept"))
            else:
                self.tell(Open(place))

    # silence

    def _listen_to_silence(self) -> None:
        """Mail that came without a word from its line; mailboxes that are quiet as they never are."""
        lines = {pk for pk, since in self.held.items() if since is not None}
        for pk in rows.unannounced(lines):
            log.warning("push_unreliable", email_account=pk)
            rows.note_polled(pk, "unreliable")
            rows.tell_unreliable(pk)
            self._leave({pk})
        now = timezone.now()
        fresh = 0
        for pk, heard in rows.last_heard(set(self.held)).items():
            kept = self._rhythms.get(pk)
            if kept is None or time.monotonic() - kept[0] > RHYTHM_KEPT:
                if fresh >= RHYTHMS_AT_ONCE:
                    continue
                fresh += 1
                moments = rows.received_moments(pk, now - timedelta(weeks=WEEKS))
                kept = self._rhythms[pk] = (time.monotonic(), rhythm(moments, now))
            if is_unusual(kept[1], max(heard, self._looked.get(pk, heard)), now):
                self._looked[pk] = now
                self._to_ring.setdefault(pk, False)  # looked at by another way: a run of its own
                self.tell(Probe(pk))
