"""Attachments on demand: from the cache, else from the server by part, then kept (with a cap) through Django storages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import IO, BinaryIO, cast

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.core.files.temp import NamedTemporaryFile
from django.db.models import Sum
from django.utils import timezone
from django.utils.crypto import get_random_string

from accounts.connections import mailbox
from drivers.base import MailboxDriver
from drivers.errors import MessageGone
from mail.models import Copy, CopyState, Message, Part

log = structlog.get_logger(__name__)
CHUNK = 256 * 1024
LARGEST = 200 * 1024 * 1024  # bytes: a larger part is not brought through the web


class PartTooLarge(Exception):
    """The part is larger than we pass on."""


def open_part(part: Part, *, purpose: str = "click") -> BinaryIO:
    """The decoded bytes of a part, from its first byte. Raises MessageGone, PartTooLarge, drivers.errors."""
    storage = storages["mail"]
    if part.stored and storage.exists(part.stored):
        return storage.open(part.stored)  # type: ignore[return-value]
    if part.size > LARGEST:
        raise PartTooLarge
    buffer = NamedTemporaryFile(suffix=".part")  # noqa: SIM115 - handed on where the cache takes no more
    try:
        size = 0
        for chunk in _from_server(part, purpose):
            size += len(chunk)
            if size > LARGEST:
                raise PartTooLarge
            buffer.write(chunk)
        buffer.seek(0)
        name = _keep(part, buffer)
    except BaseException:
        buffer.close()
        raise
    if not name:
        buffer.seek(0)
        return cast(BinaryIO, buffer)
    buffer.close()
    Part.objects.filter(pk=part.pk).update(stored=name, stored_at=timezone.now(), size=size)
    part.stored = name
    return storage.open(name)  # type: ignore[return-value]


def keep_part(part: Part) -> None:
    """Into the cache without being opened. Raises MessageGone, PartTooLarge, drivers.errors."""
    Part.objects.filter(pk=part.pk).update(stored_at=timezone.now())  # tried: an impossible one is not tried for ever
    open_part(part, purpose="sync").close()


def _keep(part: Part, content: IO[bytes]) -> str:
    """The name in the cache; "" where the disk takes no more."""
    try:
        return storages["mail"].save(f"parts/{part.message_id % 1000}/{part.pk}-{get_random_string(8)}", File(content))
    except OSError as error:
        log.warning("part_not_kept", part=part.pk, error=type(error).__name__)
        return ""


def copy_on_server(message: Message) -> Copy:
    """A copy to read the message from. Raises MessageGone when the server has none any more."""
    copies = Copy.objects.filter(message=message, state=CopyState.STORED, missing_since__isnull=True)
    for copy in copies.select_related("folder"):
        if copy.epoch == copy.folder.epoch and copy.folder.gone_at is None:
            return copy
    raise MessageGone("this email is no longer on the server")


def _from_server(part: Part, purpose: str) -> Iterator[bytes]:
    copy = copy_on_server(part.message)
    with mailbox(part.message.email_account, purpose=purpose) as driver:
        _check_epoch(driver, copy)
        yield from driver.fetch_part(copy.folder.remote_id, copy.remote_key, part.section)


def _check_epoch(driver: MailboxDriver, copy: Copy) -> None:
    if driver.epoch(copy.folder.remote_id) != copy.epoch:
        raise MessageGone("the folder was numbered anew; the next run finds this email again")


def raw_source(message: Message) -> Iterator[bytes]:
    """The whole RFC 5322 source, from the server. Raises MessageGone, drivers.errors."""
    copy = copy_on_server(message)
    with mailbox(message.email_account, purpose="click") as driver:
        _check_epoch(driver, copy)
        yield from driver.fetch_raw(copy.folder.remote_id, copy.remote_key)


def trim_cache(limit: int = 200) -> int:
    """Forget the oldest cached parts above the cap (and only those the server still has); returns how many went."""
    kept = Part.objects.exclude(stored="")
    total = kept.aggregate(total=Sum("size"))["total"] or 0
    trimmed = 0
    old = kept.filter(stored_at__lt=timezone.now() - timedelta(hours=1), message__gone_at__isnull=True)
    for part in old.order_by("stored_at")[:limit]:
        if total <= settings.MAIL_PART_CACHE_BYTES:
            break
        storages["mail"].delete(part.stored)
        Part.objects.filter(pk=part.pk).update(stored="", stored_at=None)
        total -= part.size
        trimmed += 1
    return trimmed
