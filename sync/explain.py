"""*Why isn't this email here?* The answer from the ledger and, if asked, from the server.

Reads only, but for `import_anyway`, which takes one message in whatever the period and the chosen folders say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from accounts.connections import mailbox
from accounts.models import EmailAccount
from base.addresses import normalise_address
from drivers.base import MailboxDriver
from drivers.errors import FolderGone, MessageGone, PermissionMissing
from drivers.types import RemoteMessage
from intake.take_in import Fetched, take_in
from mail.hashes import id_hash
from mail.models import Copy, CopyState, Folder, Message
from mail.parse import parse_message
from mail.thread_keys import normalise_message_id
from sync.pipeline import describe_mailbox

MOST = 20  # findings shown


@dataclass(frozen=True, slots=True)
class Finding:
    """One email that may be the one meant. `kind`: here | gone | trash | failed | filtered | pending | out_of_period |
    folder_not_followed | on_server (known to the server, not to us). Texts are hostile."""

    kind: str
    subject: str
    sender: str
    received_at: datetime | None
    folder: str
    folder_id: int | None = None
    remote_key: str = ""
    message_id: int | None = None
    copy_id: int | None = None
    reason: str = ""

    @property
    def can_be_imported(self) -> bool:
        """Whether *Import anyway* makes sense."""
        return self.kind in ("out_of_period", "folder_not_followed", "on_server", "failed", "filtered")


def from_ledger(email_account: EmailAccount, question: str) -> list[Finding]:
    """What the ledger knows about an address, words of a subject, or a Message-ID; the newest first."""
    question = question.strip()[:500]
    if not question:
        return []
    found = Message.objects.filter(email_account=email_account)
    if _is_message_id(question):
        found = found.filter(message_id_hash=id_hash(normalise_message_id(question)))
    elif address := normalise_address(question):
        found = found.filter(from_address=address)
    else:
        found = found.filter(subject__icontains=question)
    messages = list(found.order_by("-received_at")[:MOST])
    return [_about_message(message) for message in messages]


def unread_copies(email_account: EmailAccount) -> list[Finding]:
    """Everything that is not here for a reason of ours: failed and filtered copies, the newest first."""
    copies = Copy.objects.filter(email_account=email_account, state__in=[CopyState.FAILED, CopyState.FILTERED])
    return [
        Finding(
            copy.state, "", "", copy.received_at, str(copy.folder), copy.folder_id, copy.remote_key,
            copy_id=copy.pk, reason=copy.reason,
        )
        for copy in copies.select_related("folder").order_by("-received_at")[:200]
    ]  # fmt: skip


def from_server(email_account: EmailAccount, question: str) -> list[Finding]:
    """What the server has and we do not, in all its folders. Raises drivers.errors."""
    question = question.strip()[:500]
    found: list[Finding] = []
    with mailbox(email_account, purpose="click") as driver:
        folders = Folder.objects.filter(email_account=email_account, is_selectable=True, gone_at__isnull=True)
        for folder in folders.order_by("-is_followed", "pk"):
            for remote in _on_server(driver, folder, question):
                found.append(_about_remote(email_account, folder, driver.epoch(folder.remote_id), remote))
                if len(found) >= MOST:
                    return found
    return found


def import_anyway(email_account: EmailAccount, folder: Folder, remote_key: str) -> Message | None:
    """Take one message in, whatever period and folders say. None when it cannot be read. Raises MessageGone, drivers.errors."""
    with mailbox(email_account, purpose="click") as driver:
        epoch = driver.epoch(folder.remote_id)
        remote = next(iter(driver.fetch_messages(folder.remote_id, [remote_key], whole_below=driver.whole_below)), None)
        if remote is None:
            raise MessageGone("this email is no longer on the server")
        since = email_account.since
        is_in_scope = folder.is_followed and (
            since is None or remote.copy.received_at is None or remote.copy.received_at.date() >= since
        )
        copy, _ = Copy.objects.get_or_create(
            folder=folder,
            epoch=epoch,
            remote_key=remote_key,
            defaults={
                "email_account": email_account,
                "uid": remote.copy.uid,
                "received_at": remote.copy.received_at,
                "size": remote.copy.size,
                "object_id": remote.copy.object_id,
                "is_out_of_scope": not is_in_scope,
            },
        )
        Copy.objects.filter(pk=copy.pk).exclude(state=CopyState.STORED).update(
            state=CopyState.PENDING, reason="", attempts=0, missing_since=None, claimed_by="", claimed_until=None
        )
        copy.refresh_from_db()
        wanted = replace(remote, copy=replace(remote.copy, is_report=False))  # somebody asks for it: it is mail
        take_in(describe_mailbox(email_account), [Fetched(copy, wanted)])
    copy.refresh_from_db()
    return copy.message


def try_again(email_account: EmailAccount, copy_ids: list[int]) -> int:
    """Put failed copies back into the queue (after an update that reads them, say); returns how many."""
    copies = Copy.objects.filter(email_account=email_account, pk__in=copy_ids, state=CopyState.FAILED)
    copies.exclude(raw="").update(is_out_of_scope=False)  # read from what is kept, wherever the server's went
    count = copies.update(state=CopyState.PENDING, reason="", attempts=0, claimed_by="", claimed_until=None)
    EmailAccount.objects.filter(pk=email_account.pk).update(sync_requested_at=timezone.now())
    return count


def _is_message_id(question: str) -> bool:
    return question.startswith("<") or (("@" in question) and not normalise_address(question))


def _about_message(message: Message) -> Finding:
    copies = list(Copy.objects.filter(message=message).select_related("folder"))
    live = [copy for copy in copies if copy.folder.gone_at is None]
    kind = "here"
    if message.trashed_at:
        kind = "trash"
    elif not live:
        kind = "gone"
    where = str(live[0].folder) if live else ""
    return Finding(kind, message.subject, message.from_address, message.received_at, where, message_id=message.pk)


def _on_server(driver: MailboxDriver, folder: Folder, question: str) -> Iterator[RemoteMessage]:
    try:
        if _is_message_id(question):
            wanted = f"<{normalise_message_id(question)}>"
            keys = [copy.key for copy in driver.find(folder.remote_id, wanted)]
            yield from driver.fetch_headers(folder.remote_id, keys[-MOST:])
        elif address := normalise_address(question):
            yield from driver.search(folder.remote_id, sender=address, limit=MOST)
        else:
            yield from driver.search(folder.remote_id, subject=question, limit=MOST)
    except (FolderGone, PermissionMissing):
        return


def _about_remote(email_account: EmailAccount, folder: Folder, epoch: int, remote: RemoteMessage) -> Finding:
    parsed = parse_message(remote.raw[: 64 * 1024])
    copy = Copy.objects.filter(folder=folder, epoch=epoch, remote_key=remote.copy.key).first()
    at = remote.copy.received_at
    if copy is not None and copy.message_id is not None:
        kind = "here"
    elif copy is not None:
        kind = copy.state
    elif not folder.is_followed:
        kind = "folder_not_followed"
    elif email_account.since and at and at.date() < email_account.since:
        kind = "out_of_period"
    else:
        kind = "on_server"
    return Finding(
        kind,
        parsed.subject,
        parsed.from_[0].address if parsed.from_ else "",
        at,
        str(folder),
        folder.pk,
        remote.copy.key,
        message_id=copy.message_id if copy else None,
        copy_id=copy.pk if copy else None,
        reason=copy.reason if copy else "",
    )
