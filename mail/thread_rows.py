"""What a thread's row in the list shows, out of its messages. Pure: the same for a slice in memory and for stored rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

PARTICIPANTS_SHOWN = 8
SHOWN = (
    "subject", "snippet", "participants", "last_received_at", "message_count", "unread_count", "open_count",
    "sent_count", "draft_count", "has_attachments", "is_flagged",
)  # fmt: skip


class Shown(NamedTuple):
    """What of a message its thread's row is made of; the names are those of its columns."""

    thread: int
    received_at: datetime
    id: int
    subject: str
    snippet: str
    from_name: str
    from_address: str
    is_outgoing: bool
    is_draft: bool
    is_read: bool
    processed_at: datetime | None
    has_attachments: bool
    is_flagged: bool


def thread_row(messages: Sequence[Shown]) -> tuple[Any, ...]:
    """The values of SHOWN. `messages`: those of one thread that are shown, oldest first, at least one."""
    first, last = messages[0], messages[-1]
    people: dict[str, list[object]] = {}
    unread = still_open = sent = drafts = 0
    for one in messages:
        if len(people) < PARTICIPANTS_SHOWN:
            people.setdefault(one.from_address, [one.from_name, one.from_address, one.is_outgoing])
        if one.is_draft:
            drafts += 1
        elif one.is_outgoing:
            sent += 1
        else:
            unread += not one.is_read
            still_open += one.processed_at is None
    return (
        first.subject,
        last.snippet,
        list(people.values()),
        last.received_at,
        len(messages),
        unread,
        still_open,
        sent,
        drafts,
        any(one.has_attachments for one in messages),
        any(one.is_flagged for one in messages),
    )
