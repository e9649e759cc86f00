"""What is due, re-derived from rows: the tick calls `ring_due` every few seconds, so a lost doorbell costs seconds.

Invariant: bounded work per call and indexed queries; ringing twice is harmless (leases and claims).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import Error, connection
from django.db.models import Q
from django.utils import timezone

from accounts.connections import mailbox
from accounts.models import AccountState, EmailAccount
from drivers.errors import DriverError
from mail.models import Change, Message
from mail.search import index_pending as index_some
from sync import claims
from sync.lanes import BIG
from sync.leases import interrupted, lease
from sync.listener_rows import free_dead as free_dead_listeners
from sync.listener_rows import has_line
from sync.models import Heartbeat, Lease
from sync.pipeline import is_asked
from sync.push import due_changes, postpone, push_changes, waiting
from sync.renames import refresh_folders

log = structlog.get_logger(__name__)
_indexing = threading.Lock()
MOST = 500  # mailboxes rung per tick
GUARD = timedelta(seconds=30)  # a mailbox that was rung is not rung again before this, unless its run says so

RESTS = timedelta(seconds=5)  # of a mailbox whose lane is full
BROKEN = timedelta(seconds=3)  # after the database broke a run
LONGEST_WAIT = timedelta(minutes=65)  # a busy server may ask for an hour
MANY = 1000  # messages that wait for the index
READING = 20  # mailboxes being read that are looked at for one
INDEX_WAITS = timedelta(seconds=60)  # at most, for the end of downloads
OTHERS_FETCH = timedelta(seconds=2)  # until the next look at a mailbox whose rest is claimed by others


def due_email_accounts() -> list[int]:
    """Active mailboxes whose time has come, those that a person asked for first; each is guarded against a second ring."""
    now = timezone.now()
    if cut_short := interrupted(Lease.Role.ENUMERATE):  # its worker died: on with it
        EmailAccount.objects.filter(pk__in=cut_short, failures=0).update(next_sync_at=now)
    active = EmailAccount.objects.filter(state=AccountState.ACTIVE, can_receive=True)
    asked = list(
        active.filter(sync_requested_at__isnull=False)
        .filter(
            Q(next_sync_at__isnull=True)
            | Q(next_sync_at__lte=now)
            | Q(sync_requested_at__lt=now - timedelta(seconds=10))
        )
        .order_by("sync_requested_at")
        .values_list("pk", flat=True)[:MOST]
    )
    timed = Q(next_sync_at__isnull=True) | Q(next_sync_at__lte=now) | _by_a_wrong_clock(now)
    due = list(active.filter(timed, auto_download=True).order_by("next_sync_at").values_list("pk", flat=True)[:MOST])
    ids = list(dict.fromkeys([*asked, *due]))
    EmailAccount.objects.filter(pk__in=ids).update(next_sync_at=now + GUARD)
    return ids


def _by_a_wrong_clock(now: datetime) -> Q:
    """Further ahead than such a mailbox ever waits: written while the clock was wrong."""
    poll = timedelta(seconds=settings.MAIL_POLL_SECONDS)
    longest = max(poll, timedelta(seconds=settings.MAIL_LISTENED_POLL_SECONDS))
    polled = Q(~has_line(), failures=0, next_sync_at__gt=now + poll + GUARD)
    listened = Q(failures=0, next_sync_at__gt=now + longest + GUARD)
    return polled | listened | Q(next_sync_at__gt=now + LONGEST_WAIT)


def accounts_to_push() -> list[int]:
    """Mailboxes with local changes that wait for the server."""
    due = due_changes()
    old = timezone.now() - timedelta(seconds=5)  # a fresh one was rung by the panel
    rows = Change.objects.filter(
        due,
        done_at__isnull=True,
        created_at__lt=old,
        email_account__state=AccountState.ACTIVE,
        email_account__is_read_only=False,
    )
    return list(rows.order_by().values_list("email_account_id", flat=True).distinct()[:MOST])


def has_work(email_account_id: int) -> bool:
    """Whether an active mailbox has pending copies that nobody fetches, or was asked for again while nobody reads it.

    What others are fetching just now is looked at again in a moment, by the tick.
    """
    account = EmailAccount.objects.filter(pk=email_account_id, state=AccountState.ACTIVE)
    if not account.exists():
        return False
    if claims.is_free(email_account_id) or _is_asked_and_free(email_account_id):
        return True
    if claims.is_waiting(email_account_id):
        account.update(next_sync_at=timezone.now() + OTHERS_FETCH)
    return False


def rest(email_account_id: int) -> None:
    """Its lane is full: looked at again in a moment, unless its run (a failure, say) has set a later time."""
    soon = timezone.now() + RESTS
    rung = Q(next_sync_at__isnull=True) | Q(next_sync_at__gt=soon, failures=0) | Q(next_sync_at__lte=timezone.now())
    EmailAccount.objects.filter(rung, pk=email_account_id).update(next_sync_at=soon)


def go_on_later(email_account_id: int) -> None:
    """The database broke a run (restarted, its disk full): the tick rings in a moment, when it takes that down."""
    connection.close()
    with suppress(Error):
        EmailAccount.objects.filter(pk=email_account_id).update(next_sync_at=timezone.now() + BROKEN)


def _is_asked_and_free(email_account_id: int) -> bool:
    reading = Lease.objects.filter(
        email_account=email_account_id, role=Lease.Role.ENUMERATE, expires_at__gt=timezone.now()
    ).exclude(holder="")
    return is_asked(email_account_id) and not reading.exists()


def list_folders(email_account_id: int) -> None:
    """Read the folder list of a mailbox, whatever its state; errors are the next run's business."""
    email_account = EmailAccount.objects.get(pk=email_account_id)
    if not email_account.can_receive:
        return
    try:
        with mailbox(email_account, purpose="click") as driver:
            refresh_folders(email_account, driver)
    except DriverError as error:
        log.info("folders_not_listed", email_account=email_account_id, error=type(error).__name__)


def push_now(email_account_id: int) -> None:
    """Push the local changes of a mailbox if nobody else does; errors leave the rows for later."""
    email_account = EmailAccount.objects.get(pk=email_account_id)
    if not waiting(email_account).exists():
        return
    with lease(email_account_id, Lease.Role.PUSH, "push") as held:
        if held is None:
            return
        try:
            with mailbox(email_account, purpose="click") as driver:
                push_changes(email_account, driver)
        except DriverError as error:
            postpone(email_account)
            log.info("changes_not_pushed", email_account=email_account_id, error=type(error).__name__)


def index_pending(seconds: float = 20.0, *, may_go_on: Callable[[], bool] = lambda: True) -> int:
    """Index what is visible and not searchable yet, newest first, for at most `seconds`; returns how many."""
    end = time.monotonic() + seconds
    total = 0
    while time.monotonic() < end and may_go_on() and (count := index_some(500)):
        total += count
    return total


def index_while_it_is_time(*, call_for_help: Callable[[], object] = lambda: None) -> int:
    """The same, until a download begins, and once at a time in this process; returns how many.

    `call_for_help` is called when there is enough for another process, too.
    """
    if not _indexing.acquire(blocking=False):
        return 0
    try:
        if Message.objects.filter(is_indexed=False)[:MANY].count() == MANY:
            call_for_help()
        return index_pending(may_go_on=is_time_to_index)
    finally:
        _indexing.release()


def is_time_to_index() -> bool:
    """Whether mail waits for the search index, and no download is just bringing more of it: what can be read comes first.

    A long download does not keep the index waiting for more than INDEX_WAITS.
    """
    waiting = Message.objects.filter(is_indexed=False)
    if not waiting.exists():
        return False
    is_downloading = any(claims.count_waiting(pk, BIG) >= BIG for pk in claims.being_fetched(READING))
    return not is_downloading or waiting.filter(created_at__lt=timezone.now() - INDEX_WAITS).exists()


def beat(name: str, **detail: object) -> None:
    """Say that a process of this kind is alive."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": detail})


def ring_due(ring_sync: Callable[[int], object], ring_push: Callable[[int], object]) -> int:
    """Ring for all that is due; returns how many doorbells."""
    free_dead_listeners()
    due, push = due_email_accounts(), accounts_to_push()
    for email_account_id in due:
        ring_sync(email_account_id)
    for email_account_id in push:
        ring_push(email_account_id)
    return len(due) + len(push)
