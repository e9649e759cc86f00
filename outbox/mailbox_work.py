"""What an outgoing message has to do with its mailbox: its draft there, its copy in Sent, marks, and *was it sent?*.

Invariants: one worker at a time per message (a claim that a heartbeat renews); a copy is filed only after Sent was asked
whether it is there already, so a crash between filing and writing it down files nothing twice.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

import structlog
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.connections import mailbox
from accounts.heart import Heart
from base.process import holder_name
from drivers.base import MailboxDriver
from drivers.errors import DriverError, FolderGone
from mail.models import Folder
from outbox import server_drafts
from outbox.building import NotBuilt
from outbox.kept_here import keep_here
from outbox.marks import mark_original
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState, SentCopy
from outbox.sent_copies import file_copy, find_sent
from outbox.telling import close_question, tell

log = structlog.get_logger(__name__)
LIFE = timedelta(seconds=20)
LOOKUPS = (0, 20, 60, 300)  # seconds between looks into Sent of a server that files by itself
WAITS = (5, 15, 60, 300, 900, 3600)  # seconds; the last one repeats
ATTEMPTS = 200  # about a week


def look_up(outgoing_id: int) -> None:
    """An uncertain message: look for it in Sent, a few times where the server files by itself; then a person is asked."""
    now = timezone.now()
    mine = OutgoingMessage.objects.filter(pk=outgoing_id, state=SendState.UNCERTAIN, due_at__lte=now)
    if not mine.update(due_at=now + timedelta(seconds=60)):  # guards against a second look at the same time
        return
    row = OutgoingMessage.objects.select_related("email_account").get(pk=outgoing_id)
    files_itself = False
    try:
        if row.email_account.can_receive:
            with mailbox(row.email_account, purpose="click") as driver:
                files_itself = driver.capabilities.saves_sent_copy
                if find_sent(driver, row):
                    found_in_sent(row)
                    return
    except DriverError as error:
        log.info("not_looked_up", outgoing=outgoing_id, error=type(error).__name__)
        files_itself = True  # the mailbox is away: worth another look
    _looked_in_vain(row, files_itself)


def _looked_in_vain(row: OutgoingMessage, again: bool) -> None:
    looks = row.lookups + 1
    due = None
    if again and looks < len(LOOKUPS):
        due = timezone.now() + timedelta(seconds=LOOKUPS[looks])
    still = OutgoingMessage.objects.filter(pk=row.pk, state=SendState.UNCERTAIN)
    if still.update(lookups=looks, due_at=due, rung_at=None):
        tell(row)


@transaction.atomic
def found_in_sent(row: OutgoingMessage) -> None:
    """It lies in Sent, and we had not put it there: the server took it."""
    locked = OutgoingMessage.objects.select_for_update().filter(pk=row.pk, state=SendState.UNCERTAIN).first()
    if locked is None:
        return
    now = timezone.now()
    State = OutgoingRecipient.State
    locked.recipients.filter(state=State.WAITING).update(state=State.ACCEPTED, decided_at=now)
    locked.state, locked.due_at, locked.rung_at = SendState.SENT, None, None
    locked.sent_at = locked.sent_at or locked.left_at or now
    locked.sent_copy, locked.server_due_at = SentCopy.WAITING, now
    locked.save()
    close_question(locked)


def work(outgoing_id: int) -> None:
    """Whatever is due on the mailbox server for this message."""
    holder = holder_name()
    now = timezone.now()
    free = Q(server_until__isnull=True) | Q(server_until__lt=now)
    due = OutgoingMessage.objects.filter(free, pk=outgoing_id, server_due_at__lte=now)
    if not due.update(server_holder=holder, server_until=now + LIFE):
        return
    row = OutgoingMessage.objects.select_related("email_account", "original").get(pk=outgoing_id)
    mine = OutgoingMessage.objects.filter(pk=outgoing_id, server_holder=holder)
    try:
        with Heart(lambda: _renew(outgoing_id, holder)):
            _work(row, holder)
    except (DriverError, NotBuilt) as error:
        log.info("mailbox_work_failed", outgoing=outgoing_id, error=type(error).__name__)
        _try_later(row, str(error))
    finally:
        mine.update(server_holder="", server_until=None)


def _renew(outgoing_id: int, holder: str) -> None:
    mine = OutgoingMessage.objects.filter(pk=outgoing_id, server_holder=holder)
    mine.update(server_until=timezone.now() + LIFE)


def _work(row: OutgoingMessage, holder: str) -> None:
    if not row.email_account.can_receive:
        _without_mailbox(row)
        return
    with mailbox(row.email_account, purpose="click") as driver:
        if row.state == SendState.DISCARDED:
            server_drafts.remove(driver, row)
            row.delete()
        elif row.state == SendState.DRAFT:
            server_drafts.keep(driver, row)
        elif row.sent_at is not None:
            _after_sending(driver, row, holder)
        else:
            OutgoingMessage.objects.filter(pk=row.pk, server_due_at=row.server_due_at).update(server_due_at=None)


def _without_mailbox(row: OutgoingMessage) -> None:
    """A mailbox that only sends: nothing to keep on a server."""
    if row.state == SendState.DISCARDED:
        row.delete()
        return
    values: dict[str, object] = {"server_due_at": None}
    if row.sent_at is not None:
        keep_here(row)
        mark_original(row)
        values |= {"sent_copy": SentCopy.UNAVAILABLE, "copy_error": "send-only"}
    OutgoingMessage.objects.filter(pk=row.pk).update(**values)


def _after_sending(driver: MailboxDriver, row: OutgoingMessage, holder: str) -> None:
    """Sent copy, marks, the draft that is of no more use; then *filed*. What says that work is due goes last."""
    due = row.server_due_at
    if row.sent_copy == SentCopy.WAITING:
        if not Folder.objects.filter(email_account=row.email_account, role="sent", gone_at__isnull=True).exists():
            raise FolderGone("the server has no Sent folder that we know of")
        file_copy(driver, row, lambda: OutgoingMessage.objects.filter(pk=row.pk, server_holder=holder).exists())
        row.refresh_from_db()
    if row.sent_copy == SentCopy.WAITING:  # a server that files by itself has not done so yet
        _try_later(row, "")
        return
    if row.sent_copy == SentCopy.UNAVAILABLE:
        keep_here(row)
    mark_original(row)
    server_drafts.remove(driver, row)
    done = OutgoingMessage.objects.filter(pk=row.pk)
    if row.sent_copy == SentCopy.FILED:
        done.filter(state=SendState.SENT).update(state=SendState.FILED)
        _forget_bytes(row)
    done.filter(server_due_at=due).update(server_due_at=None, server_attempts=0)  # unless more became due meanwhile


def _forget_bytes(row: OutgoingMessage) -> None:
    """The server keeps the mail now: our bytes of it may go, once nobody waits for another try."""
    fresh = OutgoingMessage.objects.get(pk=row.pk)
    if fresh.state != SendState.FILED:
        return
    names = [fresh.raw, *fresh.attachments.values_list("stored", flat=True)]
    OutgoingMessage.objects.filter(pk=row.pk).update(raw="")
    fresh.attachments.update(stored="")
    for name in filter(None, names):
        storages["mail"].delete(name)


def _try_later(row: OutgoingMessage, why: str) -> None:
    tries = row.server_attempts + 1
    at = timezone.now() + timedelta(seconds=WAITS[min(tries, len(WAITS)) - 1])
    values: dict[str, object] = {
        "server_attempts": tries,
        "server_due_at": at,
        "rung_at": None,
        "copy_error": why[:300],
    }
    if tries >= ATTEMPTS:
        values["server_due_at"] = None
        if row.sent_copy == SentCopy.WAITING:
            values["sent_copy"] = SentCopy.UNAVAILABLE
            with contextlib.suppress(NotBuilt, DriverError):
                keep_here(row)
    OutgoingMessage.objects.filter(pk=row.pk).update(**values)
