"""A stored message as the original of an answer: what `outbox.replies` needs of it, its quote and the parts that go along.

Reads rows only. Invariant: the quote of an answer is cleaned without remote content; a forwarded mail keeps it, and no page
of ours loads it.
"""

from __future__ import annotations

import uuid
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mail.headers import clean_file_name
from mail.models import Message, Part
from mail.plain_html import text_to_html
from outbox import replies
from outbox.letter_html import clean_quote, clean_written, used_content_ids
from outbox.replies import Original, Pairs


def _pairs(found: Any) -> Pairs:
    return tuple((str(name), str(address)) for name, address in (found or [])[:500])


def original_of(message: Message, time_zone: str = "UTC") -> Original:
    """What is known of a stored message; its date in the time zone of who answers (a name of the tz database)."""
    content = message.content
    people = content.recipients
    return Original(
        message_id=message.message_id,
        references=tuple(content.references),
        in_reply_to=content.in_reply_to,
        subject=message.subject,
        sent_at=(message.sent_at or message.received_at).astimezone(_zone(time_zone)),
        from_=_pairs(people.get("from")) or ((message.from_name, message.from_address),),
        reply_to=_pairs(people.get("reply_to")),
        to=_pairs(people.get("to")),
        cc=_pairs(people.get("cc")),
        is_outgoing=message.is_outgoing,
        is_verified=message.verdict == "verified",
    )


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def answer_fields(original: Original, kind: str, own: frozenset[str]) -> dict[str, Any]:
    """Fields of the OutgoingMessage that answers `original`. A forward begins a thread of its own (no In-Reply-To)."""
    whom = replies.recipients(original, kind, own)
    fields: dict[str, Any] = {
        "to": [list(pair) for pair in whom.to],
        "cc": [list(pair) for pair in whom.cc],
        "subject": replies.subject_for(original.subject, kind)[:900],
        "needs_reply_to_check": whom.has_odd_reply_to,
        "references": list(replies.references_for(original)),
        "in_reply_to": "" if kind == "forward" else original.message_id[:1000],
    }
    return fields


def carried_parts(message: Message, kind: str, time_zone: str = "UTC") -> tuple[tuple[str, str], list[dict[str, Any]]]:
    """((quoted HTML, quoted text), fields of attachments) of an answer; `kind` "draft": the body itself, all parts.

    Pictures that the quote shows go along under new content ids; other parts only when it is forwarded or a draft.
    """
    content, parts = message.content, list(message.parts.all())
    shown = {cid.lower() for cid in used_content_ids(content.html)}
    pictures = {part.content_id: part for part in parts if part.content_id and part.content_id.lower() in shown}
    new_ids = {old: f"{uuid.uuid4().hex}@inline" for old in pictures}
    files = [_file(part, new_ids[cid]) for cid, part in pictures.items()]
    if kind in ("forward", "draft"):
        files += [_file(part, "") for part in parts if part.content_id not in pictures]
    if kind == "draft":
        return (_own_body(content.html, new_ids), content.text), files
    keeps = kind == "forward"  # whoever gets it decides about the pictures of the web; here nothing loads them
    body = clean_quote(content.html, new_ids, keeps_remote=keeps) if content.html else text_to_html(content.text)
    original = original_of(message, time_zone)
    return (replies.quote_html(original, body, kind), replies.quote_text(original, content.text, kind)), files


def _own_body(html: str, new_ids: dict[str, str]) -> str:
    for old, new in new_ids.items():
        html = html.replace(f"cid:{old}", f"cid:{new}")
    return clean_written(html)


def _file(part: Part, content_id: str) -> dict[str, Any]:
    kind = part.content_type.lower()
    is_wrapped = kind.startswith(("message/", "multipart/")) or "/" not in kind
    name = clean_file_name(part.file_name)[:250] or (
        f"message-{part.section}.eml" if "message" in kind else "attachment"
    )
    return {
        "part": part,
        "file_name": name,
        "content_type": "application/octet-stream" if is_wrapped else kind,
        "size": part.size,
        "content_id": content_id,
    }
