"""What is no longer on the server. Invariant: absence must be seen twice, and one strange answer deletes nothing.

First look: the copy is marked (`missing_since`). Second look: a full enumeration of the folder by another command; what
is still absent loses its copy. When most of a folder seems to be gone, the second look waits ten minutes.
A message without copies stays where it is linked, sent or processed, marked; others go to a trash for 30 days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, Max, OuterRef
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.base import MailboxDriver
from drivers.errors import FolderGone
from drivers.types import FolderChanges
from linking.models import MessageLink
from mail.models import Copy, CopyState, Folder, Message
from mail.store import erase_messages
from mail.threads import refresh
from sync.kept import keep_unread
from sync.leases import Held

MANY = 20  # copies
MOST = 0.5  # of the folder
PATIENCE = timedelta(minutes=10)  # before the second look at a folder that seems to have lost most of its mail
TRASH_KEPT = timedelta(days=30)


def note_missing(folder: Folder, changes: FolderChanges) -> int:
    """First look: mark what this answer lacks and unmark what is back; returns how many are newly marked."""
    rows = Copy.objects.filter(folder=folder, epoch=changes.epoch, is_out_of_scope=False)
    keys = set(changes.removed)
    if changes.present is not None:
        known = dict(rows.values_list("remote_key", "missing_since"))
        keys |= known.keys() - changes.present
        back = [key for key, since in known.items() if since is not None and key in changes.present]
        rows.filter(remote_key__in=back).update(missing_since=None)
    if not keys:
        return 0
    return rows.filter(remote_key__in=keys, missing_since__isnull=True).update(missing_since=timezone.now())


def retire_epoch(folder: Folder, epoch: int) -> None:
    """UIDVALIDITY changed: all older copies are missing now; the same mail under the new epoch adopts their messages."""
    old = Copy.objects.filter(folder=folder).exclude(epoch=epoch)
    old.filter(state=CopyState.PENDING).delete()
    old.filter(missing_since__isnull=True).update(missing_since=timezone.now())


def free_keys(folder: Folder, epoch: int, keys: Sequence[str]) -> None:
    """These keys name other messages now (a restored backup): their rows go, what they were is kept or put into the trash."""
    rows = Copy.objects.filter(folder=folder, epoch=epoch, remote_key__in=keys)
    messages = set(rows.exclude(message=None).values_list("message_id", flat=True))
    rows.delete()
    settle_gone(messages)


def look_again(email_account: EmailAccount, driver: MailboxDriver, folder: Folder, held: Held) -> int:
    """Second look at a folder with missing copies; returns how many copies went. Raises drivers.errors."""
    missing = Copy.objects.filter(folder=folder, missing_since__isnull=False)
    count = missing.count()
    if not count or _is_too_early(folder, count):
        return 0
    present = {copy.key for copy in driver.list_ids(folder.remote_id, since=email_account.since)}
    with transaction.atomic():
        held.check()
        rows = list(missing.values_list("pk", "remote_key", "epoch"))
        back = [pk for pk, key, epoch in rows if epoch == folder.epoch and key in present]
        Copy.objects.filter(pk__in=back).update(missing_since=None)
        gone = [pk for pk, _key, _epoch in rows if pk not in set(back)]
        return _drop(folder, gone, len(present))


def _is_too_early(folder: Folder, count: int) -> bool:
    """A folder that seems to have lost most of its mail is looked at again later (an old epoch is lost for certain)."""
    current = Copy.objects.filter(folder=folder, epoch=folder.epoch, is_out_of_scope=False)
    elsewhere = Copy.objects.filter(message=OuterRef("message"), missing_since=None)
    lost = current.filter(~Exists(elsewhere), missing_since__isnull=False)  # what was moved is safe
    if lost.count() < MANY or lost.count() < MOST * current.count():
        return False
    newest = lost.aggregate(newest=Max("missing_since"))["newest"]
    return newest is not None and timezone.now() - newest < PATIENCE


def settle_gone_folders(email_account: EmailAccount, driver: MailboxDriver, held: Held) -> int:
    """Second look at folders that have been missing from the list for a while; returns how many were deleted.

    Raises drivers.errors.
    """
    settled = 0
    filled = Exists(Copy.objects.filter(folder=OuterRef("pk")))
    gone = Folder.objects.filter(filled, email_account=email_account, gone_at__lt=timezone.now() - PATIENCE)
    for folder in gone:
        try:
            driver.epoch(folder.remote_id)
        except FolderGone:
            with transaction.atomic():
                held.check()
                _drop(folder, list(Copy.objects.filter(folder=folder).values_list("pk", flat=True)), 0)
            settled += 1
    return settled


def _drop(folder: Folder, copy_ids: list[int], on_server: int) -> int:
    keep_unread(Copy.objects.filter(pk__in=copy_ids))
    copies = Copy.objects.filter(pk__in=copy_ids, is_out_of_scope=False)
    messages = set(copies.exclude(message=None).values_list("message_id", flat=True))
    dropped = copies.count()
    copies.delete()
    Folder.objects.filter(pk=folder.pk).update(on_server=on_server, on_server_at=timezone.now())
    folder.on_server = on_server
    settle_gone(messages)
    return dropped


def settle_gone(message_ids: set[int]) -> None:
    """Messages that may have lost their last copy: keep and mark, or put into the trash."""
    here = Copy.objects.filter(message=OuterRef("pk"))
    lost = Message.objects.filter(pk__in=message_ids, gone_at=None).exclude(Exists(here))
    linked = MessageLink.objects.filter(message=OuterRef("pk"), is_rejected=False)
    rows = list(
        lost.annotate(is_linked=Exists(linked)).values_list(
            "pk", "thread_id", "is_linked", "is_outgoing", "processed_at"
        )
    )
    if not rows:
        return
    now = timezone.now()
    kept = {pk for pk, _t, is_linked, is_outgoing, processed in rows if is_linked or is_outgoing or processed}
    Message.objects.filter(pk__in=[row[0] for row in rows]).update(gone_at=now)
    Message.objects.filter(pk__in=[row[0] for row in rows if row[0] not in kept]).update(trashed_at=now)
    refresh(row[1] for row in rows)


def erase_trash(limit: int = 500) -> int:
    """Erase what lay in the trash for 30 days; returns how many messages went."""
    held = Copy.objects.filter(
        message=OuterRef("pk"), is_out_of_scope=False
    )  # a copy in an unfollowed trash holds nothing
    old = Message.objects.filter(~Exists(held), trashed_at__lt=timezone.now() - TRASH_KEPT)
    ids = list(old.values_list("pk", flat=True)[:limit])
    Copy.objects.filter(message__in=ids).delete()
    erase_messages(ids)
    return len(ids)
