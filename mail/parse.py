"""The way in for mail from outside (`parse_safely`; the parser itself is mail.message). Pure but for the helper process.

Invariant: ordinary mail costs a cheap scan only; whatever is above a cap is parsed under a memory limit and a kill timer,
and what even then cannot be read is `Unreadable`, for the quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from base import jail
from mail.message import PartLike, extract_part, parse_message
from mail.types import ParsedMessage
from mail.wire import dump_message, load_message

__all__ = ["PartLike", "Unreadable", "extract_part", "parse_message", "parse_safely", "scan"]

QUIET_SIZE = 64 * 1024  # bytes below which a message cannot be dear to parse
MAX_QUIET_RAW = 32 * 1024 * 1024  # bytes above which a helper takes over
MAX_QUIET_HEADER = 256 * 1024  # bytes of the header block
MAX_QUIET_FIELDS = 2000  # Content-* fields, a measure of parts
MAX_QUIET_TAGS = 60_000  # "<" in the message, a measure of HTML
STRETCH = 4096  # bytes looked at after a "-"
JAIL_SECONDS = 30
JAIL_MEGABYTES = 1024


class Unreadable(Exception):
    """Nobody can parse this message within the limits; `reason` says what happened. The raw goes to the quarantine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Part:
    id: str
    content_type: str
    size: int
    file_name: str
    content_id: str
    disposition: str


def scan(raw: bytes) -> str:
    """Return why this message should not be parsed in a worker's own process ("raw", "header", "parts", "html"), or ""."""
    if len(raw) < QUIET_SIZE:
        return ""
    if len(raw) > MAX_QUIET_RAW:
        return "raw"
    if len(raw) > MAX_QUIET_HEADER and not _header_ends_early(raw):
        return "header"
    if _has_many_fields(raw):
        return "parts"
    last = raw.rfind(b"<")  # attachments follow the HTML: what lies behind is not counted
    return "html" if last >= MAX_QUIET_TAGS and raw.count(b"<", 0, last + 1) > MAX_QUIET_TAGS else ""


def _header_ends_early(raw: bytes) -> bool:
    marks = (b"\n\r\n", b"\n\n")
    return any(raw.find(mark, 0, MAX_QUIET_HEADER + len(mark)) >= 0 for mark in marks)


def _has_many_fields(raw: bytes) -> bool:
    """Return whether more than MAX_QUIET_FIELDS lines begin with Content-*.

    "ontent-" is counted first, which is never less, and only near a "-": base64 has none, and a byte is found many
    times faster than a word.
    """
    count, position = 0, 0
    while (dash := raw.find(b"-", position)) >= 0:
        position = dash + STRETCH
        count += raw.count(b"ontent-", max(0, dash - 6), position)
    return count > MAX_QUIET_FIELDS and raw.count(b"\nContent-") + raw.count(b"\ncontent-") > MAX_QUIET_FIELDS


def parse_safely(raw: bytes, *, left_out: Sequence[PartLike] = ()) -> ParsedMessage:
    """Return the parsed message; hostile looking ones are parsed in `base.jail`. Raises Unreadable."""
    if not scan(raw):
        return parse_message(raw, left_out=left_out)
    parts = [asdict(_Part(p.id, p.content_type, p.size, p.file_name, p.content_id, p.disposition)) for p in left_out]
    payload = json.dumps(parts).encode() + b"\n" + raw
    try:
        answer = jail.run("mail.parse:parse_payload", payload, seconds=JAIL_SECONDS, megabytes=JAIL_MEGABYTES)
        return load_message(answer)
    except jail.JailError as error:
        raise Unreadable(str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("the helper's answer could not be read") from error


def parse_payload(payload: bytes) -> bytes:
    """The helper's side of `parse_safely`: JSON of the left-out parts, a line feed, the raw message."""
    head, _, raw = payload.partition(b"\n")
    parts = [_Part(**item) for item in json.loads(head)]
    return dump_message(parse_message(raw, left_out=parts))
