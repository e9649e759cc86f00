"""Sending as a person decides it: queue, undo, later, retry, and what to do about an unknown outcome.

Invariants: every recipient is a row before anything may leave; whatever may have left is sent again only by a person who
was told so; the ten seconds of undo are the server's, not the browser's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from base.addresses import normalise_address
from outbox.errors import CannotSend, NeedsConfirmation, SendingIsStopped, WrongState
from outbox.fitness import problems_of, questions_about
from outbox.limits import require_within_limits
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState, SentCopy
from outbox.rights import lock_draft, lock_outgoing
from outbox.services.stopping import sending_stop
from outbox.telling import close_question

UNDO_SECONDS = 10
LATEST = timedelta(days=366)
State = OutgoingRecipient.State


@transaction.atomic
def queue(*, user: Any, draft: OutgoingMessage, confirmed: bool = False) -> OutgoingMessage:
    """*Send*: it leaves in ten seconds unless undone. Ring `tasks.advance` after them, or leave it to the tick.

    Raises CannotSend, NeedsConfirmation (unless `confirmed`), LimitReached, SendingIsStopped, NotAllowed, WrongState.
    """
    return _queue(user, draft, timezone.now() + timedelta(seconds=UNDO_SECONDS), confirmed, is_scheduled=False)


@transaction.atomic
def send_later(*, user: Any, draft: OutgoingMessage, at: datetime, confirmed: bool = False) -> OutgoingMessage:
    """*Send later*: not before `at` (aware; the form reads it in the person's time zone). Raises what `queue` raises."""
    now = timezone.now()
    if not now < at <= now + LATEST:
        raise CannotSend({"send_at": _("Choose a time in the future, within a year.")})
    return _queue(user, draft, at, confirmed, is_scheduled=True)


def _queue(user: Any, draft: OutgoingMessage, at: datetime, confirmed: bool, *, is_scheduled: bool) -> OutgoingMessage:
    row = lock_draft(user, draft)
    if sending_stop() is not None:
        raise SendingIsStopped(
            _("An administrator stopped all sending. Your draft is kept; send it when mail may leave again.")
        )
    problems = problems_of(row)
    if problems:
        raise CannotSend(problems)
    recipients = recipient_rows(row)
    if not confirmed and (questions := questions_about(row, len(recipients))):
        raise NeedsConfirmation(questions)
    require_within_limits(row, len(recipients))
    OutgoingRecipient.objects.filter(message=row).delete()
    OutgoingRecipient.objects.bulk_create(recipients)
    row.state = SendState.QUEUED
    row.queued_at = timezone.now()
    row.send_at = row.due_at = at
    row.is_scheduled = is_scheduled
    row.attempts, row.rung_at, row.server_due_at = 0, None, None
    row.last_error_kind = row.last_error_said = ""
    row.save()
    return row


def recipient_rows(row: OutgoingMessage) -> list[OutgoingRecipient]:
    """A row for each recipient, the same address once (To before Cc before Bcc)."""
    found: dict[str, OutgoingRecipient] = {}
    for kind in OutgoingRecipient.Kind:
        for name, address in getattr(row, kind.value):
            key = normalise_address(address)
            if key and key not in found:
                found[key] = OutgoingRecipient(
                    message=row, kind=kind, name=name, address=address.strip(), address_key=key
                )
    return list(found.values())


@transaction.atomic
def undo_send(*, user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """*Undo* and *cancel* of Send later: a draft again. Raises WrongState when it is being sent or was sent."""
    row = lock_outgoing(user, message)
    if not row.may_be_undone:
        raise WrongState(_("It was too late to stop this email: it is being sent or was sent."), row)
    return _to_draft(user, row)


def _to_draft(user: Any, row: OutgoingMessage) -> OutgoingMessage:
    row.state = SendState.DRAFT
    row.author = row.author or user
    row.send_at = row.due_at = row.queued_at = row.left_at = None
    row.is_scheduled = False
    row.attempts = 0
    row.version += 1
    old, row.raw, row.size = row.raw, "", 0  # built anew
    if old:
        transaction.on_commit(lambda: storages["mail"].delete(old))
    row.server_due_at = timezone.now()
    row.save()
    row.recipients.all().delete()
    close_question(row)
    return row


@transaction.atomic
def send_now(*, user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """A message that waits for its time, or for its next try, is due at once. Raises WrongState."""
    row = lock_outgoing(user, message)
    if row.state != SendState.QUEUED:
        raise WrongState(_("This email is not waiting to be sent."), row)
    row.due_at = timezone.now()
    row.send_at = min(row.send_at or row.due_at, row.due_at)
    row.rung_at = None
    row.save()
    return row


@transaction.atomic
def retry(*, user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """Try a failed message again, to those who were refused or never reached; a waiting one now. Raises WrongState."""
    row = lock_outgoing(user, message)
    if row.state == SendState.QUEUED:
        return send_now(user=user, message=row)
    if row.state != SendState.FAILED:
        raise WrongState(_("Only an email that was not sent can be tried again."), row)
    row.recipients.filter(state__in=(State.REFUSED, State.DEFERRED)).update(state=State.WAITING, code=0, said="")
    return _again(row)


def _again(row: OutgoingMessage) -> OutgoingMessage:
    row.state = SendState.QUEUED
    row.send_at = row.due_at = row.queued_at = timezone.now()
    row.attempts = row.lookups = 0
    row.left_at = row.rung_at = None
    row.last_error_kind = row.last_error_said = ""
    row.save()
    close_question(row)
    return row


@transaction.atomic
def give_up(*, user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """No more tries for recipients that were refused for now. Raises WrongState."""
    row = lock_outgoing(user, message)
    if row.state != SendState.QUEUED or not row.attempts:
        raise WrongState(_("This email is not waiting for another try."), row)
    row.recipients.filter(state__in=(State.WAITING, State.DEFERRED)).update(
        state=State.REFUSED, decided_at=timezone.now()
    )
    row.state = SendState.SENT if row.sent_at else SendState.FAILED
    row.due_at = None
    row.server_due_at = timezone.now() if row.sent_at else row.server_due_at
    row.save()
    return row


@transaction.atomic
def edit_again(*, user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """A failed message that reached nobody becomes a draft. Raises WrongState where somebody has it."""
    row = lock_outgoing(user, message)
    if row.state != SendState.FAILED or row.recipients.filter(state=State.ACCEPTED).exists():
        raise WrongState(_("Somebody has this email already. Write a new one instead."), row)
    return _to_draft(user, row)


@transaction.atomic
def resolve_uncertain(*, user: Any, message: OutgoingMessage, outcome: Literal["sent", "again"]) -> OutgoingMessage:
    """A person answers what became of a message that perhaps left. "again" may deliver it twice: say so before.

    The Message-ID stays the same, so many servers drop the second one. Raises WrongState.
    """
    row = lock_outgoing(user, message)
    if row.state != SendState.UNCERTAIN:
        raise WrongState(_("This question was answered already."), row)
    if outcome == "again":
        return _again(row)
    now = timezone.now()
    row.recipients.filter(state=State.WAITING).update(state=State.ACCEPTED, decided_at=now)
    row.state = SendState.SENT
    row.sent_at = row.sent_at or row.left_at or now
    row.due_at = None
    row.sent_copy = SentCopy.WAITING
    row.server_due_at = now
    row.save()
    close_question(row)
    return row
