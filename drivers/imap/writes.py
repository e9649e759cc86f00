"""Changing a mailbox: flags, moves, deletion, new messages.

Invariant: only the copies that were named are ever expunged; where the server cannot promise that, they stay marked
\\Deleted rather than taking others with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.fetch import SET_LENGTH
from drivers.imap.reading import number, read_items
from drivers.imap.syntax import Literal, astring, expand_set, flag_list, uid_sets

_COPYUID = re.compile(rb"\[COPYUID (\d{1,10}) ([\d:,]+) ([\d:,]+)\]", re.I)
_APPENDUID = re.compile(rb"\[APPENDUID (\d{1,10}) (\d{1,10})\]", re.I)
_MESSAGE_ID = re.compile(rb"^message-id:\s*(.*?)\s*$", re.I | re.M)


def set_flags(connection: ImapConnection, uids: Sequence[int], add: Sequence[str], remove: Sequence[str]) -> None:
    """Add and remove flags in the open folder; gone UIDs are ignored."""
    for uid_set, _ in uid_sets(uids, longest=SET_LENGTH):
        for sign, flags in ((b"+FLAGS.SILENT", add), (b"-FLAGS.SILENT", remove)):
            if flags:
                _store(connection, uid_set, sign, flag_list(flags))


def _store(connection: ImapConnection, uid_set: bytes, sign: bytes, flags: bytes) -> None:
    answer = connection.run(b"UID", b"STORE", uid_set, sign, flags)
    if not answer.ok and b"EXPUNGEISSUED" not in answer.text.upper():
        raise error_for(answer.text)


def move(connection: ImapConnection, uids: Sequence[int], target: bytes) -> dict[str, str]:
    """MOVE (RFC 6851), else COPY, then delete; old UID -> new UID where told. `target` is a wire name.

    Raises FolderGone for a missing target, ServerBusy, ProtocolError.
    """
    moved: dict[str, str] = {}
    for uid_set, members in uid_sets(uids, longest=SET_LENGTH):
        if connection.has(b"MOVE"):
            moved.update(_copied(connection.require(b"UID", b"MOVE", uid_set, target)))
            continue
        moved.update(_copied(connection.require(b"UID", b"COPY", uid_set, target)))
        delete(connection, members)
    return moved


def delete(connection: ImapConnection, uids: Sequence[int]) -> None:
    """Delete for good in the open folder, these only (UID EXPUNGE, RFC 4315).

    Without UIDPLUS a plain EXPUNGE is used only when nothing else is marked; otherwise they stay marked \\Deleted.
    """
    for uid_set, _ in uid_sets(uids, longest=SET_LENGTH):
        _store(connection, uid_set, b"+FLAGS.SILENT", b"(\\Deleted)")
        if connection.has(b"UIDPLUS"):
            connection.require(b"UID", b"EXPUNGE", uid_set)
    if not connection.has(b"UIDPLUS"):
        answer = connection.require(b"UID", b"SEARCH", b"DELETED")
        marked = {int(word) for parts in answer.lines(b"SEARCH") for word in parts[0].split()[2:] if word.isdigit()}
        if marked and marked <= set(uids):
            connection.require(b"EXPUNGE")


def append(connection: ImapConnection, folder: bytes, raw: bytes, flags: Sequence[str]) -> str | None:
    """Store a message (line ends made CR LF); its UID where told. Raises FolderGone, ServerBusy, ProtocolError."""
    if b"\0" in raw:
        raise errors.ProtocolError("A message with NUL cannot be stored.")
    message = re.sub(rb"\r?\n", b"\r\n", raw)
    answer = connection.require(b"APPEND", folder, flag_list(flags), Literal(message))
    match = _APPENDUID.search(answer.text)
    return match.group(2).decode("ascii") if match else None


def find(connection: ImapConnection, message_id: str) -> list[int]:
    """UIDs in the open folder whose Message-ID is exactly this: SEARCH compares parts of words, so it is looked at."""
    wanted = message_id.strip().encode("utf-8", "surrogatepass")
    try:
        argument = astring(wanted)
    except errors.ProtocolError:
        return []
    if not wanted:
        return []
    charset = () if wanted.isascii() else (b"CHARSET", b"UTF-8")
    answer = connection.require(b"UID", b"SEARCH", *charset, b"HEADER", b"Message-ID", argument)
    ids = [int(word) for parts in answer.lines(b"SEARCH") for word in parts[0].split()[2:] if word.isdigit()]
    found: list[int] = []
    for uid_set, _ in uid_sets(ids[:1000], longest=SET_LENGTH):
        fetched = connection.require(b"UID", b"FETCH", uid_set, b"(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        found.extend(_matching(fetched, wanted))
    return sorted(found)


def search(connection: ImapConnection, *, sender: str, subject: str) -> list[int]:
    """UIDs in the open folder, ascending, whose From and Subject contain these words; [] for words no line can hold."""
    criteria: list[bytes] = []
    for key, value in ((b"FROM", sender), (b"SUBJECT", subject)):
        if value.strip():
            try:
                criteria += [key, astring(value.strip().encode("utf-8", "surrogatepass"))]
            except errors.ProtocolError:
                return []
    if not criteria:
        return []
    charset = () if (sender + subject).isascii() else (b"CHARSET", b"UTF-8")
    answer = connection.require(b"UID", b"SEARCH", *charset, *criteria)
    return sorted({int(w) for parts in answer.lines(b"SEARCH") for w in parts[0].split()[2:] if w.isdigit()})


def _matching(answer: Answer, wanted: bytes) -> list[int]:
    found: list[int] = []
    for parts in answer.lines(b"FETCH"):
        items = read_items(parts)
        header = next((value for name, value in items.items() if name.startswith(b"BODY[HEADER")), None)
        if isinstance(header, bytes):
            unfolded = re.sub(rb"\r?\n[ \t]+", b" ", header)
            match = _MESSAGE_ID.search(unfolded)
            if match is not None and match.group(1) == wanted:
                found.append(number(items.get(b"UID")))
    return found


def _copied(answer: Answer) -> dict[str, str]:
    """COPYUID comes in the tagged OK (COPY) or an untagged one (MOVE)."""
    for text in (answer.text, *(parts[0] for parts in answer.lines(b"OK"))):
        match = _COPYUID.search(text)
        if match is not None:
            old, new = expand_set(match.group(2), most=100_000), expand_set(match.group(3), most=100_000)
            return {str(one): str(other) for one, other in zip(old, new, strict=False)}
    return {}
