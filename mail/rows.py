"""A parsed message as rows, cut to its columns: what `mail.store` writes in bulk. Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from base.packing import pack
from mail.hashes import id_hash
from mail.models import Copy, MessageAddress
from mail.thread_rows import Shown
from mail.types import Address, Claimed, ParsedMessage, ParsedPart

FUTURE = timedelta(days=1)  # an INTERNALDATE further ahead is a lie of the server's clock
DRAFT, SEEN, FLAGGED, ANSWERED = "\\draft", "\\seen", "\\flagged", "\\answered"
ADDRESSES_KEPT = 500  # per message and header, for search and linking

MESSAGE = (
    "id", "email_account", "thread", "message_id", "message_id_hash", "subject", "snippet", "from_name",
    "from_address", "sent_at", "received_at", "size", "is_outgoing", "is_read", "is_flagged", "is_answered",
    "is_draft", "is_automatic", "has_attachments", "is_complete", "verdict", "digest", "object_id", "processed_at",
    "processed_by", "gone_at", "trashed_at", "is_indexed", "created_at",
)  # fmt: skip
CONTENT = (
    "message", "text", "html", "header_block", "in_reply_to", "references", "recipients", "list_id",
    "list_unsubscribe", "authentication_results", "problems",
)  # fmt: skip
PART = ("message", "section", "content_type", "file_name", "size", "content_id", "is_inline", "stored", "stored_at")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One fetched copy, parsed. `verdict` is the sender's authentication; `is_draft_folder`: it lies in Drafts."""

    copy: Copy | Claimed
    parsed: ParsedMessage
    flags: frozenset[str]
    is_complete: bool = True
    is_draft_folder: bool = False
    verdict: str = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new message goes: its id, its mailbox, its thread, when it was received, when it is stored."""

    pk: int
    email_account_id: int
    thread_id: int
    received_at: datetime
    now: datetime


def received_at(item: Incoming, now: datetime) -> datetime:
    """INTERNALDATE where it is believable, else Date, else now: a Date in the future must not pin spam on top."""
    for at in (item.copy.received_at, item.parsed.date):
        if at is not None and at <= now + FUTURE:
            return at.astimezone(UTC)
    return now


def message_row(item: Incoming, place: Place, own: frozenset[str]) -> tuple[Any, ...]:
    """The row of a message, in the order of MESSAGE."""
    parsed, flags = item.parsed, item.flags
    sender = parsed.from_[0] if parsed.from_ else Address("", "")
    is_outgoing = sender.address in own
    return (
        place.pk,
        place.email_account_id,
        place.thread_id,
        parsed.message_id[:1000],
        id_hash(parsed.message_id) if parsed.message_id else None,
        parsed.subject[:1000],
        parsed.snippet[:250],
        sender.name[:300],
        sender.address[:320],
        parsed.date,
        place.received_at,
        item.copy.size or 0,
        is_outgoing,
        SEEN in flags or is_outgoing,
        FLAGGED in flags,
        ANSWERED in flags,
        DRAFT in flags or item.is_draft_folder,
        parsed.is_automatic,
        any(not part.is_inline for part in parsed.parts),
        item.is_complete,
        item.verdict,
        parsed.digest[:64],
        item.copy.object_id,
        *(None, None, None, None),  # processed, gone, trashed
        False,
        place.now,
    )


_SHOWN = itemgetter(*(MESSAGE.index(name) for name in Shown._fields))


def shown(row: tuple[Any, ...]) -> Shown:
    """What of a message's row (in the order of MESSAGE) its thread shows."""
    return Shown(*_SHOWN(row))


def content_row(pk: int, parsed: ParsedMessage) -> tuple[Any, ...]:
    """The row of its content, in the order of CONTENT."""
    recipients = {
        "from": parsed.from_, "sender": parsed.sender, "reply_to": parsed.reply_to,
        "to": parsed.to, "cc": parsed.cc, "bcc": parsed.bcc,
    }  # fmt: skip
    return (
        pk,
        parsed.text,
        pack(parsed.html),
        parsed.header_block,
        parsed.in_reply_to[:2000],
        list(parsed.references)[:200],
        {name: _pairs(found) for name, found in recipients.items() if found},
        parsed.list_id[:500],
        parsed.list_unsubscribe[:4000],
        list(parsed.authentication_results)[:20],
        list(parsed.problems)[:20],
    )


def _pairs(addresses: Iterable[Address]) -> list[list[str]]:
    return [[one.name[:300], one.address[:320]] for one in list(addresses)[:ADDRESSES_KEPT]]


def part_row(pk: int, part: ParsedPart) -> tuple[Any, ...]:
    """The row of an attachment, in the order of PART."""
    return (
        pk, part.id[:60], part.content_type[:200], part.file_name[:500], part.size, part.content_id[:500],
        part.is_inline, "", None,
    )  # fmt: skip


def address_uses(parsed: ParsedMessage) -> Iterator[tuple[str, str]]:
    """(role, address) for each valid address of each header, once."""
    role = MessageAddress.Role
    for kind, group in (
        (role.FROM, parsed.from_),
        (role.TO, parsed.to),
        (role.CC, parsed.cc),
        (role.BCC, parsed.bcc),
        (role.REPLY_TO, parsed.reply_to),
    ):
        for address in dict.fromkeys(a.address[:320] for a in group[:ADDRESSES_KEPT] if a.address):
            yield kind.value, address
