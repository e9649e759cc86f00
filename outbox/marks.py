"""\\Answered and $Forwarded on the original: shown here at once, a row for sync to push to the server."""

from __future__ import annotations

from django.db import transaction

from mail.models import Change, Message
from outbox.models import OutgoingMessage, ReplyKind


@transaction.atomic
def mark_original(row: OutgoingMessage) -> None:
    """Mark the message that was answered or forwarded, once."""
    is_mine = OutgoingMessage.objects.filter(pk=row.pk, is_marked=False).update(is_marked=True)
    if not is_mine or row.original_id is None or row.reply_kind == ReplyKind.NEW:
        return
    original = Message.objects.filter(pk=row.original_id, is_draft=False).first()
    if original is None:
        return
    keyword = "$Forwarded" if row.reply_kind == ReplyKind.FORWARD else "\\Answered"
    if keyword == "\\Answered":
        Message.objects.filter(pk=original.pk).update(is_answered=True)
    Change.objects.create(email_account_id=original.email_account_id, message=original, add=[keyword], remove=[])
