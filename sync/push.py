"""Local changes to the server: rows of mail.Change, oldest first, repeated until done.

Invariants: a server that is away ends no change, however long; only a refusal that repeating cannot mend does, and the
person is told. A mailbox that must never be touched is not: its rows wait. A change that fails never stops receiving.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.base import MailboxDriver
from drivers.errors import (
    CursorInvalid,
    DriverError,
    FolderGone,
    MessageGone,
    PermissionMissing,
    ProtocolError,
    ServerBusy,
)
from mail.changes import apply_server_flags
from mail.models import Change, Copy, CopyState
from mail.store import lock_mailbox
from sync.push_moves import push_moves
from sync.push_refused import refuse

BATCH = 500
PATIENCE = timedelta(minutes=5)  # the longest wait between two tries
REFUSALS = 6  # times that a server may find no reason for its refusal, before it is believed


def due_changes() -> Q:
    """Changes whose time has come (or lies further ahead than we ever wait: the clock was wrong)."""
    now = timezone.now()
    return Q(next_try_at__isnull=True) | Q(next_try_at__lte=now) | Q(next_try_at__gt=now + PATIENCE)


def waiting(email_account: EmailAccount) -> QuerySet[Change]:
    """What is due now; nothing for a mailbox that is never touched (asked freshly: it may have been switched just now)."""
    return Change.objects.filter(
        due_changes(), email_account=email_account, email_account__is_read_only=False, done_at__isnull=True
    ).order_by("pk")


def push_changes(email_account: EmailAccount, driver: MailboxDriver) -> int:
    """Push what waits; returns how many rows were tried. Raises ServerUnreachable, AuthenticationFailed."""
    tried = _push_flags(email_account, driver)
    done: set[int] = set()
    while rows := _next_moves(email_account, done):  # each turn takes a message's first move
        done |= {row.pk for row in rows}
        groups: dict[tuple[int | None, int | None], list[Change]] = defaultdict(list)
        for row in rows:
            groups[row.source_id, row.target_id].append(row)
        for changes in groups.values():
            _try(changes, partial(push_moves, driver, changes))
    return tried + len(done)


def _push_flags(email_account: EmailAccount, driver: MailboxDriver) -> int:
    rows = list(waiting(email_account).filter(kind="flags")[:BATCH])
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Change]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.add), tuple(row.remove)].append(row)
    for (add, remove), changes in groups.items():
        _try(changes, partial(_set_flags, driver, changes, add, remove))
    return len(rows)


def _next_moves(email_account: EmailAccount, done: set[int]) -> list[Change]:
    """The oldest waiting move of each message, unless it was tried in this call: a later one must wait for it."""
    every = Change.objects.filter(email_account=email_account, done_at__isnull=True).exclude(kind="flags")
    first: dict[int, int] = {}
    for pk, message_id in every.order_by("pk").values_list("pk", "message_id"):
        first.setdefault(message_id, pk)
    ready = waiting(email_account).filter(pk__in=set(first.values()) - done)
    return list(ready.select_related("source", "target", "message")[:BATCH])


def _try(changes: list[Change], act: Callable[[], None]) -> None:
    try:
        act()
    except (FolderGone, PermissionMissing) as error:
        refuse(changes, error)
    except MessageGone:
        settle(changes)  # another client was faster: the server has the last word
    except ProtocolError as error:
        hopeless = [change for change in changes if change.attempts + 1 >= REFUSALS]
        refuse(hopeless, error)
        _try_later([change for change in changes if change not in hopeless])
    except (CursorInvalid, ServerBusy):
        _try_later(changes)
    except DriverError:
        _try_later(changes)
        raise


def _set_flags(driver: MailboxDriver, changes: list[Change], add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    copies = Copy.objects.filter(
        message__in=[change.message_id for change in changes], state=CopyState.STORED, missing_since__isnull=True
    ).select_related("folder")
    per_folder: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        if copy.epoch == copy.folder.epoch:
            per_folder[copy.folder.remote_id].append(copy)
    for folder_id, group in per_folder.items():
        if driver.epoch(folder_id) != group[0].epoch:
            raise CursorInvalid("the folder was numbered anew")  # the next run finds the copies, then this is pushed
        driver.set_flags(folder_id, [copy.remote_key for copy in group], add=add, remove=remove)
    _note_flags([copy.pk for copy in copies], changes, add, remove)


@transaction.atomic
def _note_flags(
    copy_ids: Sequence[int], changes: Sequence[Change], add: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    """Done; and what the server said while these changes waited is shown now."""
    lock_mailbox(changes[0].email_account_id)
    settle(changes)
    more, less = {one.lower() for one in add}, {one.lower() for one in remove}
    copies = Copy.objects.filter(pk__in=copy_ids)
    apply_server_flags([(copy, frozenset((set(copy.flags.split()) | more) - less)) for copy in copies])


def settle(changes: Sequence[Change]) -> None:
    """The server has it."""
    Change.objects.filter(pk__in=[change.pk for change in changes]).update(done_at=timezone.now())


def postpone(email_account: EmailAccount) -> None:
    """The server cannot be reached: what is due waits a little longer."""
    _try_later(list(waiting(email_account)[:BATCH]))


def _try_later(changes: Sequence[Change]) -> None:
    now = timezone.now()
    for change in changes:
        wait = min(PATIENCE, timedelta(seconds=5 * 2 ** min(change.attempts, 10)))
        Change.objects.filter(pk=change.pk, done_at__isnull=True).update(
            attempts=min(change.attempts + 1, 1000), next_try_at=now + wait
        )
