"""Messages on their way into the database, parsed as they come.

They are stored when there are enough of them and nobody else writes into the mailbox; while another worker does, more is
fetched and parsed instead of waiting for its lock. Invariant: what was gathered is stored before a run ends, however it
ends; until then its copies are pending and claimed, so that nothing is lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from intake.take_in import Fetched, Mailbox, Parsed, parse, store
from mail.store import is_locked

ENOUGH_COUNT = 600  # messages that are worth a transaction
ENOUGH_BYTES = 16 * 1024 * 1024
ENOUGH_SECONDS = 1.0  # a slow server: what came is shown meanwhile
MOST = 2  # times ENOUGH_COUNT are stored by one transaction, within MOST_BYTES; nobody waits for the lock before
MOST_BYTES = 32 * 1024 * 1024


class Gathered:
    """What a run has fetched and not stored yet; `note_progress` is called after each time it stored."""

    def __init__(self, mailbox: Mailbox, note_progress: Callable[[], None] = lambda: None) -> None:
        self.mailbox = mailbox
        self._note_progress = note_progress
        self.enough = (
            ENOUGH_COUNT  # messages; near the end of a download less, so that nobody waits for the last writer
        )
        self._empty()

    def _empty(self) -> None:
        self._parsed = Parsed()
        self._bytes = 0
        self._begun = time.monotonic()

    def add(self, batch: Sequence[Fetched]) -> None:
        """Parse these; store all that has gathered when it is time.

        What is held already is left out: a claim that ran out (a clock that was set) was taken again by this very run.
        """
        batch = [one for one in batch if one.copy.id not in self._parsed.raws]
        if not self._parsed.raws:
            self._begun = time.monotonic()
        self._parsed.add(parse(self.mailbox, batch))
        self._bytes += sum(len(one.remote.raw) for one in batch)
        if self._is_full() or (self._is_enough() and not is_locked(self.mailbox.email_account.pk)):
            self.store()

    def store(self) -> None:
        """Store what has gathered, now."""
        parsed = self._parsed
        self._empty()
        if parsed.raws:
            store(self.mailbox, parsed)
            self._note_progress()

    def _is_full(self) -> bool:
        return len(self._parsed.raws) >= MOST * ENOUGH_COUNT or self._bytes >= MOST_BYTES

    def _is_enough(self) -> bool:
        is_late = time.monotonic() - self._begun > ENOUGH_SECONDS
        return is_late or len(self._parsed.raws) >= self.enough or self._bytes >= ENOUGH_BYTES
