"""Bytes of a message to a ParsedMessage: the one parser for every protocol. Pure.

Invariants: no bytes make `parse_message` raise; time and memory are linear in the capped input; part ids are IMAP
section numbers (RFC 3501 6.4.5); text of unknown charsets and broken structure is kept, and said in `problems`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from mail.bodies import join_html, join_text, parsed_part, sort_leaves
from mail.dates import parse_date
from mail.decoding import decode_charset
from mail.headers import (
    Fields,
    addresses,
    clean_file_name,
    decode_value,
    first,
    header_text,
    message_id,
    message_ids,
    raw_text,
    token,
)
from mail.mime import Node, TreeBuilder, walk
from mail.thread_keys import subject_key
from mail.types import Address, ParsedMessage, ParsedPart

MAX_RAW = 64 * 1024 * 1024  # bytes; what lies behind is not read
MAX_HEADER_BLOCK = 64 * 1024  # characters kept of the raw header block
MAX_SNIPPET = 200
MAX_EMBEDDED = 20  # embedded messages whose text is appended

_CID = re.compile(r"(?i)cid:\s*([^\s\"'<>)]{1,500})")
_ATTRIBUTION = re.compile(
    r"(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|escreveu|skrev|napisał\(?a?\)?|написал\w*)\s*:\s*$", re.I
)
_LOUD = frozenset(
    (b"x-autoreply", b"x-autorespond", b"list-id", b"list-unsubscribe", b"feedback-id", b"x-failed-recipients")
)
_BULK = ("bulk", "junk", "list", "auto_reply", "auto-reply")


class PartLike(Protocol):
    """What is read of a left-out part (drivers.types.PartInfo has it)."""

    @property
    def id(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def file_name(self) -> str: ...
    @property
    def content_id(self) -> str: ...
    @property
    def disposition(self) -> str: ...


def parse_message(raw: bytes, *, left_out: Sequence[PartLike] = ()) -> ParsedMessage:
    """Return the message in `raw` (RFC 5322 bytes); parts in `left_out` are listed though their bodies are not there.

    Never raises; what was broken or cut is named in `problems`.
    """
    try:
        return _parse(raw, left_out)
    except Exception:  # the promise is "never": a defect here must not stop a mailbox
        return _bare_message(raw)


def _parse(raw: bytes, left_out: Sequence[PartLike]) -> ParsedMessage:
    builder = TreeBuilder()
    raw = _usable(raw, builder.problems)
    root = read_tree(raw, builder)
    problems = builder.problems
    layout = sort_leaves(root)
    absent = {part.id: part for part in left_out}
    body_text = [node for node in layout.text if node.section not in absent]
    body_html = [node for node in layout.html if node.section not in absent]
    html = join_html(body_html, problems)
    text = join_text(body_text, problems)
    if not text and html:
        text = join_text([node for node in body_html if node.type == "text/html"], problems)
    text = _with_embedded(text, layout.attachments, problems)
    parts = _parts(root, set(map(id, layout.text + layout.html)), html, absent)
    return _message(root, text, html, parts, tuple(problems))


def read_tree(raw: bytes, builder: TreeBuilder) -> Node:
    """Return the MIME tree of `raw`, numbered by IMAP sections."""
    root = builder.build(raw)
    if not (root.type.startswith("multipart/") and root.children):
        for node in walk(root):
            node.section = f"1.{node.section}" if node is not root else "1"
    return root


def _usable(raw: bytes, problems: dict[str, None]) -> bytes:
    if len(raw) > MAX_RAW:
        problems["too-big"] = None
        raw = raw[:MAX_RAW]
    if b"\n" not in raw and b"\r" in raw:
        problems["line-ends"] = None
        raw = raw.replace(b"\r", b"\n")
    return raw


def _message(
    root: Node, text: str, html: str, parts: tuple[ParsedPart, ...], problems: tuple[str, ...]
) -> ParsedMessage:
    fields = root.fields
    subject = decode_value(first(fields, b"subject"), 1000)
    identity = message_id(first(fields, b"message-id"))
    date = parse_date(first(fields, b"date"))
    sender, to = addresses(fields, b"from"), addresses(fields, b"to")
    parents = message_ids(first(fields, b"in-reply-to"))
    day = date.isoformat() if date else raw_text(first(fields, b"date"), 200)
    return ParsedMessage(
        message_id=identity,
        in_reply_to=parents[0] if parents else "",
        references=message_ids(b" ".join(fields.get(b"references", ()))[: 64 * 1024]),
        subject=subject,
        from_=sender,
        sender=addresses(fields, b"sender"),
        reply_to=addresses(fields, b"reply-to"),
        to=to,
        cc=addresses(fields, b"cc"),
        bcc=addresses(fields, b"bcc"),
        date=date,
        text=text,
        html=html,
        snippet=make_snippet(text),
        parts=parts,
        header_block=header_text(root.data[root.start : min(root.body, root.start + MAX_HEADER_BLOCK)]).rstrip("\n"),
        list_id=decode_value(first(fields, b"list-id"), 300),
        list_unsubscribe=decode_value(first(fields, b"list-unsubscribe"), 2000),
        is_automatic=_is_automatic(root),
        authentication_results=tuple(decode_value(value) for value in fields.get(b"authentication-results", ())[:30]),
        digest=make_digest(identity, day, sender, to, subject),
        problems=problems,
    )


def make_digest(identity: str, day: str, sender: Sequence[Address], to: Sequence[Address], subject: str) -> str:
    """Return the hash by which a copy of the same message is adopted: Message-ID, date, From, To, base subject."""
    values = [identity, day, *(a.address for a in sender), "\n", *sorted(a.address for a in to), subject_key(subject)]
    return hashlib.sha256("\x1f".join(values).encode("utf-8", "replace")).hexdigest()


def _is_automatic(root: Node) -> bool:
    """Return whether a machine sent this (RFC 3834 5, and what list and auto-reply software adds)."""
    fields: Fields = root.fields
    submitted = token(first(fields, b"auto-submitted"))
    if submitted and submitted != "no":
        return True
    if token(first(fields, b"precedence")) in _BULK or not _LOUD.isdisjoint(fields):
        return True
    if root.type == "multipart/report" or any(value.strip() == b"<>" for value in fields.get(b"return-path", ())):
        return True
    suppress = first(fields, b"x-auto-response-suppress").lower()
    return b"all" in suppress or b"oof" in suppress and b"autoreply" in suppress


def make_snippet(text: str) -> str:
    """Return the beginning of a text as one line of at most 200 characters, without quoted lines where it has others."""
    head = text[:3000]
    beginning = head[:600].rpartition("\n")[0]  # whole lines, and enough of them for most
    line = _unquoted_line(beginning)
    if len(line) <= MAX_SNIPPET:
        line = _unquoted_line(head) or " ".join(head.split())
    return line if len(line) <= MAX_SNIPPET else line[: MAX_SNIPPET - 1].rstrip() + "…"


def _unquoted_line(text: str) -> str:
    """Return the lines that are no quotes and introduce none, as one line."""
    lines = [
        line
        for line in text.split("\n")
        if not (line.startswith(">") or (line.endswith(":") and _ATTRIBUTION.search(line[-80:])))
    ]
    return " ".join(" ".join(lines).split())


def _with_embedded(text: str, attachments: Sequence[Node], problems: dict[str, None]) -> str:
    """Append the text of embedded messages under their main headers, so that it is read and found."""
    pieces = [text] if text else []
    for node in [node for node in attachments if node.is_message][:MAX_EMBEDDED]:
        inner = node.children[0]
        layout = sort_leaves(inner)
        body = join_text(layout.text, problems)
        names = (b"from", b"date", b"to", b"subject")
        head = [
            f"{name.decode().title()}: {decode_value(first(inner.fields, name), 300)}"
            for name in names
            if first(inner.fields, name)
        ]
        pieces.append(_with_embedded("\n".join(head) + "\n\n" + body, layout.attachments, problems).strip())
    if not pieces and attachments and attachments[0].type.startswith("text/"):
        return join_text(list(attachments[:1]), problems)
    return "\n\n".join(pieces)[:2_000_000]


def _parts(root: Node, body: set[int], html: str, absent: dict[str, PartLike]) -> tuple[ParsedPart, ...]:
    referenced: set[str] | None = None  # read when a part has an id to be referred to by
    found: list[ParsedPart] = []
    seen: set[str] = set()
    inner_body: set[int] = set()
    for node in walk(root):
        if node.is_message:
            inner = sort_leaves(node.children[0])
            inner_body.update(map(id, inner.text + inner.html))
        is_container = bool(node.children) and not node.is_message
        is_absent = node.section in absent
        if is_container or ((id(node) in body or id(node) in inner_body) and not is_absent):
            continue
        seen.add(node.section)
        part = parsed_part(node)
        if is_absent:
            part = _left_out(absent[node.section], part)
        if part.content_id:
            referenced = _content_ids(html) if referenced is None else referenced
            if part.content_id.lower() in referenced:
                part = replace(part, is_inline=True)
        found.append(part)
    for section, info in absent.items():
        if section not in seen:
            found.append(_left_out(info, None))
    return tuple(found)


def _content_ids(html: str) -> set[str]:
    return {cid.lower() for cid in _CID.findall(html)} if "cid:" in html or "CID:" in html else set()


def _left_out(info: PartLike, part: ParsedPart | None) -> ParsedPart:
    name = (part.file_name if part else "") or clean_file_name(info.file_name)
    cid = (part.content_id if part else "") or info.content_id.strip("<> ")
    kind = info.content_type or (part.content_type if part else "")
    return ParsedPart(info.id, kind.lower()[:120], info.size, name, cid, is_left_out=True)


def extract_part(raw: bytes, part_id: str) -> tuple[ParsedPart, bytes]:
    """Return (part, decoded content) of one section of a whole message; a message/rfc822 part comes as it stands.

    Raises KeyError where the message has no such leaf.
    """
    builder = TreeBuilder()
    for node in walk(read_tree(_usable(raw, builder.problems), builder)):
        if node.section == part_id and (node.is_message or not node.children):
            return parsed_part(node), node.content()
    raise KeyError(part_id)


def _bare_message(raw: bytes) -> ParsedMessage:
    """The last resort: no structure, the beginning of the raw as text."""
    text = decode_charset(raw[:100_000])[0].replace("\r\n", "\n")
    head = text.partition("\n\n")[0][:MAX_HEADER_BLOCK]
    return ParsedMessage(
        message_id="",
        in_reply_to="",
        references=(),
        subject="",
        from_=(),
        sender=(),
        reply_to=(),
        to=(),
        cc=(),
        bcc=(),
        date=None,
        text=text,
        html="",
        snippet=make_snippet(text),
        parts=(),
        header_block=head,
        digest=hashlib.sha256(raw).hexdigest(),
        problems=("parser-failed",),
    )
