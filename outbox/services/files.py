"""Attachments of a draft: uploaded files and parts of stored mail.

Invariant: the bytes of a draft's files never exceed what may be sent; a name holds no path and no control character.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Sum
from django.template.defaultfilters import filesizeformat
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts.models import EmailAccount
from mail.headers import clean_file_name
from mail.models import Part
from mail.queries import visible_parts
from outbox.errors import FileRefused, NotAllowed
from outbox.letter_html import Picture
from outbox.models import OutgoingAttachment, OutgoingMessage
from outbox.rights import lock_draft
from outbox.types import NewFile

FILES_MOST = 200
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,80}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,100}")


def size_limit(email_account: EmailAccount) -> int:
    """Bytes that attachments may have together: what the server announced (SIZE), less a third for base64."""
    server = email_account.servers.filter(protocol="smtp").first()
    announced = (server.capabilities or {}).get("size_limit") if server else None
    whole = announced if isinstance(announced, int) and announced > 0 else settings.SEND_SIZE_MOST
    return max(0, (whole - 200_000) * 57 // 78)


def safe_type(text: str) -> str:
    """A media type fit for a header; what is none, and what a mail program would unpack, is a plain file."""
    if not _TYPE.fullmatch(text) or text.lower().startswith(("multipart/", "message/")):
        return "application/octet-stream"
    return text.lower()


def attach(*, user: Any, draft: OutgoingMessage, file: NewFile) -> OutgoingAttachment:
    """Keep an uploaded file with the draft; an inline picture gets a content id. Raises FileRefused, NotAllowed, WrongState."""
    name = clean_file_name(file.name) or _("attachment")
    with transaction.atomic():
        row = lock_draft(user, draft)
        free = _free(row)
    limited = _Limited(file.content, free)
    stored = storages["mail"].save(_place(row), limited)
    try:
        if limited.is_over:
            raise FileRefused(_refusal(free))
        with transaction.atomic():
            row = lock_draft(user, draft)
            if limited.taken > _free(row):
                raise FileRefused(_refusal(_free(row)))
            attachment = OutgoingAttachment.objects.create(
                message=row,
                stored=stored,
                file_name=name[:255],
                content_type=safe_type(file.content_type),
                size=limited.taken,
                content_id=f"{uuid.uuid4().hex}@inline" if file.inline else "",
            )
            _changed(row)
            return attachment
    except BaseException:
        storages["mail"].delete(stored)
        raise


def keep_pictures(row: OutgoingMessage, pictures: Sequence[Picture]) -> None:
    """Make files of pictures that stood in the text; those that are here already are left alone. Raises FileRefused.

    The caller holds the draft's lock.
    """
    known = set(row.attachments.values_list("content_id", flat=True)) if pictures else set()
    for one in pictures:
        if one.content_id in known:
            continue
        if len(one.content) > _free(row):
            raise FileRefused(_refusal(_free(row)))
        kind = one.content_type.partition("/")[2]
        stored = storages["mail"].save(_place(row), ContentFile(one.content))
        OutgoingAttachment.objects.create(
            message=row,
            stored=stored,
            file_name=f"picture.{kind}",
            content_type=one.content_type,
            size=len(one.content),
            content_id=one.content_id,
        )


def _place(row: OutgoingMessage) -> str:
    return f"outgoing/{row.pk % 1000}/{row.pk}-{get_random_string(10)}"


def _refusal(free: int) -> str:
    return _(
        "The server takes %(free)s more with this email. The file was not attached. Send a link to it instead."
    ) % {"free": filesizeformat(max(0, free))}


class _Limited(File):
    """A file that stops giving bytes above a limit; a client's claim about the size is not believed."""

    def __init__(self, content: BinaryIO, limit: int) -> None:
        super().__init__(content, name="upload")
        self.content = content
        self.limit, self.taken, self.is_over = limit, 0, False

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while piece := self.content.read(chunk_size or 64 * 1024):
            self.taken += len(piece)
            if self.taken > self.limit:
                self.is_over = True
                return
            yield piece

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:
        return True


def _free(row: OutgoingMessage) -> int:
    if row.attachments.count() >= FILES_MOST:
        raise FileRefused(_("An email takes %(count)s files at most.") % {"count": FILES_MOST})
    used = row.attachments.aggregate(total=Sum("size"))["total"] or 0
    return size_limit(row.email_account) - used


def _changed(row: OutgoingMessage) -> None:
    """The files are part of the draft on the server, too; the version a window shows stays good."""
    OutgoingMessage.objects.filter(pk=row.pk).update(draft_version=0, server_due_at=row.updated_at)


@transaction.atomic
def attach_part(*, user: Any, draft: OutgoingMessage, part: Part) -> OutgoingAttachment:
    """Attach a part of a stored mail that the person may see. Raises FileRefused, NotAllowed, WrongState."""
    row = lock_draft(user, draft)
    if not visible_parts(user).filter(pk=part.pk).exists():
        raise NotAllowed(_("This attachment is not yours to send."))
    if part.size > _free(row):
        raise FileRefused(_refusal(_free(row)))
    _changed(row)
    return OutgoingAttachment.objects.create(
        message=row,
        part=part,
        file_name=clean_file_name(part.file_name)[:255] or _("attachment"),
        content_type=safe_type(part.content_type),
        size=part.size,
    )


@transaction.atomic
def detach(*, user: Any, attachment: OutgoingAttachment) -> None:
    """Take a file off a draft. Raises NotAllowed, WrongState."""
    row = lock_draft(user, attachment.message)
    stored = attachment.stored
    attachment.delete()
    _changed(row)
    if stored:
        transaction.on_commit(lambda: storages["mail"].delete(stored))
