"""The MIME tree of a message, straight from its bytes, with IMAP section numbers (RFC 3501 6.4.5).

Works on offsets into one buffer, without recursion into the unknown: depth and parts are capped; what lies above a cap
is kept as one opaque leaf, so that nothing disappears. Broken boundaries are mended in favour of keeping text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mail.decoding import decode_transfer
from mail.headers import Fields, header_end
from mail.heads import EMPTY, Head, read_head

MAX_DEPTH = 60
MAX_PARTS = 1000
MAX_NESTED_ENCODED = 8 * 1024 * 1024  # bytes of an encoded embedded message that are decoded to look inside
NEAR, FAR = 4096, 65536  # bytes searched for a delimiter after a "-"

_IDENTITY = ("", "7bit", "8bit", "binary")
_GUESS_BOUNDARY = re.compile(rb"(?m)^--([^\s-][^\r\n]{0,200}?)[ \t]*\r?\n(?=[Cc]ontent-|\r?\n)")


@dataclass(slots=True)
class Node:
    """An entity: `data[body:end]` is its body as transferred."""

    section: str  # "" for the root message, "1.2" below
    data: bytes
    start: int
    body: int
    end: int
    head: Head
    type: str  # what it is taken for, which may be another type than the head's
    parent_type: str
    children: list[Node] = field(default_factory=list)
    is_message: bool = False  # the root, or message/rfc822 with its content in children[0]
    decoded: tuple[str, bool] | None = None  # the text of a leaf, once it was asked for (mail.bodies)

    @property
    def fields(self) -> Fields:
        """The header fields."""
        return self.head.fields

    def raw_body(self) -> bytes:
        """Return the body as transferred."""
        return self.data[self.body : self.end]

    def content(self) -> bytes:
        """Return the body with its transfer encoding undone."""
        return decode_transfer(self.raw_body(), self.head.encoding)


class TreeBuilder:
    """Builds one tree; `problems` says what was mended or cut."""

    def __init__(self) -> None:
        self.parts = 0
        self.problems: dict[str, None] = {}

    def build(self, raw: bytes) -> Node:
        """Return the root of the message in `raw`."""
        return self._entity(raw, 0, len(raw), "", ("", 0))

    def _entity(self, data: bytes, start: int, end: int, section: str, place: tuple[str, int]) -> Node:
        """Read the entity in data[start:end]; `place` is (type of the container, depth)."""
        parent_type, depth = place
        head_end, body = header_end(data, start, end)
        head = read_head(data, start, head_end)
        if start + head.size < head_end:
            body = start + head.size
            self.problems["header-without-end"] = None
        kind = head.type if head.is_typed or parent_type != "multipart/digest" else "message/rfc822"
        self.parts += 1
        node = Node(section, data, start, body, end, head, kind, parent_type)
        if kind.startswith("multipart/"):
            self._multipart(node, depth)
        elif kind in ("message/rfc822", "message/global", "message/news"):
            self._message(node, depth)
        return node

    def _multipart(self, node: Node, depth: int) -> None:
        boundary = self._boundary(node)
        spans = _spans(node, boundary) if boundary else []
        if spans and depth < MAX_DEPTH and self.parts < MAX_PARTS:
            prefix = f"{node.section}." if node.section else ""
            for number, (start, end) in enumerate(spans, 1):
                if self.parts >= MAX_PARTS:
                    self.problems["too-many-parts"] = None
                    node.children.append(self._rest(node, start, f"{prefix}{number}"))
                    break
                section = f"{prefix}{number}"
                node.children.append(self._entity(node.data, start, end, section, (node.type, depth + 1)))
            return
        if spans:
            self.problems["too-deep" if depth >= MAX_DEPTH else "too-many-parts"] = None
            node.type = "application/octet-stream"
            return
        self.problems["multipart-without-parts"] = None
        node.type = "text/plain"
        if re.search(rb"(?i)<(?:html|body|div|table|p)[\s>]", node.data[node.body : min(node.end, node.body + 2000)]):
            node.type = "text/html"

    def _rest(self, node: Node, start: int, section: str) -> Node:
        return Node(section, node.data, start, start, node.end, EMPTY, EMPTY.type, node.type)

    def _boundary(self, node: Node) -> bytes:
        text = node.head.parameters.get("boundary", "")
        boundary = text.encode("utf-8", "replace").rstrip()[:1000]
        if boundary and node.data.find(b"--" + boundary, node.body, node.end) >= 0:
            return boundary
        self.problems["broken-boundary"] = None
        guess = _GUESS_BOUNDARY.search(node.data, node.body, node.end)
        return guess[1] if guess else b""

    def _message(self, node: Node, depth: int) -> None:
        if depth >= MAX_DEPTH or self.parts >= MAX_PARTS:
            self.problems["too-deep"] = None
            return
        data, start, end = node.data, node.body, node.end
        if node.head.encoding not in _IDENTITY:
            if end - start > MAX_NESTED_ENCODED:
                return
            data = node.content()
            start, end = 0, len(data)
        if start >= end:
            return
        child = self._entity(data, start, end, node.section, (node.type, depth + 1))
        if not child.type.startswith("multipart/"):
            _renumber(child, node.section)
        node.is_message = True
        node.children.append(child)


def _renumber(child: Node, prefix: str) -> None:
    """A message that is no multipart has its only part at "<prefix>.1"."""
    old = child.section
    child.section = f"{prefix}.1" if prefix else "1"
    for below in child.children:
        _replace_prefix(below, old, child.section)


def _replace_prefix(node: Node, old: str, new: str) -> None:
    node.section = new + (node.section[len(old) :] if old else f".{node.section}")
    for below in node.children:
        _replace_prefix(below, old, new)


def _spans(node: Node, boundary: bytes) -> list[tuple[int, int]]:
    """Return where the parts of a multipart lie. A missing end delimiter means: up to the end (RFC 2046 5.1.1)."""
    mark = b"--" + boundary
    data, position, limit = node.data, node.body, node.end
    spans: list[tuple[int, int]] = []
    start = -1
    for found in _places(data, mark, position, limit):
        if found < position:  # more dashes on the line of a delimiter
            continue
        position = found + len(mark)
        if found > node.body and data[found - 1 : found] != b"\n":
            continue
        line_end = data.find(b"\n", position, limit)
        line_end = limit if line_end < 0 else line_end + 1
        rest = data[position : min(line_end, position + 200)].strip()
        is_end = rest == b"--" or (rest.startswith(b"--") and not rest[2:].strip(b"- \t"))
        if rest and not is_end:
            continue
        if start >= 0:
            spans.append((start, _before(data, start, found)))
        if is_end:
            start = -1
            position = line_end
            continue
        start = position = line_end
    if start >= 0 and (start < limit or not spans):
        spans.append((start, limit))
    return spans


def _places(data: bytes, mark: bytes, position: int, limit: int) -> Iterator[int]:
    """Yield where `mark`, which begins with "-", stands in data[position:limit].

    base64 has no "-", and a byte is found forty times faster than a word: stretches without one are jumped over. What
    follows a "-" is searched in growing pieces, since the search is linear for hostile marks in large pieces only.
    """
    reach = NEAR
    while (dash := data.find(b"-", position, limit)) >= 0:
        if dash - position > reach:
            reach = NEAR
        after = dash + reach
        position, end = dash, min(limit, after + len(mark) - 1)
        while (found := data.find(mark, position, end)) >= 0:
            yield found
            position = found + len(mark)
        position = max(position, after)
        reach = min(2 * reach, FAR)


def _before(data: bytes, start: int, found: int) -> int:
    """Return where a part ends: the line break before a delimiter belongs to the delimiter."""
    if found > start and data[found - 1 : found] == b"\n":
        found -= 1
        if found > start and data[found - 1 : found] == b"\r":
            found -= 1
    return max(start, found)


def walk(node: Node) -> list[Node]:
    """Return the node and everything below it, in order of appearance."""
    out, stack = [], [node]
    while stack:
        current = stack.pop()
        out.append(current)
        stack.extend(reversed(current.children))
    return out
