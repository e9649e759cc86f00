"""A sent mail of which the mailbox keeps no copy (it only sends, is never to be changed, or its server took none): it goes
through intake like any other and lives here alone.

Invariants: what is stored is exactly what left; it has no row in the ledger, because no server has it; a copy that
appears on the server later is recognised as this mail (mail.store adopts it).
"""

from __future__ import annotations

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from drivers.types import RemoteCopy, RemoteMessage
from intake.take_in import Fetched, describe, take_in
from mail.models import Copy, Folder, Message, Part
from mail.parse import extract_part
from outbox.building import raw_of
from outbox.models import OutgoingMessage

log = structlog.get_logger(__name__)


def keep_here(row: OutgoingMessage) -> None:
    """Store the sent mail and its attachments, once. Raises NotBuilt, drivers.errors where its bytes are gone."""
    if row.stored_message_id is not None or row.sent_at is None:
        return
    raw = raw_of(row)
    with transaction.atomic():
        held = OutgoingMessage.objects.select_for_update().filter(pk=row.pk, stored_message__isnull=True).first()
        message_id = _taken_in(row, raw) if held is not None else None
        if message_id is None:
            return
        OutgoingMessage.objects.filter(pk=row.pk).update(stored_message=message_id)
    for part in Part.objects.filter(message=message_id, stored=""):
        _keep_part(part, raw)


def _taken_in(row: OutgoingMessage, raw: bytes) -> int | None:
    known = Message.objects.filter(email_account=row.email_account, message_id=row.message_id, is_outgoing=True)
    if (found := known.first()) is not None:
        return found.pk
    now = row.sent_at or timezone.now()
    folder = Folder.objects.create(  # for the time of this transaction: intake takes in copies
        email_account=row.email_account, remote_id=f"outbox:{row.pk}", path=["Sent"], role="", is_selectable=False
    )
    copy = Copy.objects.create(
        email_account=row.email_account, folder=folder, remote_key="1", received_at=now, size=len(raw), flags="\\seen"
    )
    remote = RemoteMessage(RemoteCopy("1", received_at=now, size=len(raw), flags=frozenset({"\\seen"})), raw)
    taken = take_in(describe(row.email_account), [Fetched(copy, remote)])
    folder.delete()
    if not taken.message_ids:
        log.warning("sent_mail_not_taken_in", outgoing=row.pk)
    return taken.message_ids[0] if taken.message_ids else None


def _keep_part(part: Part, raw: bytes) -> None:
    """The bytes of an attachment; without a time they are no cache that is emptied."""
    try:
        _info, content = extract_part(raw, part.section)
    except KeyError:
        return
    name = storages["mail"].save(
        f"parts/{part.message_id % 1000}/{part.pk}-{get_random_string(8)}", ContentFile(content)
    )
    Part.objects.filter(pk=part.pk).update(stored=name, size=len(content))
