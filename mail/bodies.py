"""Which leaves of a MIME tree are the body and which are attachments (RFC 8621 4.1.4), and their text.

Invariant: every leaf is either part of the body or in the list of parts; none disappears.
"""

from __future__ import annotations

import html as html_entities
import re
from dataclasses import dataclass, field

from mail.decoding import base64_size, codec_for, decode_charset, decode_transfer, unix_lines
from mail.headers import clean_file_name, decode_value, first
from mail.html_text import html_to_text
from mail.mime import Node
from mail.types import ParsedPart

MAX_TEXT = 2_000_000  # characters of text kept
MAX_HTML = 4_000_000  # characters of HTML kept

_META = re.compile(rb"(?i)<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-z0-9._:-]{1,40})")
_ONE_BYTE_ENDS = ("utf-8", "cp1252")  # codecs where CR and LF are these bytes and nothing else
_EMBEDDED = ("message/rfc822", "message/global", "message/news")
_READABLE = (
    "text/enriched",
    "text/richtext",
    "text/markdown",
    "text/x-patch",
    "text/x-diff",
    "text/plain",
    "text/html",
)


@dataclass(slots=True)
class Layout:
    """Leaves sorted by their role."""

    text: list[Node] = field(default_factory=list)
    html: list[Node] = field(default_factory=list)
    attachments: list[Node] = field(default_factory=list)


def sort_leaves(root: Node) -> Layout:
    """Return the layout of one message (embedded messages stay attachments)."""
    layout = Layout()
    if root.type.startswith("multipart/") and root.children:
        _sort(root, layout, ("text", "html"))
    else:
        _place(root, layout, ("text", "html"), 0)
    return layout


def _sort(parent: Node, layout: Layout, wanted: tuple[str, ...]) -> None:
    before_text, before_html = len(layout.text), len(layout.html)
    alternative = parent.type == "multipart/alternative"
    for index, node in enumerate(parent.children):
        if node.type.startswith("multipart/") and node.children:
            _sort(node, layout, ("alternative",) if alternative and wanted != ("alternative",) else wanted)
        else:
            _place(node, layout, ("alternative",) if alternative else wanted, index)
    if alternative and "alternative" not in wanted:
        added_text, added_html = layout.text[before_text:], layout.html[before_html:]
        if not added_text and added_html and "text" in wanted:
            layout.text.extend(added_html)
        if not added_html and added_text and "html" in wanted:
            layout.html.extend(added_text)


def _place(node: Node, layout: Layout, wanted: tuple[str, ...], index: int) -> None:
    if not _is_body(node, index):
        layout.attachments.append(node)
        return
    if "alternative" in wanted:
        (layout.html if node.type == "text/html" else layout.text).append(node)
        return
    layout.text.append(node)
    layout.html.append(node)


def _is_body(node: Node, index: int) -> bool:
    if node.type not in _READABLE or node.head.disposition == "attachment":
        return False
    if node.parent_type == "multipart/related" and index:
        return False
    return not index or node.type in ("text/plain", "text/html") or not file_name(node)


def file_name(node: Node) -> str:
    """Return the name of a part: of its disposition, else of its type, else what the headers describe."""
    name = node.head.file_name
    if not name and node.type in _EMBEDDED and node.children:
        subject = decode_value(first(node.children[0].fields, b"subject"), 100)
        name = clean_file_name(re.sub(r"[\\/:*?\"<>|]+", " ", subject)) + ".eml" if subject else ""
    return name


def part_size(node: Node) -> int:
    """Return the decoded size of a leaf in bytes, for base64 without decoding."""
    encoding = node.head.encoding
    if encoding == "base64":
        return base64_size(node.raw_body())
    if encoding == "quoted-printable":
        return len(decode_transfer(node.raw_body(), encoding))
    return node.end - node.body


def parsed_part(node: Node) -> ParsedPart:
    """Return what is listed of a leaf."""
    return ParsedPart(
        id=node.section,
        content_type=node.type[:120],
        size=part_size(node),
        file_name=file_name(node),
        content_id=node.head.content_id,
    )


def leaf_text(node: Node, problems: dict[str, None]) -> str:
    """Return the decoded text of a text leaf with LF line ends (format=flowed not yet undone)."""
    if node.decoded is None:
        node.decoded = _decoded(node)
    text, exact = node.decoded
    if not exact:
        problems["charset"] = None
    return text


def _decoded(node: Node) -> tuple[str, bool]:
    data = node.content()[: 4 * MAX_HTML]
    label = node.head.parameters.get("charset", "")
    if not label and node.type == "text/html":
        meta = _META.search(data[:4096])
        label = meta[1].decode("ascii") if meta and not _is_utf8(data) else ""
    if codec_for(label or "utf-8") in _ONE_BYTE_ENDS:
        data = unix_lines(data)
    text, exact = decode_charset(data, label)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, exact


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def plain_text(node: Node, problems: dict[str, None]) -> str:
    """Return a text/* leaf as plain text: flowed lines joined (RFC 3676), HTML turned into text."""
    text = leaf_text(node, problems)
    if node.type == "text/html":
        return html_to_text(text)
    if node.type in ("text/enriched", "text/richtext"):
        return re.sub(r"<[^<>]{1,60}>", "", text.replace("<<", "\0")).replace("\0", "<")
    if node.head.parameters.get("format", "").lower() == "flowed":
        return unflow(text, node.head.parameters.get("delsp", "").lower() == "yes")
    return text


def unflow(text: str, delsp: bool = False) -> str:
    """Join the soft line breaks of format=flowed text (RFC 3676 4), quote depths kept apart."""
    out: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        if bare.startswith(" "):
            bare = bare[1:]
        flows = bare.endswith(" ") and bare != "-- "
        if flows and delsp:
            bare = bare[:-1]
        if open_depth == depth and bare != "-- ":
            out.append(bare)
        else:
            if out:
                out.append("\n")
            out.append(">" * depth + (" " if depth and bare else "") + bare)
        open_depth = depth if flows else -1
    return "".join(out)


def join_html(nodes: list[Node], problems: dict[str, None]) -> str:
    """Return the HTML of a body's leaves, plain ones escaped between; "" if none of them is HTML."""
    if not any(node.type == "text/html" for node in nodes):
        return ""
    pieces = []
    for node in nodes:
        if node.type == "text/html":
            pieces.append(leaf_text(node, problems))
        else:
            plain = plain_text(node, problems)
            if plain.strip():
                pieces.append(f'<div style="white-space:pre-wrap">{html_entities.escape(plain)}</div>')
    return "\n".join(pieces)[:MAX_HTML]


def join_text(nodes: list[Node], problems: dict[str, None]) -> str:
    """Return the text of a body's leaves, one after the other."""
    pieces = [plain_text(node, problems).strip("\n") for node in nodes]
    return "\n\n".join(piece for piece in pieces if piece.strip())[:MAX_TEXT].rstrip()
