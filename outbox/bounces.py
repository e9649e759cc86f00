"""Reports that come back for mail sent from here: whom it did not reach, and addresses that are invalid.

Invariants: each stored message is looked at once (a BounceNote says so); a report changes a recipient only of a message
that left from this mailbox to that address; a contact's address becomes invalid only by a report that returns our
Message-ID, which a stranger cannot know; a machine's reply is noted and never answered.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from accounts.connections import mailbox
from contacts.models import ContactAddress
from drivers.base import MailboxDriver
from drivers.errors import DriverError, MessageGone
from mail.bounces import MAX_RAW, Failure, Report, ReportKind, may_be_report, read_report
from mail.models import CopyState, Message
from outbox.models import BounceNote, OutgoingMessage, OutgoingRecipient
from outbox.telling import tell_not_delivered

log = structlog.get_logger(__name__)
LOOK_BACK = timedelta(days=7)
CLOCKS = timedelta(hours=12)  # servers' clocks and whole seconds: a report may seem older than the mail it returns
NEWEST = 20_000  # rows looked through at most, by primary key: a look every few seconds stays cheap
GUESSED_WITHIN = timedelta(days=3)
SLICE = 50
_DAEMONS = ("mailer-daemon@", "postmaster@", "mdaemon@", "mail-daemon@", "bounce")
_WORDS = ("undeliver", "delivery", "returned mail", "failure", "delayed", "not delivered")


def waiting(limit: int = SLICE) -> list[int]:
    """Stored messages that may be reports and were not looked at yet, oldest first, in mailboxes that sent mail."""
    senders = dict(
        OutgoingMessage.objects.filter(sent_at__isnull=False)
        .values_list("email_account")
        .annotate(first=Min("sent_at"))
        .values_list("email_account", "first")
    )
    if not senders:
        return []
    since = max(min(senders.values()) - CLOCKS, timezone.now() - LOOK_BACK)
    newest = Message.objects.aggregate(newest=Max("pk"))["newest"] or 0
    rows = Message.objects.filter(
        pk__gt=newest - NEWEST, email_account__in=senders, received_at__gte=since, is_outgoing=False
    )
    return list(_suspects(rows).order_by("pk").values_list("pk", flat=True)[:limit])


def _suspects(rows: QuerySet[Message]) -> QuerySet[Message]:
    looks: Any = Q(is_automatic=True) | Q(from_address="")
    for start in _DAEMONS:
        looks |= Q(from_address__startswith=start)
    for word in _WORDS:
        looks |= Q(subject__icontains=word)
    return rows.filter(looks, bounce_note__isnull=True, is_draft=False)


def note_bounces(message_ids: list[int]) -> int:
    """Look at these stored messages once each; returns how many are reports. Those that cannot be read now stay waiting."""
    count = 0
    rows = Message.objects.filter(pk__in=message_ids, bounce_note__isnull=True).select_related(
        "email_account", "content"
    )
    for message in rows:
        if not may_be_report(message.from_address, message.subject, is_automatic=message.is_automatic):
            BounceNote.objects.get_or_create(message=message)
            continue
        try:
            raw = _raw(message)
        except DriverError as error:
            log.info("report_not_read_yet", message=message.pk, error=type(error).__name__)
            continue
        count += _note(message, read_report(raw))
    return count


def _raw(message: Message) -> bytes:
    """The source from the server, capped; what is stored, where the server no longer has it or it is only a notice."""
    if message.parts.exists():
        try:
            with mailbox(message.email_account, purpose="click") as driver:
                return _fetch(driver, message)
        except MessageGone:
            pass
    content = message.content
    kept = [
        line for line in content.header_block.split("\n") if not line.lower().startswith(("content-", "mime-version"))
    ]
    header = "\n".join(kept).strip("\n")
    return f"{header}\nContent-Type: text/plain; charset=utf-8\n\n{content.text}".encode("utf-8", "replace")


def _fetch(driver: MailboxDriver, message: Message) -> bytes:
    copies = message.copies.filter(state=CopyState.STORED, missing_since__isnull=True, folder__gone_at__isnull=True)
    for copy in copies.select_related("folder"):
        if driver.epoch(copy.folder.remote_id) != copy.epoch:
            continue
        raw = bytearray()
        for chunk in driver.fetch_raw(copy.folder.remote_id, copy.remote_key):
            raw += chunk
            if len(raw) > MAX_RAW:
                break
        return bytes(raw)
    raise MessageGone("the report is no longer on the server")


@transaction.atomic
def _note(message: Message, report: Report | None) -> bool:
    """Write down what was found; True if it is a report."""
    values: dict[str, Any] = {}
    if report is not None:
        outgoing = _sent_here(message, report)
        values = {
            "kind": report.kind.value,
            "outgoing": outgoing,
            "failures": [[one.address, one.status, one.said] for one in report.failures],
        }
        if outgoing is not None:
            _mark(outgoing, report)
    BounceNote.objects.get_or_create(message=message, defaults=values)
    return report is not None


def _sent_here(message: Message, report: Report) -> OutgoingMessage | None:
    """The message that the report returns, if it left from this mailbox.

    Odd reports return no header. Then it is the one message that was sent to that address lately, if there is one only.
    """
    rows = OutgoingMessage.objects.filter(email_account=message.email_account_id)
    rows = rows.exclude(left_at__isnull=True, sent_at__isnull=True)
    if report.original_ids:
        return rows.filter(message_id__in=report.original_ids).first()
    addresses = [one.address for one in report.failures]
    lately = rows.filter(sent_at__gt=timezone.now() - GUESSED_WITHIN, recipients__address_key__in=addresses).distinct()
    found = list(lately[:2]) if addresses else []
    return found[0] if len(found) == 1 else None


def _mark(outgoing: OutgoingMessage, report: Report) -> None:
    if report.kind is not ReportKind.FAILED:
        return
    State = OutgoingRecipient.State
    failures = {one.address: one for one in report.failures}
    sent_to = outgoing.recipients.filter(state__in=(State.ACCEPTED, State.WAITING))
    returned = list(sent_to.filter(address_key__in=failures))
    for recipient in returned:
        failure = failures[recipient.address_key]
        recipient.state, recipient.decided_at = State.BOUNCED, timezone.now()
        recipient.said = f"{failure.status} {failure.said}".strip()[:500]
        recipient.save(update_fields=["state", "said", "decided_at"])
        if failure.is_permanent and outgoing.message_id in report.original_ids:  # nobody can forge that
            _invalidate(recipient.address_key, failure)
    if returned:
        tell_not_delivered(outgoing, outgoing.recipients.filter(state=State.BOUNCED), came_back=True)


def _invalidate(address: str, failure: Failure) -> None:
    ContactAddress.objects.filter(address=address, invalid_since__isnull=True).update(
        invalid_since=timezone.now(), invalid_reason=f"{failure.status} {failure.said}".strip()[:300]
    )


def trust_again() -> int:
    """Addresses that were invalid and wrote to us since, verifiably, are valid; returns how many."""
    count = 0
    for row in ContactAddress.objects.filter(invalid_since__isnull=False).order_by("-invalid_since")[:SLICE]:
        wrote = Message.objects.filter(
            addresses__correspondent__address=row.address, addresses__role="f", verdict="verified", is_outgoing=False
        )
        if wrote.filter(received_at__gt=row.invalid_since).exists():
            count += clear_invalid(row.address)
    return count


def clear_invalid(address: str) -> int:
    """Mail from this address arrived, or a person says it is right: the mark goes. Returns how many rows changed."""
    return ContactAddress.objects.filter(address=address, invalid_since__isnull=False).update(
        invalid_since=None, invalid_reason=""
    )
