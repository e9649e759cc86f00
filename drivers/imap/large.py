"""Big messages and single parts: structure first, then only what is wanted, in bounded pieces.

Invariants: an attachment is never read to show a text; a part and a source are streamed in chunks and decoded on the
way, so memory does not depend on their size.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import ImapConnection
from drivers.imap.reading import Items, number, read_items
from drivers.imap.structure import Part, put_together, read_structure
from drivers.imap.syntax import uid_sets
from drivers.types import RemoteCopy, RemoteMessage

CHUNK = 512_000  # bytes of one partial fetch
MAX_HEADER = 1_000_000
MAX_TEXT_PART = 1_500_000  # bytes taken of one text part
MAX_TEXTS = 6_000_000  # of all text parts of a message
MAX_TEXT_PARTS = 40
MAX_SOURCE = 4_000_000_000
OUTLINES = 20  # asked for by one command
OUTLINE_HEADER = (
    65_536  # bytes; a message with a longer header, or with more leaves, is fetched alone: outlines wait in memory
)
OUTLINE_LEAVES = 50

Reopen = Callable[[], object]  # makes sure that the folder is still the open one

_SECTION = re.compile(r"[1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,60}")


def fetch_items(connection: ImapConnection, uid: int, items: bytes, *, literal_cap: int = MAX_HEADER * 4) -> Items:
    """Items of one message. Raises MessageGone, ServerBusy, ProtocolError."""
    answer = connection.run(b"UID", b"FETCH", b"%d" % uid, items, literal_cap=literal_cap)
    found: Items = {}
    for parts in answer.lines(b"FETCH"):
        read = read_items(parts)
        if number(read.get(b"UID")) == uid:
            found.update(read)
    if found:
        return found
    if not answer.ok and b"EXPUNGEISSUED" not in answer.text.upper():
        raise error_for(answer.text)
    raise errors.MessageGone("The message is no longer there.")


def fetch_structure(connection: ImapConnection, uid: int) -> Part:
    """The tree of parts. Raises MessageGone, ProtocolError."""
    value = fetch_items(connection, uid, b"(UID BODYSTRUCTURE)").get(b"BODYSTRUCTURE")
    return read_structure(value if isinstance(value, list) else None)


@dataclass(frozen=True, slots=True)
class Outline:
    """A big message before its texts: its header, its tree, which leaves are wanted and which are left out."""

    header: bytes
    root: Part
    wanted: tuple[Part, ...]
    left_out: tuple[Part, ...]
    items: bytes  # what to fetch of the message, "" when the header is all; the same for messages of the same tree
    size: int  # bytes that it will bring at most

    def is_answered(self, found: Items) -> bool:
        """Whether each text came, an empty one included."""
        return all(b"BODY[%s]" % part.section.encode() in found for part in self.wanted)

    def message(self, copy: RemoteCopy, found: Items) -> RemoteMessage:
        """Header and texts as a valid message; `found` is what was fetched by `items`."""
        left_out = list(self.left_out)
        bodies: dict[str, bytes] = {}
        for part in self.wanted:
            body = _bytes(found, b"BODY[%s]" % part.section.encode())
            if len(body) < part.size and len(body) >= MAX_TEXT_PART:
                body = body[: body.rfind(b"\n") + 1 or len(body)]
                left_out.append(part)
            bodies[part.section] = body
        raw = put_together(self.header, self.root, bodies)
        return RemoteMessage(copy, raw, is_complete=not left_out, left_out=tuple(part.info() for part in left_out))


def fetch_outlines(connection: ImapConnection, uids: Sequence[int]) -> dict[int, Outline]:
    """Outlines of many messages, some to a command; those that the server cannot outline like this are left out, and
    those that would be large themselves."""
    found: dict[int, Outline] = {}
    for start in range(0, len(uids), OUTLINES):
        uid_set = next(uid_sets(uids[start : start + OUTLINES], longest=1 << 20))[0]
        items = b"(UID BODY.PEEK[HEADER]<0.%d> BODYSTRUCTURE)" % OUTLINE_HEADER
        answer = connection.run(b"UID", b"FETCH", uid_set, items, literal_cap=MAX_HEADER * 4)
        for parts in answer.lines(b"FETCH"):
            with suppress(errors.ProtocolError):  # a tree that is too deep: that message is fetched alone
                read = read_items(parts)
                structure, header = read.get(b"BODYSTRUCTURE"), read.get(b"BODY[HEADER]")
                if isinstance(structure, list) and isinstance(header, bytes) and len(header) < OUTLINE_HEADER:
                    one = outline(header, read_structure(structure))
                    if len(one.wanted) + len(one.left_out) <= OUTLINE_LEAVES:
                        found[number(read.get(b"UID"))] = one
        answer.responses.clear()
    return found


def outline(header: bytes, root: Part) -> Outline:
    """Which leaves are texts that are fetched: attachments and what is above the caps is left out."""
    wanted: list[Part] = []
    left_out: list[Part] = []
    planned = 0
    for part in root.leaves():
        size = min(part.size, MAX_TEXT_PART)
        is_text = part.kind == "text" and part.disposition != "attachment"
        if is_text and len(wanted) < MAX_TEXT_PARTS and planned + size <= MAX_TEXTS:
            wanted.append(part)
            planned += size
        else:
            left_out.append(part)
    sections = [b"BODY.PEEK[%s]<0.%d>" % (part.section.encode(), MAX_TEXT_PART) for part in wanted]
    items = b"(UID " + b" ".join(sections) + b")" if wanted else b""
    return Outline(header, root, tuple(wanted), tuple(left_out), items, len(header) + planned)


def fetch_without_attachments(connection: ImapConnection, copy: RemoteCopy) -> RemoteMessage | None:
    """Header and texts as a valid message, None when the message is gone meanwhile."""
    uid = copy.uid or 0
    try:
        header = _bytes(fetch_items(connection, uid, b"(UID BODY.PEEK[HEADER]<0.%d>)" % MAX_HEADER), b"BODY[HEADER]")
        try:
            planned = outline(header, fetch_structure(connection, uid))
        except errors.ProtocolError:
            return _beginning(connection, copy, header)
        wanted = planned.items
        found = fetch_items(connection, uid, wanted, literal_cap=MAX_TEXTS * 2) if wanted else {}
    except errors.MessageGone:
        return None
    return planned.message(copy, found)


def _beginning(connection: ImapConnection, copy: RemoteCopy, header: bytes) -> RemoteMessage:
    """For servers whose BODYSTRUCTURE cannot be read: the header and the first of the text."""
    found = fetch_items(connection, copy.uid or 0, b"(UID BODY.PEEK[TEXT]<0.%d>)" % MAX_TEXT_PART)
    return RemoteMessage(copy, header + _bytes(found, b"BODY[TEXT]"), is_complete=False)


def fetch_part(connection: ImapConnection, uid: int, section: str, *, reopen: Reopen) -> Iterator[bytes]:
    """Decoded bytes of one part in chunks. Raises MessageGone (also for a part that does not exist)."""
    part = fetch_structure(connection, uid).find(section) if _SECTION.fullmatch(section) else None
    if part is None:
        raise errors.MessageGone("The message has no such part.")
    return _decoded(_pieces(connection, uid, section.encode("ascii"), reopen), part.encoding)


def fetch_raw(connection: ImapConnection, uid: int, *, reopen: Reopen) -> Iterator[bytes]:
    """The whole source in chunks. Raises MessageGone."""
    return _pieces(connection, uid, b"", reopen)


def _pieces(connection: ImapConnection, uid: int, section: bytes, reopen: Reopen) -> Iterator[bytes]:
    offset = 0
    while offset < MAX_SOURCE:
        reopen()
        wanted = b"(UID BODY.PEEK[%s]<%d.%d>)" % (section, offset, CHUNK)
        piece = _bytes(fetch_items(connection, uid, wanted), b"BODY[%s]" % section)
        if piece:
            yield piece
        if len(piece) < CHUNK:
            return
        if len(piece) > CHUNK:  # a server that ignores the length has sent everything that follows
            return
        offset += len(piece)
    raise errors.ProtocolError("A source above the cap.")


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding == "base64":
        return _from_base64(pieces)
    if encoding == "quoted-printable":
        return _from_quoted_printable(pieces)
    return pieces


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def _from_base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lenient: foreign characters and padding inside are skipped, a torn end is completed (RFC 2045 6.8)."""
    rest = b""
    for piece in pieces:
        rest += _NOT_BASE64.sub(b"", piece)
        usable = len(rest) - len(rest) % 4
        if usable:
            yield base64.b64decode(rest[:usable])
            rest = rest[usable:]
    if len(rest) > 1:
        try:
            yield base64.b64decode(rest + b"=" * (4 - len(rest)))
        except binascii.Error:
            return


def _from_quoted_printable(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) > CHUNK * 2:  # no line break at all: split where no escape is torn
            cut = len(rest) - 3 if b"=" in rest[-3:] else len(rest)
        if cut:
            yield quopri.decodestring(rest[:cut])
            rest = rest[cut:]
    if rest:
        yield quopri.decodestring(rest)


def _bytes(items: Items, name: bytes) -> bytes:
    value = items.get(name)
    return value if isinstance(value, bytes) else b""
