"""A letter to RFC 5322 bytes. Pure: the same letter gives the same bytes.

Invariants: no Bcc unless asked for (drafts), no program, host or address of ours beyond what the person wrote; lines end
in CR LF and have at most 998 octets; nothing a person or a mail wrote can begin a header or a command. Bodies travel in
seven bits, so no server re-writes (and no signature breaks) on the way.

    mixed( alternative( text/plain flowed, related( text/html, pictures… ) ), attachments… )   less where less is there
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from outbox.header_lines import (
    Unwritable,
    address_field,
    file_parameters,
    id_field,
    parametrised,
    text_field,
    wire_form,
)
from outbox.letter_html import data_pictures, used_content_ids
from outbox.plain_text import flow, html_to_plain

__all__ = ["FilePart", "Letter", "Unwritable", "build", "envelope_of", "needs_utf8"]

Pairs = tuple[tuple[str, str], ...]
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,80}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,200}")


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file that travels with the letter; with a content id it is a picture of the text."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent. `html` "" for a plain letter; `text` is the plain part, made from the HTML where it is ""."""

    sender: tuple[str, str]
    message_id: str
    date: datetime
    to: Pairs = ()
    cc: Pairs = ()
    bcc: Pairs = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    files: tuple[FilePart, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entity:
    """A MIME entity: its Content-* header lines and its body, both with CR LF."""

    header: bytes
    body: bytes


def build(letter: Letter, *, with_bcc: bool = False) -> bytes:
    """The message as it leaves (`with_bcc`: as a draft keeps it). Raises Unwritable."""
    html, pictures = data_pictures(letter.html, wire_form(letter.sender[1]).rpartition("@")[2].strip("[]"))
    files = letter.files + tuple(
        FilePart(f"picture.{p.content_type.partition('/')[2]}", p.content_type, p.content, p.content_id)
        for p in pictures
    )
    shown = used_content_ids(html)
    inline = [one for one in files if one.content_id in shown and _CONTENT_ID.fullmatch(one.content_id)]
    attached = [one for one in files if one not in inline]
    entity = _body(letter, html, inline)
    if attached:
        entity = _multipart(letter, "mixed", [entity, *(_file(one) for one in attached)])
    return _header(letter, with_bcc) + b"MIME-Version: 1.0\r\n" + entity.header + b"\r\n" + entity.body


def _body(letter: Letter, html: str, inline: list[FilePart]) -> _Entity:
    plain = _text(letter.text or html_to_plain(html))
    if not html:
        return plain if not inline else _multipart(letter, "mixed", [plain, *(_file(one) for one in inline)])
    rich = _html(html)
    if inline:
        rich = _multipart(letter, "related", [rich, *(_file(one) for one in inline)])
    return _multipart(letter, "alternative", [plain, rich])


def _header(letter: Letter, with_bcc: bool) -> bytes:
    lines = [
        b"Date: " + format_datetime(letter.date).encode("ascii") + b"\r\n",
        address_field("From", [letter.sender]),
    ]
    if letter.to:
        lines.append(address_field("To", letter.to))
    if letter.cc:
        lines.append(address_field("Cc", letter.cc))
    if letter.bcc and with_bcc:
        lines.append(address_field("Bcc", letter.bcc))
    if not letter.to and not letter.cc and not with_bcc:
        lines.append(b"To: undisclosed-recipients:;\r\n")
    lines.append(text_field("Subject", letter.subject))
    identity = id_field("Message-ID", [letter.message_id])
    if not identity:
        raise Unwritable("The email has no usable Message-ID.")
    lines += [identity, id_field("In-Reply-To", [letter.in_reply_to]), id_field("References", letter.references)]
    return b"".join(lines)


def _text(text: str) -> _Entity:
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    body = flow(text if text.endswith("\n") else text + "\n")
    encoding, encoded = _encoded(body)
    parameters = [f"charset={'us-ascii' if body.isascii() else 'utf-8'}", "format=flowed"]
    return _Entity(_content("text/plain", parameters, encoding), encoded)


def _html(html: str) -> _Entity:
    whole = f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{html}\n</body></html>\n'
    _encoding, encoded = _encoded(whole.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n"), always=True)
    return _Entity(_content("text/html", ["charset=utf-8"], _encoding), encoded)


def _content(kind: str, parameters: list[str], encoding: str) -> bytes:
    return parametrised("Content-Type", kind, parameters) + f"Content-Transfer-Encoding: {encoding}\r\n".encode()


def _encoded(text: str, *, always: bool = False) -> tuple[str, bytes]:
    """(transfer encoding, bytes): seven bits as they are where lines are short, else whichever encoding is shorter."""
    data = text.encode("utf-8", "replace")
    if not always and data.isascii() and all(len(line) <= 200 for line in data.split(b"\n")):
        return "7bit", data.replace(b"\n", b"\r\n")
    foreign = sum(byte > 126 for byte in data)
    if foreign * 3 > len(data):
        return "base64", _base64(data.replace(b"\n", b"\r\n"))
    return "quoted-printable", _quoted(data)


def _quoted(data: bytes) -> bytes:
    lines = quopri.encodestring(data.replace(b"\r", b"")).split(b"\n")
    safe = [
        b"=46" + line[1:] if line.startswith(b"From ") else b"=2E" + line[1:] if line[:1] == b"." else line
        for line in lines
    ]
    return b"\r\n".join(_short(safe))


def _short(lines: list[bytes]) -> list[bytes]:
    """The two replacements above may make a line two octets longer than 76: broken once more."""
    out: list[bytes] = []
    for line in lines:
        if len(line) > 76:
            out += [line[:3] + b"=", line[3:]]
        else:
            out.append(line)
    return out


def _base64(data: bytes) -> bytes:
    encoded = base64.b64encode(data)
    return b"".join(encoded[start : start + 76] + b"\r\n" for start in range(0, len(encoded), 76))


def _file(one: FilePart) -> _Entity:
    kind = one.content_type.lower()
    if not _TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        kind = "application/octet-stream"  # message/* must not be encoded (RFC 2046 5.2.1), and is not ours to check
    names = file_parameters(one.name)
    header = parametrised("Content-Type", kind, [names[0].replace("filename", "name", 1)] if len(names) == 1 else [])
    header += parametrised("Content-Disposition", "inline" if one.content_id else "attachment", names)
    if one.content_id and _CONTENT_ID.fullmatch(one.content_id):
        header += f"Content-ID: <{one.content_id}>\r\n".encode("ascii")
    return _Entity(header + b"Content-Transfer-Encoding: base64\r\n", _base64(one.content))


def _multipart(letter: Letter, kind: str, entities: list[_Entity]) -> _Entity:
    """Parts behind a boundary that no encoded body can hold ("=_" stands in none of them) and nobody can guess."""
    secret = hashlib.sha256(f"{kind} {letter.message_id} {len(entities)}".encode()).hexdigest()[:32]
    boundary = f"=_{secret}"
    pieces = [b"--" + boundary.encode() + b"\r\n" + one.header + b"\r\n" + one.body for one in entities]
    body = b"".join(piece if piece.endswith(b"\r\n") else piece + b"\r\n" for piece in pieces)
    parameters = [f'boundary="{boundary}"']
    if kind == "related":
        parameters.insert(0, 'type="text/html"')
    return _Entity(
        parametrised("Content-Type", f"multipart/{kind}", parameters), body + b"--" + boundary.encode() + b"--\r\n"
    )


def envelope_of(address: str) -> str:
    """The address as MAIL FROM and RCPT TO take it. Raises Unwritable."""
    return wire_form(address)


def needs_utf8(letter: Letter) -> bool:
    """Whether an address of the header has a mailbox name that is not ASCII (RFC 6531)."""
    return any(not wire_form(address).isascii() for _, address in (letter.sender, *letter.to, *letter.cc))
