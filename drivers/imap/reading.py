"""The fast reader of FETCH responses (pure): one regular expression per item, literals as they came.

Invariant: items are taken in any order, unknown ones are skipped, and a response that the fast way does not understand
is read the slow way, never guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from drivers.imap.gmail import read_labels
from drivers.imap.syntax import Token, parse_internal_date, parse_tokens
from drivers.types import RemoteCopy

Value = bytes | list[Token] | None
Items = dict[bytes, Value]

_START = re.compile(rb"\* (\d+) FETCH \(", re.I)
_ITEM = re.compile(
    rb"[ ]*([A-Z0-9.\-]+(?:\[[^\]]*\])?(?:<\d+>)?) "
    rb'(?:(\d+)(?=[ )])|"([^"\\]*)"|\(([^()"{]*)\)|(NIL)(?=[ )])|\{\d+\+?\}\r?\n$)',
    re.I,
)

# What `copy_items` asks a server without Gmail's items or OBJECTID for, answered in that order.
_COPY = re.compile(
    rb'\* \d+ FETCH \(UID (\d{1,10}) INTERNALDATE "([^"\\]{26})" RFC822\.SIZE (\d{1,18})'
    rb" FLAGS \(([^()\"{]{0,2000})\)(?: MODSEQ \((\d{1,19})\))?\)\r\n"
)


def read_items(parts: list[bytes]) -> Items:
    """Items of one FETCH response by upper-case name; BODY[] with its partial origin cut off.

    Numbers, strings and literals are bytes, flat lists the bytes between their parentheses, other lists are parsed.
    """
    start = _START.match(parts[0])
    if start is None:
        return {}
    items: Items = {}
    position, index = start.end(), 0
    while True:
        match = _ITEM.match(parts[index], position)
        if match is None:
            break
        name = match.group(1).upper()
        kind = match.lastindex
        if kind == 1:
            if index + 2 >= len(parts):
                break
            items[_plain_name(name)] = parts[index + 1]
            index, position = index + 2, 0
            continue
        items[_plain_name(name)] = None if kind == 5 else match.group(kind or 1)
        position = match.end()
    if parts[index][position:].strip() in (b")", b"") and index + 1 >= len(parts):
        return items
    return _read_slowly(parts)


def _read_slowly(parts: list[bytes]) -> Items:
    tokens = parse_tokens(parts)
    inner = next((token for token in tokens if isinstance(token, list)), [])
    items: Items = {}
    for name, value in zip(inner[::2], inner[1::2], strict=False):
        if isinstance(name, bytes):
            items[_plain_name(name.upper())] = value if not isinstance(value, int) else None
    return items


def _plain_name(name: bytes) -> bytes:
    return name.partition(b"<")[0] if name.endswith(b">") else name


def words(value: Value) -> list[bytes]:
    """The atoms of a list value, read either way."""
    if isinstance(value, bytes):
        return value.split()
    return [item for item in value or () if isinstance(item, bytes)]


def number(value: Value) -> int:
    """A number value, 0 where it is none."""
    return int(value[:20]) if isinstance(value, bytes) and value.isdigit() else 0


def copy_items(capabilities: frozenset[bytes]) -> bytes:
    """The FETCH items that describe a copy on this server."""
    items = b"UID INTERNALDATE RFC822.SIZE FLAGS"
    if b"CONDSTORE" in capabilities:
        items += b" MODSEQ"
    if b"X-GM-EXT-1" in capabilities:
        items += b" X-GM-MSGID X-GM-THRID X-GM-LABELS"
    elif b"OBJECTID" in capabilities:
        items += b" EMAILID THREADID"
    return b"(" + items + b")"


def read_flags(value: Value) -> frozenset[str]:
    """Lower-case flags without \\recent, which belongs to the session."""
    return _flags(value) if isinstance(value, bytes) else _flags(b" ".join(words(value)))


@lru_cache(maxsize=512)
def _flags(listed: bytes) -> frozenset[str]:
    return frozenset(word.decode("ascii", "replace").lower() for word in listed.split()[:200]) - {"\\recent"}


def read_described(parts: list[bytes]) -> RemoteCopy | None:
    """The copy that an answer to `copy_items` describes, None for any other FETCH response.

    Ten thousand of them come at the beginning of a download: what is answered in our order is read at once.
    """
    match = _COPY.fullmatch(parts[0])
    if match is None:
        items = read_items(parts)
        return read_copy(items) if b"INTERNALDATE" in items else None
    uid, received, size, flags, modseq = match.groups()
    number = int(uid)
    if not number:
        return None
    return RemoteCopy(
        key=str(number),
        uid=number,
        received_at=parse_internal_date(received),
        size=int(size),
        flags=_flags(flags),
        modseq=int(modseq) if modseq else 0,
    )


def read_copy(items: Items) -> RemoteCopy | None:
    """A RemoteCopy out of FETCH items, None for an unsolicited response without UID."""
    uid = number(items.get(b"UID"))
    if not uid:
        return None
    received, size, modseq = items.get(b"INTERNALDATE"), items.get(b"RFC822.SIZE"), words(items.get(b"MODSEQ"))
    return RemoteCopy(
        key=str(uid),
        uid=uid,
        received_at=parse_internal_date(received) if isinstance(received, bytes) else None,
        size=number(size) if size is not None else None,
        flags=read_flags(items.get(b"FLAGS")),
        object_id=_first(items, b"X-GM-MSGID", b"EMAILID"),
        thread_id=_first(items, b"X-GM-THRID", b"THREADID"),
        labels=read_labels(items.get(b"X-GM-LABELS")),
        modseq=int(modseq[0]) if modseq and modseq[0].isdigit() else 0,
    )


def _first(items: Items, *names: bytes) -> str:
    for name in names:
        if found := words(items.get(name)):
            return found[0][:255].decode("ascii", "replace")
    return ""
