"""What became of a send, written to its rows: of each recipient, then of the message. One transaction each.

Invariant: only the holder writes, also when its row was called uncertain meanwhile (it was only slow, and now it knows);
what a person decided since is never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from drivers.errors import DriverError, SendRejected
from drivers.types import SendReceipt
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState, SentCopy
from outbox.policy import Action, Trouble, next_try, verdict
from outbox.telling import tell, tell_not_delivered

log = structlog.get_logger(__name__)
State = OutgoingRecipient.State
ByAddress = Mapping[str, OutgoingRecipient]
"""Envelope address → row."""


def _held(row: OutgoingMessage, holder: str) -> OutgoingMessage | None:
    """The row, locked, if this worker may still write its outcome."""
    states = (SendState.SENDING, SendState.UNCERTAIN)
    rows = OutgoingMessage.objects.select_for_update(of=("self",)).filter(state__in=states, holder=holder)
    return rows.select_related("email_account__owner", "author").filter(pk=row.pk).first()


def _decide(recipient: OutgoingRecipient, state: str, code: int, said: str) -> None:
    recipient.state, recipient.code, recipient.said = state, max(0, min(code, 999)), said[:500]
    recipient.decided_at = None if state in (State.DEFERRED, State.WAITING) else timezone.now()
    recipient.save(update_fields=["state", "code", "said", "decided_at"])


def _kind(code: int) -> str:
    return State.DEFERRED if 400 <= code < 500 else State.REFUSED


@transaction.atomic
def after_receipt(row: OutgoingMessage, holder: str, addresses: ByAddress, receipt: SendReceipt) -> None:
    """The server accepted it for at least one recipient."""
    held = _held(row, holder)
    if held is None:
        return
    for result in receipt.results:
        recipient = addresses.get(result.address)
        if recipient is not None:
            _decide(recipient, State.ACCEPTED if result.accepted else _kind(result.code), result.code, result.text)
    held.server_said = receipt.server_said[:500]
    held.sent_at = held.sent_at or timezone.now()
    if held.sent_copy == SentCopy.NONE:
        held.sent_copy = SentCopy.WAITING
    held.server_due_at, held.server_attempts = timezone.now(), 0
    _conclude(held, Trouble.NONE, "", None)


@transaction.atomic
def after_error(row: OutgoingMessage, holder: str, addresses: ByAddress, error: DriverError) -> None:
    """The server did not accept it, or nobody knows (SendUncertain)."""
    held = _held(row, holder)
    if held is None:
        return
    decision = verdict(error, held.attempts)
    log.info("send_failed", outgoing=held.pk, error=type(error).__name__, action=decision.action.value)
    said = error.server_said or str(error)
    if decision.action is Action.ASK:
        held.state, held.due_at, held.rung_at = SendState.UNCERTAIN, timezone.now(), None
        held.last_error_kind, held.last_error_said = decision.trouble, said[:500]
        held.held_until = None
        held.save()
        return
    if isinstance(error, SendRejected):
        for address, recipient in addresses.items():
            code, text = error.refused.get(address, (error.code, said))
            _decide(recipient, _kind(code), code, text)
    elif decision.action is Action.FAIL:
        for recipient in addresses.values():
            _decide(recipient, State.REFUSED, 0, said)
    _conclude(held, decision.trouble, said, decision.retry_after)


def _conclude(held: OutgoingMessage, trouble: Trouble, said: str, retry_after: float | None) -> None:
    """From the recipients' rows to the state of the message and the time of its next try."""
    now = timezone.now()
    waiting = held.recipients.filter(state__in=(State.WAITING, State.DEFERRED))
    held.holder, held.held_until, held.left_at, held.rung_at, held.due_at = "", None, None, None, None
    held.last_error_kind, held.last_error_said = trouble, said[:500]
    if waiting.exists():
        held.due_at = next_try(held.attempts, now, held.queued_at or now, retry_after)
        held.state = SendState.QUEUED
        held.last_error_kind = trouble or Trouble.DEFERRED
        if held.due_at is None:
            waiting.update(state=State.REFUSED, decided_at=now)
            held.last_error_kind = Trouble.EXPIRED
    if held.due_at is None:
        held.state = SendState.SENT if held.sent_at else SendState.FAILED
        if held.state == SendState.SENT:
            held.server_due_at = now
        if held.state == SendState.FAILED and not held.last_error_kind:
            held.last_error_kind = Trouble.REFUSED
    held.save()
    tell(held)
    if held.state == SendState.SENT:
        tell_not_delivered(held, held.recipients.filter(state=State.REFUSED), came_back=False)


@transaction.atomic
def not_built(row: OutgoingMessage, holder: str, why: str) -> None:
    """The message cannot be written: failed, nothing left."""
    held = _held(row, holder)
    if held is not None:
        held.state, held.due_at, held.holder, held.held_until = SendState.FAILED, None, "", None
        held.last_error_kind, held.last_error_said = Trouble.NOT_BUILT, why[:500]
        held.save()
        tell(held)


@transaction.atomic
def put_back(row: OutgoingMessage, holder: str, at: datetime, trouble: Trouble) -> None:
    """Nothing left; it waits in the queue until `at`, and this was no try."""
    held = _held(row, holder)
    if held is not None and held.left_at is None and held.state == SendState.SENDING:
        held.state, held.due_at, held.holder, held.held_until = SendState.QUEUED, at, "", None
        held.attempts = max(0, held.attempts - 1)
        held.last_error_kind = trouble
        held.save()
