"""Moves and deletes on the server, and the ledger after them.

Invariants: the row is marked begun before the server is asked, so whoever takes it back knows that it may be done; where
the server tells the new key, the copy's row follows it and nothing is fetched again.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from drivers.base import MailboxDriver
from drivers.errors import CursorInvalid, FolderGone
from mail.models import Change, Copy, CopyState, Folder

LOOKED_FOR = 3  # tries to find a message before it is said to have gone


def push_moves(driver: MailboxDriver, changes: Sequence[Change]) -> None:
    """Move the messages of these changes, which share source and target. Raises drivers.errors."""
    source, target = changes[0].source, changes[0].target
    if source is None or target is None:
        raise FolderGone("The folder is gone.")
    if source.epoch and driver.epoch(source.remote_id) != source.epoch:
        raise CursorInvalid("the folder was numbered anew")
    begun = _begin(changes)
    keys: dict[str, Change] = {}
    copies: dict[str, Copy] = {}
    for change in begun:
        copy = _copy_of(change, source)
        key = copy.remote_key if copy else _look_for(driver, change, source.remote_id)
        if key is not None:
            keys[key] = change
        if copy is not None:
            copies[copy.remote_key] = copy
    moved = driver.move(source.remote_id, list(keys), target.remote_id) if keys else {}
    epoch = target.epoch or (driver.epoch(target.remote_id) if moved else 0)
    with transaction.atomic():
        _follow(source, target, epoch, [(copies.get(key), keys[key], moved.get(key)) for key in keys])
        _settle(list(keys.values()))
    _unfound(driver, [change for change in begun if change not in keys.values()], target)


def _begin(changes: Sequence[Change]) -> list[Change]:
    """Mark them; those that were taken back meanwhile are left out. `change.begun_at` stays what it was before."""
    rows = Change.objects.filter(pk__in=[change.pk for change in changes], done_at__isnull=True)
    rows.update(begun_at=timezone.now())
    still = set(rows.values_list("pk", flat=True))
    return [change for change in changes if change.pk in still]


def _copy_of(change: Change, source: Folder) -> Copy | None:
    rows = Copy.objects.filter(
        message=change.message_id,
        folder=source,
        epoch=source.epoch,
        state=CopyState.STORED,
        missing_since__isnull=True,
    )
    return rows.order_by("pk").first()


def _look_for(driver: MailboxDriver, change: Change, folder_id: str) -> str | None:
    """The key of a message whose copy we do not know there: by its Message-ID, if that names exactly one."""
    if not change.message.message_id:
        return None
    found = driver.find(folder_id, f"<{change.message.message_id}>")
    return found[0].key if len(found) == 1 else None


def _follow(
    source: Folder, target: Folder, epoch: int, moved: Sequence[tuple[Copy | None, Change, str | None]]
) -> None:
    """The copies' rows to where they are now; the counts with them."""
    if epoch and not target.epoch:
        Folder.objects.filter(pk=target.pk, epoch=0).update(epoch=epoch)
    left = arrived = 0
    for copy, change, key in moved:
        left += copy is not None and not copy.is_out_of_scope
        if key is None or not epoch:
            if copy is not None:
                copy.delete()  # the next run finds it in the target and knows it again
            continue
        arrived += _arrive(copy, change, target, (epoch, key))
    for folder, count in ((source, -left), (target, arrived)):
        if count:
            rows = Folder.objects.filter(pk=folder.pk, on_server__isnull=False)
            rows.update(on_server=Greatest(F("on_server") + count, 0))


def _arrive(copy: Copy | None, change: Change, target: Folder, place: tuple[int, str]) -> bool:
    """One row in the target; True if it is new there and counts."""
    epoch, key = place
    there = Copy.objects.filter(folder=target, epoch=epoch, remote_key=key).first()
    if there is not None:  # a run was faster, or a label that the mail had before
        Copy.objects.filter(pk=there.pk).update(
            message=change.message_id, state=CopyState.STORED, reason="", missing_since=None
        )
        if copy is not None:
            copy.delete()
        return False
    row = copy or Copy(
        email_account_id=change.email_account_id,
        message_id=change.message_id,
        state=CopyState.STORED,
        received_at=change.message.received_at,
        size=change.message.size,
    )
    row.folder, row.epoch, row.remote_key = target, epoch, key
    row.uid = int(key) if key.isdigit() else None
    row.is_out_of_scope, row.missing_since = not target.is_followed, None
    row.save()
    return target.is_followed


def _unfound(driver: MailboxDriver, changes: Sequence[Change], target: Folder) -> None:
    """No copy in the source: done already (the answer was lost), moved by somebody else, or not seen by a run yet."""
    unknown = False
    for change in changes:
        is_done = change.begun_at is not None and _look_for(driver, change, target.remote_id) is not None
        if is_done or change.attempts + 1 >= LOOKED_FOR:
            _settle([change])
        else:
            unknown = True
    if unknown:
        raise CursorInvalid("a copy is not known yet")


def _settle(changes: Sequence[Change]) -> None:
    if not changes:
        return
    Change.objects.filter(pk__in=[change.pk for change in changes]).update(done_at=timezone.now())
