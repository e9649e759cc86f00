"""Local changes to the server: rows of mail.Change, oldest first, repeated until done. Setting a flag twice is harmless."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.base import MailboxDriver
from drivers.errors import CursorInvalid, DriverError, FolderGone, MessageGone, PermissionMissing
from mail.models import Change, Copy, CopyState

ATTEMPTS = 50
BATCH = 500


def push_changes(email_account: EmailAccount, driver: MailboxDriver) -> int:
    """Push what waits; returns how many rows were done. A change that the server refuses for good is marked with why."""
    due = Q(next_try_at__isnull=True) | Q(next_try_at__lte=timezone.now())
    rows = list(Change.objects.filter(due, email_account=email_account, done_at__isnull=True).order_by("pk")[:BATCH])
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Change]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.add), tuple(row.remove)].append(row)
    for (add, remove), changes in groups.items():
        try:
            _set_flags(driver, changes, add, remove)
        except (FolderGone, MessageGone, PermissionMissing) as error:
            _settle(changes, str(error) or type(error).__name__)
        except CursorInvalid:
            _try_later(changes)
        except DriverError:
            _try_later(changes)
            raise
        else:
            _settle(changes)
    return len(rows)


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
        for copy in group:
            flags = (set(copy.flags.split()) | {one.lower() for one in add}) - {one.lower() for one in remove}
            copy.flags = " ".join(sorted(flags))[:500]
        Copy.objects.bulk_update(group, ["flags"], batch_size=500)


def _settle(changes: list[Change], reason: str = "") -> None:
    Change.objects.filter(pk__in=[change.pk for change in changes]).update(
        done_at=timezone.now(), failed_reason=reason[:300]
    )


def _try_later(changes: list[Change]) -> None:
    for change in changes:
        wait = timedelta(seconds=min(3600, 5 * 2 ** min(change.attempts, 10)))
        Change.objects.filter(pk=change.pk).update(attempts=change.attempts + 1, next_try_at=timezone.now() + wait)
    Change.objects.filter(pk__in=[c.pk for c in changes], attempts__gte=ATTEMPTS).update(
        done_at=timezone.now(), failed_reason="The server did not take this change in many tries"
    )
