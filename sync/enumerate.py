"""What the server has into the ledger: one page of changes, its rows and its cursor in one transaction.

Invariant: the cursor is written last, in the transaction of the rows it stands for; content comes later and never
touches it. A worker killed between pages repeats a page, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import EmailAccount
from base.arrays import one_of
from base.bulk import insert_rows
from base.persistence import do_not_wait_for_the_disk
from drivers.base import MailboxDriver
from drivers.errors import CursorInvalid
from drivers.types import FolderChanges, RemoteCopy
from mail.changes import apply_server_flags
from mail.models import Copy, CopyState, Folder, Message
from mail.store import lock_mailbox
from sync.absences import free_keys, note_missing, retire_epoch
from sync.leases import Held

PAGE = 2000  # new copies per page
NOT_A_MAIL = "not a mail"  # a meeting request, a report, a contact: in the ledger, never fetched
FIRST_PAGE = 200  # of a folder that was never looked at: its newest mail is shown while the rest is enumerated
ROW = (
    "email_account", "folder", "epoch", "remote_key", "uid", "state", "reason", "message", "raw", "received_at", "size",
    "flags", "object_id", "attempts", "claimed_by", "claimed_until", "missing_since", "is_out_of_scope",
)  # fmt: skip


def enumerate_page(email_account: EmailAccount, driver: MailboxDriver, folder: Folder, held: Held) -> bool:
    """Read one page of changes of a folder into the ledger; True if more pages are left. Raises drivers.errors."""
    cursor = folder.cursor if folder.enumerated_since == email_account.since else None
    if cursor is None and folder.enumerated_since != email_account.since:
        _rescope(folder, email_account.since)
    limit = PAGE if cursor else min(PAGE, FIRST_PAGE)
    try:
        changes = driver.fetch_changes(folder.remote_id, cursor, since=email_account.since, limit=limit)
    except CursorInvalid:  # numbered anew, or a backup was put back: the sets are compared at the end of this run
        Folder.objects.filter(pk=folder.pk).update(compared_at=None)
        changes = driver.fetch_changes(folder.remote_id, None, since=email_account.since, limit=PAGE)
    record(email_account, folder, changes, held)
    return changes.has_more


@transaction.atomic
def record(email_account: EmailAccount, folder: Folder, changes: FolderChanges, held: Held) -> None:
    """Write a page: new copies as pending, flags, what is missing, counts, and last the cursor."""
    do_not_wait_for_the_disk()  # the cursor is lost with the rows
    held.check()
    if folder.epoch != changes.epoch and folder.copies.exclude(epoch=changes.epoch).exists():
        retire_epoch(folder, changes.epoch)
    fresh = _add(email_account, folder, changes.epoch, changes.added)
    _flags(folder, changes)
    missing = note_missing(folder, changes)
    now = timezone.now()
    if changes.total is not None:
        folder.on_server, folder.on_server_at = changes.total, now
    elif folder.on_server is not None:
        folder.on_server, folder.on_server_at = max(0, folder.on_server + fresh - missing), now
    folder.epoch = changes.epoch
    folder.cursor = changes.cursor
    folder.enumerated_since = email_account.since
    folder.last_error = ""
    folder.save(update_fields=["epoch", "cursor", "on_server", "on_server_at", "enumerated_since", "last_error"])


def _add(email_account: EmailAccount, folder: Folder, epoch: int, added: Sequence[RemoteCopy]) -> int:
    """Insert the copies that are new; returns how many."""
    if not added:
        return 0
    keys = [copy.key for copy in added]
    here = Copy.objects.filter(one_of("remote_key", keys), folder=folder, epoch=epoch)
    known = {key: (at, size) for key, at, size in here.values_list("remote_key", "received_at", "size")}
    if known:
        here.filter(is_out_of_scope=True).update(is_out_of_scope=False)
        here.filter(missing_since__isnull=False).update(missing_since=None)
    reused = [copy for copy in added if copy.key in known and is_another(known[copy.key], copy)]
    if reused:
        free_keys(folder, epoch, [copy.key for copy in reused])
    fresh = [copy for copy in added if copy.key not in known] + reused
    objects = {copy.object_id for copy in fresh if copy.object_id}
    message_of = dict(
        Message.objects.filter(email_account=email_account, object_id__in=objects).values_list("object_id", "pk")
        if objects
        else ()
    )
    rows = [_row(folder, epoch, copy, message_of.get(copy.object_id)) for copy in fresh]
    insert_rows(Copy, ROW, rows, ignore_conflicts=True)  # a person may import one of them just now
    return len(fresh)


def is_another(known: tuple[datetime | None, int | None], copy: RemoteCopy) -> bool:
    """A restored backup counts on from an older UIDNEXT: the same key means another message, of another time or size.

    `known`: when it was received and its size, as we have them. Only numbers are given out again; other keys are not.
    """
    pairs = zip(known, (copy.received_at, copy.size), strict=True)
    return copy.uid is not None and any(a is not None and b is not None and a != b for a, b in pairs)


def _row(folder: Folder, epoch: int, copy: RemoteCopy, message_id: int | None) -> tuple[object, ...]:
    """A new copy in the order of ROW."""
    return (
        folder.email_account_id,
        folder.pk,
        epoch,
        copy.key,
        copy.uid,
        _state(copy, message_id).value,
        "" if copy.is_mail or copy.is_report else NOT_A_MAIL,
        message_id,
        "",
        copy.received_at,
        copy.size,
        " ".join(sorted(copy.flags))[:500],
        copy.object_id[:255],
        *(0, "", None, None, False),  # attempts, claimed by and until, missing, out of scope
    )


def _state(copy: RemoteCopy, message_id: int | None) -> CopyState:
    if not copy.is_mail and not copy.is_report:
        return CopyState.FILTERED
    return CopyState.PENDING if message_id is None else CopyState.STORED


def _flags(folder: Folder, changes: FolderChanges) -> None:
    flags = {copy.key: copy.flags for copy in changes.flags}
    if not flags:
        return
    lock_mailbox(folder.email_account_id)  # a copy that is being settled just now takes them, or is seen settled
    rows = Copy.objects.filter(folder=folder, epoch=changes.epoch, remote_key__in=list(flags))
    apply_server_flags([(row, flags[row.remote_key]) for row in rows])


@transaction.atomic
def _rescope(folder: Folder, since: date | None) -> None:
    """The period changed: rows before it are out of scope (nothing is removed but what was never fetched)."""
    rows = Copy.objects.filter(folder=folder)
    if since is None:
        rows.update(is_out_of_scope=False)
        return
    before = rows.filter(received_at__date__lt=since)
    before.filter(state=CopyState.PENDING).delete()
    before.update(is_out_of_scope=True)
