"""The copy of a sent mail in the mailbox's Sent folder, and its way through intake.

Invariant: one copy. Sent is asked by Message-ID first; where the server files by itself (Gmail, Exchange) nothing is
appended. The row in the ledger is the one that sync would make: (folder, epoch, key) of the server's own copy, and what
is taken in is what the server gives back, so that sync finds it stored and nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from drivers.base import MailboxDriver
from drivers.types import RemoteCopy
from intake.take_in import Fetched, describe, take_in
from mail.models import Copy, CopyState, Folder
from outbox.building import raw_of
from outbox.models import OutgoingMessage, SentCopy

# Keys of providers whose servers file what they send by themselves, though IMAP does not say so.
FILED_BY_PROVIDER = ("gmail", "google_workspace", "microsoft365", "outlook_com")
SERVER_TRIES = 8  # looks for the copy that the server should have filed


def sent_folder(row: OutgoingMessage) -> Folder | None:
    """The Sent folder of the message's mailbox."""
    rows = Folder.objects.filter(email_account=row.email_account, role="sent", gone_at__isnull=True)
    return rows.order_by("pk").first()


def find_sent(driver: MailboxDriver, row: OutgoingMessage) -> list[RemoteCopy]:
    """Copies of this message in Sent, by its Message-ID."""
    folder = sent_folder(row)
    return driver.find(folder.remote_id, f"<{row.message_id}>") if folder is not None else []


def files_by_itself(driver: MailboxDriver, row: OutgoingMessage) -> bool:
    """Whether the server puts a copy of what it sends into Sent."""
    provider = row.email_account.provider
    return driver.capabilities.saves_sent_copy or (provider is not None and provider.key in FILED_BY_PROVIDER)


def file_copy(driver: MailboxDriver, row: OutgoingMessage, is_mine: Callable[[], bool]) -> None:
    """See that one copy lies in Sent, and take it in. `is_mine` says whether this worker still holds the claim.

    Leaves `sent_copy` waiting when the server should file it and has not yet. Raises NotBuilt, drivers.errors.
    """
    folder = sent_folder(row)
    if folder is None or not is_mine():
        return
    found = find_sent(driver, row)
    if not found and files_by_itself(driver, row):
        if row.server_attempts >= SERVER_TRIES:
            OutgoingMessage.objects.filter(pk=row.pk).update(
                sent_copy=SentCopy.UNAVAILABLE,
                copy_error="the server files sent mail by itself, and this one is not there",
            )
        return
    if not found and row.email_account.is_read_only:
        OutgoingMessage.objects.filter(pk=row.pk).update(
            sent_copy=SentCopy.UNAVAILABLE, copy_error="this mailbox is set never to be changed"
        )
        return
    if not found:
        raw = raw_of(row)
        if not is_mine():
            return
        driver.append(folder.remote_id, raw, flags=("\\Seen",))
        found = find_sent(driver, row)
        _keep_one(driver, folder, found)
    taken = _take_in(driver, row, folder, found[0].key) if found else None
    OutgoingMessage.objects.filter(pk=row.pk).update(sent_copy=SentCopy.FILED, copy_error="", stored_message=taken)


def _keep_one(driver: MailboxDriver, folder: Folder, found: list[RemoteCopy]) -> None:
    """Two workers at the same moment: the older copy stays."""
    if len(found) > 1:
        found.sort(key=lambda copy: (copy.uid or 0, copy.key))
        driver.delete(folder.remote_id, [copy.key for copy in found[1:]])
        del found[1:]


def _take_in(driver: MailboxDriver, row: OutgoingMessage, folder: Folder, key: str) -> int | None:
    """Store what the server has; returns the message's id, None where it could not be read (it is parked then)."""
    epoch = driver.epoch(folder.remote_id)
    remote = next(iter(driver.fetch_messages(folder.remote_id, [key], whole_below=settings.MAIL_WHOLE_BELOW)), None)
    if remote is None:
        return None
    values = {
        "email_account": row.email_account,
        "uid": remote.copy.uid,
        "received_at": remote.copy.received_at or timezone.now(),
        "size": remote.copy.size,
        "flags": " ".join(sorted(remote.copy.flags))[:500],
        "object_id": remote.copy.object_id[:255],
    }
    copy, is_new = Copy.objects.get_or_create(folder=folder, epoch=epoch, remote_key=key, defaults=values)
    if is_new and folder.epoch == epoch:
        Folder.objects.filter(pk=folder.pk, on_server__isnull=False).update(on_server=F("on_server") + 1)
    if copy.state == CopyState.PENDING:
        drafts = Folder.objects.filter(email_account=row.email_account, role="drafts").values_list("pk", flat=True)
        take_in(describe(row.email_account, drafts=list(drafts)), [Fetched(copy, remote)])
        copy.refresh_from_db()
    return copy.message_id
