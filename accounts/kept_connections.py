"""Connections that stay open for a moment after a run, so that the next look needs no handshake and no sign-in.

Invariants: one thread has a connection at a time (who takes it takes it out); an idle one keeps its slot in the budget and
is the only one of its mailbox besides the standing line; what is not used for `IDLE_SECONDS` is closed. Only workers keep
connections (`begin`): a command ends, and a web process must not hold mailboxes.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import Error, close_old_connections, connection
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from accounts.models import ConnectionSlot
from drivers.base import MailboxDriver
from drivers.types import Login, ServerAddress

IDLE_SECONDS = 45.0  # longer than the time between two looks at a mailbox without a standing line
MOST = 200  # of one process
LOOK_EVERY = 5.0  # seconds between two looks for connections to close
SLOT_LIFE = timedelta(seconds=IDLE_SECONDS + 4 * LOOK_EVERY)

Key = tuple[ServerAddress, Login]


@dataclass(slots=True)
class Kept:
    """An open connection that nobody uses; `key` is what it was opened with, `slot` its place in the budget."""

    driver: MailboxDriver
    key: Key
    slot: ConnectionSlot
    since: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Say goodbye and give the place in the budget back (which runs out by itself where the database is away)."""
        self.driver.close()
        with suppress(Error):
            ConnectionSlot.objects.filter(pk=self.slot.pk).delete()


_kept: dict[int, Kept] = {}  # by email account
_lock = threading.Lock()
_ending = threading.Event()
_closer: threading.Thread | None = None


def begin() -> None:
    """From now on this process keeps connections (also one that was forked from one that does)."""
    global _closer
    with _lock:
        if _closer is None or not _closer.is_alive():
            _ending.clear()
            _closer = threading.Thread(target=_close_old, name="kept connections", daemon=True)
            _closer.start()


def end() -> None:
    """Close what is kept, and keep nothing any more."""
    global _closer
    with _lock:
        closer, _closer = _closer, None
    _ending.set()
    if closer is not None:
        closer.join(timeout=LOOK_EVERY)
    for one in _taken_out(older_than=0.0):
        one.close()


def borrow(email_account_id: int) -> Kept | None:
    """The kept connection of a mailbox, if its line still stands: the caller's, until it is put back or closed."""
    with _lock:
        found = _kept.pop(email_account_id, None)
    if found is not None and not found.driver.is_usable():
        found.close()
        return None
    return found


def take(email_account_id: int, key: Key) -> Kept | None:
    """The kept connection of a mailbox for a run, if it was opened with the same server and secret and has its slot."""
    found = borrow(email_account_id)
    if found is None:
        return None
    if found.key == key and ConnectionSlot.objects.filter(pk=found.slot.pk).exists():
        return found
    found.close()
    return None


def keep(email_account_id: int, kept: Kept) -> bool:
    """Lay a connection aside that ended its work well; False when it must be closed."""
    if _closer is None or len(_kept) >= MOST or not kept.driver.is_usable():
        return False
    others = ConnectionSlot.objects.filter(email_account=OuterRef("email_account")).exclude(purpose="listen")
    alone = ConnectionSlot.objects.filter(~Exists(others.exclude(pk=kept.slot.pk)), pk=kept.slot.pk)
    if not alone.update(purpose="kept", expires_at=Now() + SLOT_LIFE):
        return False
    put_back(email_account_id, kept)
    return True


def put_back(email_account_id: int, kept: Kept) -> None:
    """Lay aside what was borrowed."""
    with _lock:
        before = _kept.pop(email_account_id, None)
        _kept[email_account_id] = kept
    if before is not None:
        before.close()


def renew(kept: Kept) -> bool:
    """It was used just now; False if its place in the budget was lost meanwhile: then it must be closed."""
    kept.since = time.monotonic()
    return bool(ConnectionSlot.objects.filter(pk=kept.slot.pk).update(expires_at=Now() + SLOT_LIFE))


def _close_old() -> None:
    try:
        while not _ending.wait(LOOK_EVERY):
            for one in _taken_out(older_than=IDLE_SECONDS):
                one.close()
            close_old_connections()
    finally:
        connection.close()


def _taken_out(older_than: float) -> list[Kept]:
    now = time.monotonic()
    with _lock:
        old = [pk for pk, one in _kept.items() if now - one.since >= older_than]
        return [_kept.pop(pk) for pk in old]
