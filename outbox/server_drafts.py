"""Drafts in the server's Drafts folder: ours kept there as one copy, those of other programs taken in.

Invariants: a new version is filed before the old one is deleted; a key is used in its own epoch only; a draft with
changes that are not on the server yet is never overwritten by what lies there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from accounts.connections import mailbox
from accounts.models import EmailAccount
from drivers.base import MailboxDriver
from drivers.errors import DriverError
from drivers.types import RemoteCopy
from mail.headers import clean_file_name
from mail.models import Folder
from mail.parse import Unreadable, extract_part, parse_safely
from mail.types import Address, ParsedMessage
from outbox.building import write
from outbox.letter_html import clean_written
from outbox.models import OutgoingAttachment, OutgoingMessage, SendState
from outbox.services.drafts import SETTLE, forget_files, new_message_id
from outbox.services.files import safe_type

log = structlog.get_logger(__name__)
DRAFTS_MOST = 100  # of the server's Drafts that are looked at, newest first
WHOLE_BELOW = 25 * 1024 * 1024
_ID = re.compile(r"[!-;=?-~]{3,290}")


def drafts_folder(email_account: EmailAccount) -> Folder | None:
    """The server's Drafts folder; None where there is none, or where the mailbox must never be changed."""
    if email_account.is_read_only:
        return None
    rows = Folder.objects.filter(email_account=email_account, role="drafts", gone_at__isnull=True, is_selectable=True)
    return rows.order_by("pk").first()


def keep(driver: MailboxDriver, row: OutgoingMessage) -> None:
    """Bring the draft's newest version to the server, one copy of it. Raises NotBuilt, drivers.errors."""
    folder = drafts_folder(row.email_account)
    mine = OutgoingMessage.objects.filter(pk=row.pk, version=row.version, updated_at=row.updated_at)
    if folder is None or row.draft_version == row.version:
        mine.update(server_due_at=None)
        return
    raw = write(row, is_draft=True)
    epoch = driver.epoch(folder.remote_id)
    old = row.draft_key if row.draft_key and row.draft_epoch == epoch else None
    key = driver.replace_draft(folder.remote_id, old, raw)
    copies = driver.find(folder.remote_id, f"<{row.message_id}>")
    key = key or (max(copies, key=_age).key if copies else "")
    stray = [copy.key for copy in copies if copy.key != key]
    if key and stray:  # a worker that ended between filing and writing it down
        driver.delete(folder.remote_id, stray)
    OutgoingMessage.objects.filter(pk=row.pk).update(
        draft_key=key, draft_epoch=epoch, draft_version=row.version, server_attempts=0
    )
    mine.update(server_due_at=None)


def _age(copy: RemoteCopy) -> tuple[int, float, str]:
    return copy.uid or 0, copy.received_at.timestamp() if copy.received_at else 0.0, copy.key


def remove(driver: MailboxDriver, row: OutgoingMessage) -> None:
    """Take the draft's copy off the server: it was sent or discarded. Raises drivers.errors."""
    folder = drafts_folder(row.email_account)
    if folder is None or not row.draft_key:
        return
    keys = {copy.key for copy in driver.find(folder.remote_id, f"<{row.message_id}>")}
    if driver.epoch(folder.remote_id) == row.draft_epoch:
        keys.add(row.draft_key)
    if keys:
        driver.delete(folder.remote_id, sorted(keys))
    OutgoingMessage.objects.filter(pk=row.pk).update(draft_key="", draft_version=0)


def read_drafts(email_account_id: int) -> int:
    """Take in what other programs left in Drafts, for the mailbox's owner; returns how many drafts are new or changed.

    Errors of the server are the next look's business.
    """
    email_account = EmailAccount.objects.select_related("owner").get(pk=email_account_id)
    folder = drafts_folder(email_account)
    if folder is None or not email_account.can_receive:
        return 0
    try:
        with mailbox(email_account, purpose="click") as driver:
            epoch = driver.epoch(folder.remote_id)
            copies = sorted(driver.list_ids(folder.remote_id, since=None), key=_age, reverse=True)
            here = {copy.key for copy in copies}
            fresh = _unknown(email_account, epoch, copies)
            remote = list(driver.fetch_messages(folder.remote_id, fresh, whole_below=WHOLE_BELOW)) if fresh else []
    except DriverError as error:
        log.info("drafts_not_read", email_account=email_account_id, error=type(error).__name__)
        return 0
    taken = sum(_take(email_account, one.copy.key, epoch, one.raw) for one in remote if one.is_complete)
    _forget_gone(email_account, epoch, here)
    return taken


def _unknown(email_account: EmailAccount, epoch: int, copies: Sequence[RemoteCopy]) -> list[str]:
    rows = OutgoingMessage.objects.filter(email_account=email_account, draft_epoch=epoch).exclude(draft_key="")
    known = set(rows.values_list("draft_key", flat=True))
    return [copy.key for copy in copies[:DRAFTS_MOST] if copy.key not in known]


def _take(email_account: EmailAccount, key: str, epoch: int, raw: bytes) -> bool:
    try:
        parsed = parse_safely(raw)
    except Unreadable:
        return False
    with transaction.atomic():
        identity = parsed.message_id
        rows = OutgoingMessage.objects.select_for_update().filter(message_id=identity) if identity else None
        row = rows.first() if rows is not None else None
        if row is not None and (row.email_account_id != email_account.pk or not _may_replace(row)):
            return False
        if row is None:
            is_good = bool(identity) and _ID.fullmatch(identity) is not None
            row = OutgoingMessage(
                email_account=email_account,
                author=email_account.owner,
                message_id=identity if is_good else new_message_id(email_account),
                is_from_server=True,
            )
            row.save()
        else:
            forget_files(row)
            row.version += 1
        _fill(row, parsed)
        row.draft_key, row.draft_epoch, row.draft_version = key, epoch, row.version
        row.server_due_at = None
        row.save()
        _files(row, parsed, raw)
    return True


def _may_replace(row: OutgoingMessage) -> bool:
    """Whether the server's version may replace ours: a draft that has no change here since it was last brought there."""
    settled = row.updated_at < timezone.now() - SETTLE
    return row.state == SendState.DRAFT and row.server_due_at is None and row.draft_version == row.version and settled


def _fill(row: OutgoingMessage, parsed: ParsedMessage) -> None:
    def pairs(found: Sequence[Address]) -> list[list[str]]:
        return [[one.name, one.address] for one in found[:500] if one.address or one.name]

    row.subject = parsed.subject[:900]
    row.to, row.cc, row.bcc = pairs(parsed.to), pairs(parsed.cc), pairs(parsed.bcc)
    keys = [one.address for one in parsed.from_[:1]]
    alias = row.email_account.aliases.filter(address_key__in=keys).first()
    row.from_address = alias.address if alias is not None else ""
    row.html, row.text, row.is_plain = clean_written(parsed.html), parsed.text, not parsed.html
    row.quoted_html = row.quoted_text = ""
    row.in_reply_to, row.references = parsed.in_reply_to[:1000], list(parsed.references)[:200]


def _files(row: OutgoingMessage, parsed: ParsedMessage, raw: bytes) -> None:
    for part in parsed.parts[:200]:
        try:
            _part, content = extract_part(raw, part.id)
        except KeyError:
            continue
        name = storages["mail"].save(f"outgoing/{row.pk % 1000}/{row.pk}-{get_random_string(10)}", ContentFile(content))
        OutgoingAttachment.objects.create(
            message=row,
            stored=name,
            file_name=clean_file_name(part.file_name)[:250] or "attachment",
            content_type=safe_type(part.content_type),
            size=len(content),
            content_id=part.content_id[:200] if part.is_inline else "",
        )


def _forget_gone(email_account: EmailAccount, epoch: int, here: set[str]) -> None:
    """Drafts of other programs that are gone from the server (sent or discarded there) and were not touched here go too."""
    old: dict[str, Any] = {"updated_at__lt": timezone.now() - timedelta(seconds=60), "server_due_at__isnull": True}
    rows = OutgoingMessage.objects.filter(
        email_account=email_account, state=SendState.DRAFT, is_from_server=True, draft_epoch=epoch, version=1, **old
    ).exclude(draft_key="")
    for row in rows:
        if row.draft_key not in here:
            forget_files(row)
            row.delete()
