"""*Keep both*: the text of a window that lost a race becomes a draft of its own. Invariant: neither text is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, BinaryIO, cast

from django.core.files.storage import storages

from outbox.errors import FileRefused
from outbox.models import OutgoingMessage
from outbox.services import attach, save_draft, start_draft
from outbox.types import DraftFields, NewFile


def copy_draft(*, user: Any, draft: OutgoingMessage, fields: DraftFields) -> OutgoingMessage:
    """A second draft with `fields` and the uploaded files of the first. Raises NotAllowed."""
    kind = "new" if draft.is_from_server else draft.reply_kind
    original = draft.original if kind != "new" else None
    copy = start_draft(user=user, email_account=draft.email_account, original=original, kind=kind)
    html = fields.html
    for file in draft.attachments.exclude(stored=""):
        try:
            with storages["mail"].open(file.stored) as content:
                new = NewFile(file.file_name, file.content_type, cast(BinaryIO, content), inline=file.is_inline)
                made = attach(user=user, draft=copy, file=new)
        except (OSError, FileRefused):
            continue  # it stays with the first draft
        if file.is_inline:
            html = html.replace(f"cid:{file.content_id}", f"cid:{made.content_id}")
    return save_draft(user=user, draft=copy, version=copy.version, fields=replace(fields, html=html))
