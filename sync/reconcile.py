"""The sets compared: what the server lists against the ledger's rows, and the difference mended.

A row that was lost is enumerated again; a stored row whose message was lost is fetched again; a row that the server
lacks is looked at twice (sync.absences). Runs daily for each folder, and whenever `sync_account` is called.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from accounts.models import EmailAccount, User
from drivers.base import MailboxDriver
from mail.folders import followed
from mail.models import Copy, CopyState, Folder
from notifications.models import Kind
from notifications.services import close, notify
from sync.enumerate import enumerate_page, is_another
from sync.leases import Held

log = structlog.get_logger(__name__)
EVERY = timedelta(hours=24)
NEWEST = 20  # copies looked at by their time and size


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found: ids without a row, rows without an id, stored rows without a message, ids that name another
    message than their row (of the newest).

    `unmended`: ids that have no row even after the folder was enumerated anew.
    """

    unknown: int
    missing: int
    orphaned: int
    unmended: int = 0
    reused: int = 0

    def __bool__(self) -> bool:
        return bool(self.unknown or self.missing or self.orphaned or self.reused)


def folders_to_compare(email_account: EmailAccount, *, all_of_them: bool) -> list[Folder]:
    """Followed folders that were not compared for a day (or all)."""
    return [folder for folder in followed(email_account) if all_of_them or is_due(folder)]


def is_due(folder: Folder) -> bool:
    """Whether the folder was not compared for a day."""
    return folder.compared_at is None or folder.compared_at < timezone.now() - EVERY


def compare(email_account: EmailAccount, driver: MailboxDriver, folder: Folder, held: Held) -> Difference:
    """Compare one folder and mend it; pending rows that appear are fetched by the caller. Raises drivers.errors."""
    listed = {copy.key for copy in driver.list_ids(folder.remote_id, since=email_account.since)}
    reused = _reused(driver, folder)
    found = _note(folder, listed, held)
    if found.unknown or reused:
        folder.cursor = None
        while enumerate_page(email_account, driver, folder, held):
            pass
        found = replace(found, unmended=len(listed - _known(folder)))
        folder.on_server = len(listed)
    Folder.objects.filter(pk=folder.pk).update(unmended=found.unmended, on_server=len(listed))
    found = replace(found, reused=reused)
    if found:
        log.warning(
            "ledger_mended",
            email_account=email_account.pk,
            folder=folder.pk,
            unknown=found.unknown,
            missing=found.missing,
            orphaned=found.orphaned,
            reused=reused,
        )
    return found


def _reused(driver: MailboxDriver, folder: Folder) -> int:
    """How many of the newest numbers name other messages now: a backup was put back, and mail that came since took them."""
    rows = Copy.objects.filter(folder=folder, epoch=folder.epoch, uid__isnull=False, missing_since__isnull=True)
    newest = {
        key: (at, size)
        for key, at, size in rows.order_by("-uid").values_list("remote_key", "received_at", "size")[:NEWEST]
    }
    told = [one.copy for one in driver.fetch_headers(folder.remote_id, list(newest))] if newest else []
    return sum(is_another(newest[copy.key], copy) for copy in told if copy.key in newest)


def _known(folder: Folder) -> set[str]:
    rows = Copy.objects.filter(folder=folder, epoch=folder.epoch, is_out_of_scope=False)
    return set(rows.values_list("remote_key", flat=True))


def tell_operator(email_account: EmailAccount) -> None:
    """A difference that could not be mended is told to those who run the servers; once it is gone, that is closed."""
    key = f"ledger:{email_account.pk}"
    count = followed_sum(email_account)
    if not count:
        close(key=key)
        return
    for user in User.objects.filter(Q(is_mail_administrator=True) | Q(is_staff=True), is_active=True):
        data = {"address": email_account.address, "count": count}
        notify(user=user, kind=Kind.LEDGER_DIFFERS, key=key, email_account=email_account, data=data)


def followed_sum(email_account: EmailAccount) -> int:
    """Messages that the server lists and that have no row, over the followed folders, at their last comparison."""
    rows = Folder.objects.filter(email_account=email_account, is_followed=True, gone_at__isnull=True)
    return int(rows.aggregate(sum=Sum("unmended"))["sum"] or 0)


@transaction.atomic
def _note(folder: Folder, listed: set[str], held: Held) -> Difference:
    held.check()
    now = timezone.now()
    rows = Copy.objects.filter(folder=folder, epoch=folder.epoch, is_out_of_scope=False)
    known = _known(folder)
    orphaned = rows.filter(state=CopyState.STORED, message__isnull=True).update(
        state=CopyState.PENDING, claimed_by="", claimed_until=None
    )
    absent = known - listed
    missing = (
        rows.filter(Q(remote_key__in=absent), missing_since__isnull=True).update(missing_since=now) if absent else 0
    )
    Folder.objects.filter(pk=folder.pk).update(on_server=len(listed), on_server_at=now, compared_at=now)
    folder.on_server, folder.on_server_at, folder.compared_at = len(listed), now, now
    return Difference(len(listed - known), missing, orphaned)
