"""A message of RFC 5322 made of an item's properties, so that one parser reads all protocols. Pure.

Invariant: the header block as it arrived is kept where the server has it (but for what describes the body, which is
ours); nothing out of a property can begin a header line of its own.
"""

from __future__ import annotations

import base64
import re
from email.header import Header
from email.utils import format_datetime, quote

from drivers.ews.items import TRANSPORT_HEADERS
from drivers.ews.wire import Element, Mailbox, children, extended, mailboxes, named, text_at, time_at

HEADER_MOST = 256 * 1024  # characters
_LINE = re.compile(r"[\r\n\x00]+")
_FIELD = re.compile(r"([!-9;-~]{1,200}):[ \t]?(.*)", re.DOTALL)
_OURS = ("content-", "mime-version")
_IDENTITY = ("message-id", "date", "from", "to", "subject")


def headers_of(item: Element) -> bytes:
    """The header block: as it arrived, with what is missing in it taken from the properties."""
    return _block(_fields(item)) + b"\r\n"


def message_of(item: Element) -> bytes:
    """Headers and the one body that Exchange keeps, as base64."""
    body = named(item, "Body")
    text = (body.text or "") if body is not None else ""
    kind = "html" if body is not None and (body.get("BodyType") or "").upper() == "HTML" else "plain"
    fields = [
        *(one for one in _fields(item) if not one[0].lower().startswith(_OURS)),
        ("MIME-Version", "1.0"),
        ("Content-Type", f"text/{kind}; charset=utf-8"),
        ("Content-Transfer-Encoding", "base64"),
    ]
    return _block(fields) + b"\r\n" + base64.encodebytes(text.encode("utf-8", "replace")).replace(b"\n", b"\r\n")


def _fields(item: Element) -> list[tuple[str, str]]:
    kept = _transported(item)
    known = {name.lower() for name, _value in kept}
    return kept + [one for one in _from_properties(item) if one[0].lower() not in known]


def _transported(item: Element) -> list[tuple[str, str]]:
    """The fields as they arrived: the block itself, else the list that Exchange makes of it."""
    block = extended(item).get(TRANSPORT_HEADERS, "")[:HEADER_MOST]
    fields: list[tuple[str, str]] = []
    for line in re.sub(r"\r?\n[ \t]+", " ", block).splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            fields.append((match[1], match[2]))
        elif fields and line:
            break  # what follows is no header
    if fields:
        return fields
    for one in children(named(item, "InternetMessageHeaders")):
        name = one.get("HeaderName") or ""
        if _FIELD.fullmatch(f"{name}:"):
            fields.append((name, _LINE.sub(" ", one.text or "")))
    return fields[:2000]


def _from_properties(item: Element) -> list[tuple[str, str]]:
    sender = mailboxes(item, "From")[:1] or mailboxes(item, "Sender")[:1]
    people = {
        "From": sender,
        "To": mailboxes(item, "ToRecipients"),
        "Cc": mailboxes(item, "CcRecipients"),
        "Bcc": mailboxes(item, "BccRecipients"),
        "Reply-To": mailboxes(item, "ReplyTo"),
    }
    fields = [(name, ", ".join(map(_person, found))) for name, found in people.items() if found]
    sent = time_at(item, "DateTimeSent")
    if sent is not None:
        fields.append(("Date", format_datetime(sent.replace(microsecond=0))))
    for name, path in (
        ("Subject", "Subject"),
        ("Message-ID", "InternetMessageId"),
        ("In-Reply-To", "InReplyTo"),
        ("References", "References"),
    ):
        value = text_at(item, path)
        if value:
            fields.append((name, _word(value)))
    return fields


def _person(one: Mailbox) -> str:
    name = _LINE.sub(" ", one.name)
    if not one.address:
        return f'"{quote(name)}" <>' if name.isascii() else f"{_word(name)} <>"
    address = re.sub(r"[\s<>\x00]+", "", one.address)
    if not name or name == one.address:
        return f"<{address}>"
    return f'"{quote(name)}" <{address}>' if name.isascii() else f"{_word(name)} <{address}>"


def _word(text: str) -> str:
    text = _LINE.sub(" ", text)
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n", maxlinelen=75)


def _block(fields: list[tuple[str, str]]) -> bytes:
    lines = []
    for name, value in fields:
        value = re.sub(r"\r?\n(?![ \t])", " ", value)
        lines.append(f"{name}: {value}\r\n".encode("utf-8", "replace"))
    return b"".join(lines)
