"""What a person changes here: the message, its thread's row, and a row to push to the server, in one transaction.

Invariant: the local change wins until it is pushed (sync leaves flags of messages with a waiting change alone).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from base.bulk import update_rows
from mail.models import Change, Copy, Message
from mail.threads import refresh


def set_read(message_ids: Iterable[int], *, is_read: bool) -> list[int]:
    """Mark received messages read or unread here and queue it for the server; returns the email accounts to push."""
    return _set_flag(message_ids, "is_read", is_read, "\\Seen")


def set_flagged(message_ids: Iterable[int], *, is_flagged: bool) -> list[int]:
    """Flag or unflag messages here and queue it for the server; returns the email accounts to push."""
    return _set_flag(message_ids, "is_flagged", is_flagged, "\\Flagged")


@transaction.atomic
def _set_flag(message_ids: Iterable[int], column: str, value: bool, keyword: str) -> list[int]:
    messages = list(Message.objects.select_for_update().filter(pk__in=list(message_ids)).exclude(**{column: value}))
    ids = [message.pk for message in messages]
    Message.objects.filter(pk__in=ids).update(**{column: value})
    Change.objects.filter(message__in=ids, kind="flags", done_at__isnull=True, attempts=0).filter(
        **{"remove" if value else "add": [keyword]}
    ).delete()  # the opposite, not pushed yet: the newest wish is what counts
    Change.objects.bulk_create(
        [
            Change(
                email_account_id=message.email_account_id,
                message=message,
                add=[keyword] if value else [],
                remove=[] if value else [keyword],
            )
            for message in messages
        ]
    )
    refresh(message.thread_id for message in messages)
    return sorted({message.email_account_id for message in messages})


@transaction.atomic
def set_processed(message_ids: Iterable[int], *, user: Any, is_processed: bool) -> list[int]:
    """Mark received messages as processed or not (ours alone, nothing goes to the server); returns changed ids."""
    messages = Message.objects.filter(
        pk__in=list(message_ids), is_outgoing=False, processed_at__isnull=is_processed
    ).values_list("pk", "thread_id")
    rows = list(messages)
    Message.objects.filter(pk__in=[pk for pk, _thread in rows]).update(
        processed_at=timezone.now() if is_processed else None, processed_by=user if is_processed else None
    )
    refresh(thread for _pk, thread in rows)
    return [pk for pk, _thread in rows]


def waiting_messages(message_ids: Sequence[int]) -> set[int]:
    """Which of these messages have a local change that the server does not know yet."""
    return set(
        Change.objects.filter(message__in=message_ids, done_at__isnull=True).values_list("message_id", flat=True)
    )


def apply_server_flags(copies: Sequence[tuple[Copy, frozenset[str]]]) -> None:
    """Flags as the server has them now: kept on the copies, shown on the messages unless a local change waits.

    The message is compared, too: what came while a local change waited is shown after it.
    """
    texts = [(copy, " ".join(sorted(flags))[:500], flags) for copy, flags in copies]
    ids = [copy.message_id for copy, _text, _flags in texts if copy.message_id]
    waiting = waiting_messages(ids) if ids else set()
    messages = Message.objects.in_bulk(ids) if ids else {}
    touched = []
    for copy, _text, flags in texts:
        message = messages.get(copy.message_id or 0)
        if message is not None and message.pk not in waiting and _show(message, flags):
            touched.append(message)
    changed = [(copy, text) for copy, text, _flags in texts if text != copy.flags]
    for copy, text in changed:
        copy.flags = text
    update_rows(Copy, ("flags",), ((text, copy.pk) for copy, text in changed))
    update_rows(
        Message,
        ("is_read", "is_flagged", "is_answered"),
        ((m.is_read, m.is_flagged, m.is_answered, m.pk) for m in touched),
    )
    refresh(message.thread_id for message in touched)


def _show(message: Message, flags: frozenset[str]) -> bool:
    """Flags onto the message; whether that changed it."""
    wanted = ("\\seen" in flags or message.is_outgoing, "\\flagged" in flags, "\\answered" in flags)
    if (message.is_read, message.is_flagged, message.is_answered) == wanted:
        return False
    message.is_read, message.is_flagged, message.is_answered = wanted
    return True
