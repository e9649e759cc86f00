"""From rows to the bytes that leave: built once, kept in the storage "mail", so that a second try sends the same message.

Reads rows and files; fetches parts of the original from the server where they are not cached.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone
from django.utils.crypto import get_random_string

from accounts.connections import mailbox
from base.addresses import is_valid
from drivers.errors import MessageGone
from mail.models import CopyState, Part
from outbox.compose import FilePart, Letter, Unwritable, build
from outbox.compose import envelope_of as written_address
from outbox.letter_html import used_content_ids
from outbox.models import OutgoingAttachment, OutgoingMessage
from outbox.plain_text import html_to_plain
from outbox.senders import written_by

BYTES_MOST = 100 * 1024 * 1024  # of attachments taken into memory


class NotBuilt(Exception):
    """The message cannot be written; the text says why, for the person."""


def envelope_of(address: str) -> str:
    """The address for MAIL FROM and RCPT TO. Raises NotBuilt."""
    try:
        return written_address(address)
    except Unwritable as error:
        raise NotBuilt(str(error)) from None


def raw_of(row: OutgoingMessage) -> bytes:
    """The bytes that leave, built at the first call and kept. Raises NotBuilt, drivers.errors."""
    storage = storages["mail"]
    if row.raw and storage.exists(row.raw):
        with closing(storage.open(row.raw)) as kept:
            return bytes(kept.read())
    raw = write(row)
    name = storage.save(f"outgoing/{row.pk % 1000}/{row.pk}-{get_random_string(10)}.eml", ContentFile(raw))
    OutgoingMessage.objects.filter(pk=row.pk).update(raw=name, size=len(raw))
    row.raw, row.size = name, len(raw)
    return raw


def write(row: OutgoingMessage, *, is_draft: bool = False) -> bytes:
    """Build the message now. A draft keeps Bcc and leaves out addresses that are not whole yet. Raises NotBuilt, drivers.errors."""
    try:
        return build(_letter(row, is_draft), with_bcc=is_draft)
    except Unwritable as error:
        raise NotBuilt(str(error)) from None


def _letter(row: OutgoingMessage, is_draft: bool) -> Letter:
    def pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
        return tuple((name, address) for name, address in found if not is_draft or is_valid(address))

    html, text = whole_html(row), ""
    if row.is_plain:
        html, text = "", whole_text(row)
    return Letter(
        sender=written_by(row),
        message_id=row.message_id,
        date=timezone.now(),
        to=pairs(row.to),
        cc=pairs(row.cc),
        bcc=pairs(row.bcc),
        subject=row.subject,
        text=text,
        html=html,
        in_reply_to=row.in_reply_to,
        references=tuple(row.references),
        files=tuple(_files(row, html)),
    )


def whole_html(row: OutgoingMessage) -> str:
    """What was written, with the quote where it is kept."""
    return f"{row.html}\n{row.quoted_html}" if row.keeps_quote and row.quoted_html else row.html


def whole_text(row: OutgoingMessage) -> str:
    """What was written in plain-text mode, with the quote where it is kept."""
    if not row.keeps_quote or not (row.quoted_text or row.quoted_html):
        return row.text
    return f"{row.text.rstrip()}\n\n{row.quoted_text or html_to_plain(row.quoted_html)}"


def _files(row: OutgoingMessage, html: str) -> Iterator[FilePart]:
    """Files in order; pictures that the text no longer shows stay behind."""
    shown, total = used_content_ids(html), 0
    for one in row.attachments.select_related("part__message__email_account"):
        if one.content_id and one.content_id not in shown:
            continue
        content = _content(one)
        total += len(content)
        if total > BYTES_MOST:
            raise NotBuilt("The attachments are too large to be sent together.")
        yield FilePart(one.file_name, one.content_type, content, one.content_id)


def _content(one: OutgoingAttachment) -> bytes:
    storage = storages["mail"]
    name = one.stored or (one.part.stored if one.part else "")
    if name and storage.exists(name):
        with closing(storage.open(name)) as kept:
            return bytes(kept.read())
    if one.part is None:
        raise NotBuilt(f"The attachment “{one.file_name}” is no longer there.")
    content = _from_server(one.part)
    stored = storage.save(
        f"outgoing/{one.message_id % 1000}/{one.message_id}-{get_random_string(10)}", ContentFile(content)
    )
    OutgoingAttachment.objects.filter(pk=one.pk).update(stored=stored, size=len(content))
    return content


def _from_server(part: Part) -> bytes:
    """A part of the original, from a copy that the server still has."""
    copies = part.message.copies.filter(
        state=CopyState.STORED, missing_since__isnull=True, folder__gone_at__isnull=True
    )
    with mailbox(part.message.email_account, purpose="click") as driver:
        for copy in copies.select_related("folder"):
            if driver.epoch(copy.folder.remote_id) != copy.epoch:
                continue
            content = bytearray()
            try:
                for chunk in driver.fetch_part(copy.folder.remote_id, copy.remote_key, part.section):
                    content += chunk
                    if len(content) > BYTES_MOST:
                        raise NotBuilt(f"The attachment “{part.file_name}” is too large to be sent.")
            except MessageGone:
                continue
            return bytes(content)
    raise NotBuilt(f"The attachment “{part.file_name}” is no longer on the server.")
