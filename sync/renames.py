"""A renamed folder keeps its row, and with it every copy, cursor, link and note: nothing is fetched again.

Invariant: a name is only followed when the content proves it: the same epoch, and known copies that are the same messages
under the new name. Servers that give all folders one epoch, or a new folder of a deleted one's name, are not fooled by.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product

import structlog

from accounts.models import EmailAccount
from drivers.base import MailboxDriver
from drivers.errors import CursorInvalid, FolderGone, MessageGone, ProtocolError
from drivers.types import FolderRole, RemoteFolder
from mail.folders import NAME_LIMIT, merge_listing
from mail.models import Copy, CopyState, Folder
from mail.parse import parse_message

log = structlog.get_logger(__name__)
SAMPLE = 6  # of the newest and of the oldest copies
PAIRS = 20  # old and new names compared per listing


def refresh_folders(email_account: EmailAccount, driver: MailboxDriver) -> list[Folder]:
    """Bring the folder rows in line with the server's list; those on the server now. Raises drivers.errors.

    A list without an inbox is a server's strange moment: nothing is concluded from it.
    """
    listed = driver.list_folders()
    rows = list(Folder.objects.filter(email_account=email_account))
    if any(row.role == FolderRole.INBOX for row in rows) and all(one.role != FolderRole.INBOX for one in listed):
        log.warning("strange_folder_list", email_account=email_account.pk, count=len(listed))
        return [row for row in rows if row.gone_at is None]
    follow_renames(driver, rows, listed)
    driver.listed_at = time.monotonic()
    return merge_listing(email_account, listed, has_labels=driver.capabilities.labels)


def follow_renames(driver: MailboxDriver, rows: Sequence[Folder], listed: Sequence[RemoteFolder]) -> int:
    """Give rows whose folder has another name now that name; returns how many. Raises drivers.errors."""
    names, known = {one.id for one in listed}, {row.remote_id for row in rows}
    lost = [row for row in rows if row.remote_id not in names and row.epoch]
    new = [one for one in listed if one.id not in known and one.selectable and len(one.id) <= NAME_LIMIT]
    pairs = [(row, one) for row, one in product(lost, new) if row.epoch == one.epoch]
    followed: set[int | str] = set()
    for row, one in pairs[:PAIRS]:
        if row.pk in followed or one.id in followed or not _is_same(driver, row, one.id):
            continue
        followed |= {row.pk, one.id}
        Folder.objects.filter(pk=row.pk).update(remote_id=one.id, path=list(one.path), gone_at=None, last_error="")
        log.info("folder_renamed", folder=row.pk)
    return len(followed) // 2


def _is_same(driver: MailboxDriver, row: Folder, name: str) -> bool:
    """Whether known copies of the row are the same messages in the folder `name`."""
    rows = Copy.objects.filter(folder=row, epoch=row.epoch, state=CopyState.STORED).exclude(message__message_id="")
    ids = rows.exclude(message=None).values_list("remote_key", "message__message_id")
    sample = dict([*ids.order_by("-pk")[:SAMPLE], *ids.order_by("pk")[:SAMPLE]])
    try:
        found = {one.copy.key: parse_message(one.raw).message_id for one in driver.fetch_headers(name, list(sample))}
    except (FolderGone, CursorInvalid, MessageGone, ProtocolError):
        return False
    same = sum(found.get(key) == message_id[:1000] for key, message_id in sample.items())
    return bool(sample) and same == len(found) and same * 2 >= len(sample)
