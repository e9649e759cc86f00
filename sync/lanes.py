"""Who may have how many of a worker's threads, so that nobody waits behind others' big or slow mailboxes.

    troubled: servers that failed or hang now · history: big downloads · quick: everything else, never turned away

One run over a mailbox at a time: a second thread of the same process would share its processor, and the server would have
two connections to serve for it. Other processes help.

Invariants: troubled and history together leave a quarter of the threads free; a mailbox whose lane is full is never
forgotten (its row says when it is looked at next), and its new mail comes even while its history waits. Counted in this
process: a prefork child has one task at a time and needs none of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from accounts.models import EmailAccount
from sync import claims

THREADS = 8  # of a worker, as the processes are started
HISTORY_MOST = THREADS // 2
TROUBLED_MOST = THREADS // 4
BIG = 500  # pending copies
HANGS_AFTER = 3.0  # seconds for a connection to be opened


class Lane(StrEnum):
    """How a run is treated."""

    QUICK = "quick"  # ends soon, goes on in another lane
    HISTORY = "history"
    NEW_MAIL_ONLY = "new_mail_only"  # a big mailbox while that lane is full: the newest, then it rests
    TROUBLED = "troubled"
    FULL = "full"  # come again
    TAKEN = "taken"  # this process reads the mailbox just now; that run rings again when work is left


BUDGETS = {Lane.QUICK: 3.0, Lane.HISTORY: 45.0, Lane.NEW_MAIL_ONLY: 0.0, Lane.TROUBLED: 45.0}  # seconds
MOST = {Lane.HISTORY: HISTORY_MOST, Lane.TROUBLED: TROUBLED_MOST}


@dataclass(slots=True)
class _Run:
    lane: Lane
    host: str
    email_account_id: int = 0
    began: float = field(default_factory=time.monotonic)
    is_open: bool = False


_runs: dict[int, _Run] = {}  # by thread
_lock = threading.Lock()


@contextmanager
def place(email_account_id: int) -> Iterator[Lane]:
    """The lane of a run over this mailbox, held while it goes on. FULL and TAKEN: do nothing."""
    account = EmailAccount.objects.get(pk=email_account_id)
    server = account.servers.exclude(protocol="smtp").values_list("host", "port", "url").first()
    host = ":".join(map(str, server or ()))
    is_big = claims.count_waiting(email_account_id, BIG) >= BIG
    me = threading.get_ident()
    with _lock:
        is_taken = any(run.email_account_id == email_account_id for run in _runs.values())
        is_failing = account.failures > 0 or _hangs(host)
        lane = Lane.TAKEN if is_taken else _choose(is_failing=is_failing, is_big=is_big)
        if lane in BUDGETS:
            _runs[me] = _Run(lane, host, email_account_id)
    try:
        yield lane
    finally:
        with _lock:
            _runs.pop(me, None)


def more_time() -> float:
    """Seconds more for this thread's run whose time is over: a quick one that turned out to be a download goes on in the
    lane of those, where there is room."""
    with _lock:
        run = _runs.get(threading.get_ident())
        in_history = sum(one.lane is Lane.HISTORY for one in _runs.values())
        if run is None or run.lane is not Lane.QUICK or in_history >= HISTORY_MOST:
            return 0.0
        run.lane = Lane.HISTORY
        return BUDGETS[Lane.HISTORY]


def opened() -> None:
    """This thread's connection stands: its server does not hang."""
    if run := _runs.get(threading.get_ident()):
        run.is_open = True


def _choose(*, is_failing: bool, is_big: bool) -> Lane:
    wanted = Lane.TROUBLED if is_failing else Lane.HISTORY if is_big else Lane.QUICK
    if wanted not in MOST or sum(run.lane is wanted for run in _runs.values()) < MOST[wanted]:
        return wanted
    return Lane.FULL if wanted is Lane.TROUBLED else Lane.NEW_MAIL_ONLY


def _hangs(host: str) -> bool:
    now = time.monotonic()
    return any(run.host == host and not run.is_open and now - run.began > HANGS_AFTER for run in _runs.values())
