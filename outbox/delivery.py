"""From *queued* to a known outcome, in small steps that each commit: the file to read first.

    claim (queued → sending) → build, once → connect, sign in → note that it leaves → send → write what became of whom

Invariants: the note that it leaves (`left_at`) is committed before the first command of the dialogue, by whoever still
holds the row; a row that stays *sending* without it goes back to the queue, with it becomes *uncertain*; uncertain rows
are looked up in Sent and then wait for a person. Results are written before the line is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import OperationalError, transaction
from django.utils import timezone

from accounts.connections import login_of, server_address
from accounts.heart import Heart
from accounts.models import EmailAccount, EmailAccountServer
from base.process import holder_name, is_dead
from drivers.base import SendingDriver
from drivers.errors import AuthenticationFailed, DriverError, SendRejected
from drivers.registry import SENDING_DRIVERS, sending_driver
from drivers.types import Envelope
from outbox import mailbox_work, outcome
from outbox.building import NotBuilt, envelope_of, raw_of
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState
from outbox.policy import Trouble
from outbox.senders import written_by
from outbox.services.stopping import sending_stop
from outbox.telling import tell

log = structlog.get_logger(__name__)
LIFE = timedelta(seconds=20)  # of a claim; a heartbeat renews it
UNLEFT_MOST = 8  # claims that ended before anything left, after which something is wrong with the message
STOP_PAUSE = timedelta(seconds=60)
Recipient = OutgoingRecipient


def advance(outgoing_id: int) -> None:
    """All that is due for one message. Safe to call at any time, any number of times, by any number of workers."""
    deliver(outgoing_id)
    mailbox_work.look_up(outgoing_id)
    mailbox_work.work(outgoing_id)


def deliver(outgoing_id: int) -> None:
    """Send it if it is due and nobody else does."""
    holder = holder_name()
    row = _claim(outgoing_id, holder)
    if row is None:
        return
    with Heart(lambda: _renew(outgoing_id, holder)):
        _send(row, holder)


@transaction.atomic
def _claim(outgoing_id: int, holder: str) -> OutgoingMessage | None:
    rows = OutgoingMessage.objects.select_for_update(of=("self",)).select_related("email_account")
    row = rows.filter(pk=outgoing_id).first()
    if row is None:
        return None
    now = timezone.now()
    if row.state == SendState.SENDING:
        recover(row)
    if row.state != SendState.QUEUED or row.due_at is None or row.due_at > now or (row.send_at and row.send_at > now):
        return None
    if sending_stop() is not None:
        row.due_at, row.last_error_kind = now + STOP_PAUSE, Trouble.STOPPED
        row.save(update_fields=["due_at", "last_error_kind"])
        return None
    row.state = SendState.SENDING
    row.holder, row.held_until, row.left_at = holder, now + LIFE, None
    row.due_at = now + LIFE  # the tick looks at it again if the heart stops
    row.attempts += 1
    row.save(update_fields=["state", "holder", "held_until", "left_at", "due_at", "attempts"])
    return row


def recover(row: OutgoingMessage) -> None:
    """A row left in *sending* by a worker that is gone: nothing left → queued again; perhaps left → uncertain.

    The caller holds the row's lock. Does nothing while the holder lives.
    """
    now = timezone.now()
    if not is_dead(row.holder) and row.held_until is not None and row.held_until > now:
        return
    if row.left_at is not None:
        row.state, row.last_error_kind = SendState.UNCERTAIN, Trouble.INTERRUPTED
    elif row.attempts >= UNLEFT_MOST:
        row.state, row.last_error_kind = SendState.FAILED, Trouble.NOT_BUILT
    else:
        row.state = SendState.QUEUED
    row.held_until, row.rung_at = None, None
    if (
        row.state != SendState.UNCERTAIN
    ):  # an uncertain one keeps its holder: if that one was only slow, it may still tell
        row.holder = ""
    row.due_at = None if row.state == SendState.FAILED else now
    row.save()
    if row.state == SendState.FAILED:  # an uncertain one is looked up in Sent first
        tell(row)


def _renew(outgoing_id: int, holder: str) -> None:
    until = timezone.now() + LIFE
    OutgoingMessage.objects.filter(pk=outgoing_id, state=SendState.SENDING, holder=holder).update(
        held_until=until, due_at=until
    )


def _leaves(row: OutgoingMessage, holder: str) -> bool:
    """Commit that it leaves now; False when the row is no longer ours or sending was stopped meanwhile."""
    if sending_stop() is not None:
        outcome.put_back(row, holder, timezone.now() + STOP_PAUSE, Trouble.STOPPED)
        return False
    mine = OutgoingMessage.objects.filter(pk=row.pk, state=SendState.SENDING, holder=holder, left_at__isnull=True)
    now = timezone.now()
    return bool(mine.filter(held_until__gt=now).update(left_at=now))


def _send(row: OutgoingMessage, holder: str) -> None:
    waiting = list(row.recipients.filter(state__in=(Recipient.State.WAITING, Recipient.State.DEFERRED)))
    try:
        raw = raw_of(row)
        addresses = {envelope_of(one.address): one for one in waiting}
        envelope = Envelope(envelope_of(written_by(row)[1]), tuple(addresses), len(raw))
    except NotBuilt as error:
        outcome.not_built(row, holder, str(error))
        return
    except DriverError as error:  # an attachment lies on the server, and the server is away
        outcome.after_error(row, holder, {}, error)
        return
    try:
        with open_sender(row.email_account) as driver:
            if _leaves(row, holder):
                receipt = driver.send(envelope, raw)
                _written(lambda: outcome.after_receipt(row, holder, addresses, receipt))
    except DriverError as error:
        failure = error
        _written(lambda: outcome.after_error(row, holder, addresses, failure))


def _written(write: Callable[[], None]) -> None:
    """Write a known outcome even if the database is away for a moment: it must not become an unknown one."""
    for wait in (0.2, 1.0, 3.0, 5.0, 0):
        try:
            write()
            return
        except OperationalError as error:
            log.warning("outcome_not_written_yet", error=type(error).__name__)
            if not wait:
                raise
            time.sleep(wait)


def sending_server(email_account: EmailAccount) -> EmailAccountServer:
    """The server that mail is handed to. Raises SendRejected when the email account has none."""
    found = email_account.servers.filter(protocol__in=SENDING_DRIVERS).first()
    if found is None:
        raise SendRejected("This email account has no server to send with.", code=550)
    return found


def open_sender(email_account: EmailAccount) -> SendingDriver:
    """A sending driver for `with`. Raises AuthenticationFailed where no secret is kept, SendRejected without a server."""
    server = sending_server(email_account)
    if not email_account.can_send:
        raise AuthenticationFailed("sending is switched off for this email account")
    return sending_driver(server.protocol, server_address(server), login_of(email_account, server))
