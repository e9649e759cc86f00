"""BODYSTRUCTURE (RFC 3501 7.4.2) to a tree of parts, and a message put together without its attachments (pure).

Invariant: sections are numbered as the server numbers them, so a left-out part can be fetched by its id; the message
put together keeps the tree, so counting its parts gives the same numbers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from drivers.errors import ProtocolError
from drivers.imap.syntax import Token
from drivers.types import PartInfo

MAX_PARTS = 2_000

_TYPE_WORD = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}")
_BODY_HEADERS = (b"content-type:", b"content-transfer-encoding:")


@dataclass(slots=True)
class Part:
    """One node: `section` is "" for a multipart root, else the IMAP section."""

    section: str
    kind: str  # main type, lower case
    subtype: str
    parameters: dict[str, str] = field(default_factory=dict)
    content_id: str = ""
    encoding: str = ""
    size: int = 0
    disposition: str = ""
    disposition_parameters: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        """True for a container of parts."""
        return self.kind == "multipart"

    @property
    def file_name(self) -> str:
        """As the server has it (perhaps an encoded word)."""
        for parameters, name in ((self.disposition_parameters, "filename"), (self.parameters, "name")):
            for key in (name, name + "*"):
                if key in parameters:
                    return parameters[key]
        return ""

    def info(self) -> PartInfo:
        """What the floors above may know."""
        return PartInfo(
            id=self.section or "1",
            content_type=f"{self.kind}/{self.subtype}",
            size=self.size,
            file_name=self.file_name,
            content_id=self.content_id,
            disposition=self.disposition,
            encoding=self.encoding,
        )

    def leaves(self) -> Iterator[Part]:
        """Parts with a body of their own; an attached message is one leaf."""
        if not self.is_multipart:
            yield self
            return
        for child in self.children:
            yield from child.leaves()

    def find(self, section: str) -> Part | None:
        """The part with this section, also inside attached messages."""
        if self.section == section and not self.is_multipart:
            return self
        for child in self.children:
            found = child.find(section)
            if found is not None:
                return found
        return None


def read_structure(token: Token) -> Part:
    """The tree of a parsed BODYSTRUCTURE. Raises ProtocolError for what is none."""
    if not isinstance(token, list) or not token:
        raise ProtocolError("The server's BODYSTRUCTURE cannot be read.")
    budget = [MAX_PARTS]
    if isinstance(token[0], list):
        return _multipart(token, "", budget)
    return _leaf(token, "1", budget)


def _multipart(token: list[Token], section: str, budget: list[int]) -> Part:
    count = next((index for index, item in enumerate(token) if not isinstance(item, list)), len(token))
    part = Part(section, "multipart", _word(token, count).lower() or "mixed", _pairs(_item(token, count + 1)))
    _read_disposition(part, _item(token, count + 2))
    for number, child in enumerate(token[:count], 1):
        name = f"{section}.{number}" if section else str(number)
        if isinstance(child, list) and child:
            part.children.append(_any(child, name, budget))
    return part


def _any(token: list[Token], section: str, budget: list[int]) -> Part:
    budget[0] -= 1
    if budget[0] < 0:
        raise ProtocolError("A message with too many parts.")
    if isinstance(token[0], list):
        return _multipart(token, section, budget)
    return _leaf(token, section, budget)


def _leaf(token: list[Token], section: str, budget: list[int]) -> Part:
    part = Part(
        section,
        _word(token, 0).lower() or "application",
        _word(token, 1).lower() or "octet-stream",
        _pairs(_item(token, 2)),
        content_id=_word(token, 3),
        encoding=_word(token, 5).lower(),
        size=int(_word(token, 6)) if _word(token, 6).isdigit() else 0,
    )
    after = 8
    if part.kind == "text":
        after = 9
    elif (part.kind, part.subtype) in (("message", "rfc822"), ("message", "global")) and isinstance(
        _item(token, 8), list
    ):
        after = 11
        inner = _item(token, 8)
        if isinstance(inner, list) and inner:
            if isinstance(inner[0], list):
                part.children = _multipart(inner, section, budget).children
            else:
                part.children = [_any(inner, f"{section}.1", budget)]
    _read_disposition(part, _item(token, after))
    return part


def _read_disposition(part: Part, token: Token) -> None:
    if isinstance(token, list) and token:
        part.disposition = _word(token, 0).lower()
        part.disposition_parameters = _pairs(_item(token, 1))


def _item(token: list[Token], index: int) -> Token:
    return token[index] if index < len(token) else None


def _word(token: list[Token], index: int) -> str:
    item = _item(token, index)
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else ""


def _pairs(token: Token) -> dict[str, str]:
    if not isinstance(token, list):
        return {}
    return {_word(token, index).lower(): _word(token, index + 1) for index in range(0, len(token) - 1, 2)}


# putting together


def put_together(header: bytes, root: Part, bodies: Mapping[str, bytes]) -> bytes:
    """A valid message out of the message's header and the encoded bodies we have (by section); others stay empty."""
    if not root.is_multipart:
        return _ended(header) + bodies.get(root.section, b"")
    boundaries = _boundaries()
    boundary = next(boundaries)
    kept = _without(header, _BODY_HEADERS).rstrip(b"\r\n")
    out = [kept, b"\r\n" if kept else b"", _part_header(root, boundary), b"\r\n"]
    _write_children(root, boundary, bodies, out, boundaries)
    return b"".join(out)


def _write_children(
    part: Part, boundary: str, bodies: Mapping[str, bytes], out: list[bytes], boundaries: Iterator[str]
) -> None:
    mark = boundary.encode("ascii")
    for child in part.children:
        inner = next(boundaries) if child.is_multipart else ""
        out += [b"--", mark, b"\r\n", _part_header(child, inner), b"\r\n"]
        if child.is_multipart:
            _write_children(child, inner, bodies, out, boundaries)
        else:
            out.append(bodies.get(child.section, b""))
        out.append(b"\r\n")
    out += [b"--", mark, b"--\r\n"]


def _part_header(part: Part, boundary: str) -> bytes:
    kind = part.kind if _TYPE_WORD.fullmatch(part.kind) else "application"
    subtype = part.subtype if _TYPE_WORD.fullmatch(part.subtype) else "octet-stream"
    parameters = {name: value for name, value in part.parameters.items() if name != "boundary"}
    if boundary:
        parameters["boundary"] = boundary
    lines = [f"Content-Type: {kind}/{subtype}{_written(parameters)}"]
    if part.encoding and not part.is_multipart and _TYPE_WORD.fullmatch(part.encoding):
        lines.append(f"Content-Transfer-Encoding: {part.encoding}")
    if part.content_id:
        lines.append(f"Content-ID: {_one_line(part.content_id)}")
    if part.disposition and _TYPE_WORD.fullmatch(part.disposition):
        lines.append(f"Content-Disposition: {part.disposition}{_written(part.disposition_parameters)}")
    return "".join(line + "\r\n" for line in lines).encode("utf-8", "replace")


def _written(parameters: Mapping[str, str]) -> str:
    words = []
    for name, value in parameters.items():
        if not re.fullmatch(r"[a-z0-9_.*-]{1,60}", name):
            continue
        value = _one_line(value)
        if name.endswith("*"):  # RFC 2231: percent-encoded, never quoted
            words.append(f";\r\n {name}={re.sub('[^!-~]|[;,]', '_', value)}")
        else:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            words.append(f';\r\n {name}="{escaped}"')
    return "".join(words)


def _one_line(value: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", value)[:1000]


def _boundaries() -> Iterator[str]:
    """Boundaries of one message that nobody could have written into it, none being the beginning of another."""
    kept = f"=_kept_{secrets.token_hex(12)}"
    return (f"{kept}_{number}_" for number in count())


def _ended(header: bytes) -> bytes:
    return header.rstrip(b"\r\n") + b"\r\n\r\n"


def _without(header: bytes, names: tuple[bytes, ...]) -> bytes:
    """The header lines without these fields (folded lines go with their field)."""
    kept: list[bytes] = []
    dropping = False
    for line in header.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = line.lower().startswith(names)
        if not dropping:
            kept.append(line)
    return b"".join(kept)
