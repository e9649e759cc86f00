"""What is due, re-derived from rows: the tick calls `ring_due` every few seconds, so a lost doorbell costs seconds.

Invariant: bounded work per call, indexed queries; ringing twice is harmless (claims).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from base.process import is_dead
from mail.hashes import id_hash
from mail.models import Message
from outbox.delivery import recover
from outbox.mailbox_work import found_in_sent
from outbox.models import OutgoingMessage, SendState

MOST = 200  # doorbells per call
AGAIN = timedelta(seconds=20)  # a row that was rung is rung again after this, unless it changed its state since


def ring_due(ring: Callable[[int], object]) -> int:
    """Ring for every message that has something due; returns how many. Rows of dead workers are looked at first."""
    recover_dead()
    believe_sync()
    now = timezone.now()
    fresh = Q(rung_at__isnull=True) | Q(rung_at__lt=now - AGAIN)
    ids: dict[int, None] = {}
    for due in (Q(due_at__lte=now), Q(server_due_at__lte=now)):
        ids.update(dict.fromkeys(OutgoingMessage.objects.filter(due, fresh).values_list("pk", flat=True)[:MOST]))
    OutgoingMessage.objects.filter(pk__in=ids).update(rung_at=now)
    for outgoing_id in ids:
        ring(outgoing_id)
    return len(ids)


def believe_sync() -> int:
    """Uncertain messages whose copy sync found in the mailbox meanwhile: the server took them; returns how many."""
    count = 0
    for row in OutgoingMessage.objects.filter(state=SendState.UNCERTAIN).order_by("-pk")[:MOST]:
        copies = Message.objects.filter(
            email_account=row.email_account_id,
            message_id_hash=id_hash(row.message_id),
            is_outgoing=True,
            is_draft=False,
        )
        if copies.filter(message_id=row.message_id).exists():
            found_in_sent(row)
            count += 1
    return count


def recover_dead() -> int:
    """Messages left in *sending* by workers that are known to be dead, or whose claim ran out; returns how many."""
    now = timezone.now()
    count = 0
    for row in OutgoingMessage.objects.filter(state=SendState.SENDING).only("pk", "holder", "held_until")[:MOST]:
        if not is_dead(row.holder) and row.held_until is not None and row.held_until > now:
            continue
        with transaction.atomic():
            held = OutgoingMessage.objects.select_for_update().filter(pk=row.pk, state=SendState.SENDING).first()
            if held is not None:
                recover(held)
                count += 1
    return count
