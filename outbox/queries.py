"""What a person sees of outgoing mail. Invariant: drafts are their author's; the rest follows the mailbox's shares."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet

from accounts.models import EmailAccount
from accounts.shares import accounts_with_right
from outbox.models import BounceNote, OutgoingMessage, OutgoingRecipient, SendState, Template

OPEN = (SendState.QUEUED, SendState.SENDING, SendState.FAILED, SendState.UNCERTAIN)
LOUD = (SendState.FAILED, SendState.UNCERTAIN)


def visible_outgoing(user: Any, seen: Sequence[int] | None = None) -> QuerySet[OutgoingMessage]:
    """Outgoing messages that `user` may see: own drafts, and what leaves from mailboxes whose mail the person may see.

    `seen`: ids of these mailboxes, where the caller has just read them.
    """
    return _visible(user, seen).select_related("email_account", "author", "original")


def _visible(user: Any, seen: Sequence[int] | None) -> QuerySet[OutgoingMessage]:
    accounts = accounts_with_right(user, "see") if seen is None else seen
    mine = Q(state=SendState.DRAFT, author=user) if user.is_authenticated else Q(pk__in=())
    gone = Q(state__in=(SendState.DRAFT, SendState.DISCARDED))
    return OutgoingMessage.objects.filter(Q(email_account__in=accounts) & (mine | ~gone))


def begun(user: Any, seen: Container[int]) -> dict[str, int]:
    """How many outgoing messages are in each state: the person's drafts, and what has not (certainly) left.

    `seen`: ids of the mailboxes that count, of those whose mail the person may see.
    """
    rows = OutgoingMessage.objects.filter(Q(state__in=OPEN) | Q(state=SendState.DRAFT, author=user)).order_by()
    found: dict[str, int] = {}
    for state, account_id, count in rows.values_list("state", "email_account_id").annotate(count=Count("pk")):
        if account_id in seen:
            found[state] = found.get(state, 0) + count
    return found


def senders(user: Any) -> QuerySet[EmailAccount]:
    """Email accounts that `user` may send with."""
    rows = accounts_with_right(user, "send").filter(can_send=True)
    return rows.exclude(state__in=("setup", "removed", "erasing")).order_by("address_key")


def drafts(user: Any, seen: Sequence[int] | None = None) -> QuerySet[OutgoingMessage]:
    """The person's drafts, the newest first."""
    return visible_outgoing(user, seen).filter(state=SendState.DRAFT).order_by("-updated_at")


def outbox(user: Any, seen: Sequence[int] | None = None) -> QuerySet[OutgoingMessage]:
    """What has not (certainly) left: waiting, being sent, failed, uncertain; the loud ones are in `needs_answer`."""
    return visible_outgoing(user, seen).filter(state__in=OPEN).order_by("-queued_at")


def needs_answer(user: Any) -> QuerySet[OutgoingMessage]:
    """Failed and uncertain messages: shown loudly until a person decided."""
    return visible_outgoing(user).filter(state__in=LOUD).order_by("-queued_at")


def of_thread(user: Any, thread_id: int, seen: Sequence[int] | None = None) -> list[OutgoingMessage]:
    """Drafts and unfinished sends that answer a message of this thread, oldest first."""
    rows = _visible(user, seen).filter(original__thread=thread_id, state__in=(SendState.DRAFT, *OPEN, SendState.SENT))
    ids = list(rows.filter(stored_message__isnull=True).values_list("pk", flat=True))
    return list(visible_outgoing(user, seen).filter(pk__in=ids).order_by("pk")) if ids else []


def sent_as(message_ids: list[int]) -> dict[int, OutgoingMessage]:
    """For stored messages that left from here: message id → outgoing message with its recipients (for bounces shown)."""
    rows = OutgoingMessage.objects.filter(stored_message__in=message_ids).prefetch_related("recipients")
    return {row.stored_message_id: row for row in rows if row.stored_message_id}


def troubles_of(message_ids: list[int]) -> dict[int, list[OutgoingRecipient]]:
    """For stored sent messages (the caller may see them): recipients that were refused or whose mail came back."""
    states = (OutgoingRecipient.State.REFUSED, OutgoingRecipient.State.BOUNCED, OutgoingRecipient.State.DEFERRED)
    rows = OutgoingRecipient.objects.filter(message__stored_message__in=message_ids, state__in=states)
    found: dict[int, list[OutgoingRecipient]] = {}
    for row in rows.select_related("message"):
        if row.message.stored_message_id:
            found.setdefault(row.message.stored_message_id, []).append(row)
    return found


def bounces_among(message_ids: list[int]) -> dict[int, BounceNote]:
    """What the bounce reader found in these stored messages (the caller may see them); ordinary ones are left out."""
    found = BounceNote.objects.filter(message__in=message_ids).exclude(kind=BounceNote.Kind.NOTHING)
    return {note.message_id: note for note in found.prefetch_related("outgoing")}


def templates(user: Any) -> QuerySet[Template]:
    """The person's templates and the shared ones."""
    return Template.objects.filter(Q(owner=user) | Q(owner__isnull=True))
