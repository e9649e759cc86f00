"""What changed in a folder since a bookmark.

The bookmark (JSON): `epoch` (UIDVALIDITY), `uidnext` up to which copies are known or pending, `modseq` up to which
flags are known, `exists` messages then, `since` the window, `pending` ranges of UIDs still to enumerate (newest first),
`digest` of all flags for servers without CONDSTORE, `witnesses`: the newest UIDs with what they named. Invariants: every
UID below `uidnext` was either given as added, is out of the window or lies in a pending range; a poll that finds nothing
is one round trip; a UID that names another message now is found out with the next change at the latest.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from drivers import errors
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.fetch import SET_LENGTH, fetch_copies
from drivers.imap.folders import FolderDesk, FolderState
from drivers.imap.reading import number, read_copy, read_flags, read_items, words
from drivers.imap.syntax import UID_MAX, expand_set, format_date, parse_tokens, uid_sets
from drivers.types import Cursor, FolderChanges, RemoteCopy

WITNESSES = 3  # copies that tell whether UIDs still name the messages that they named
MAX_VANISHED = 200_000  # keys taken from a VANISHED answer; above it the folder is enumerated

Witness = tuple[int, int, int]  # UID, INTERNALDATE (seconds since 1970), size


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The cursor, typed."""

    epoch: int
    uidnext: int
    modseq: int = 0
    exists: int = 0
    since: str = ""
    pending: tuple[tuple[int, int], ...] = ()
    digest: int | None = None
    witnesses: tuple[Witness, ...] = ()

    @classmethod
    def read(cls, cursor: Cursor) -> Bookmark:
        """Out of a stored cursor. Raises CursorInvalid for one that is not ours."""
        try:
            return cls(
                epoch=int(cursor["epoch"]),
                uidnext=int(cursor["uidnext"]),
                modseq=int(cursor.get("modseq", 0)),
                exists=int(cursor.get("exists", 0)),
                since=str(cursor.get("since", "")),
                pending=tuple((int(low), int(high)) for low, high in cursor.get("pending", ())),
                digest=cursor.get("digest"),
                witnesses=tuple((int(uid), int(at), int(size)) for uid, at, size in cursor.get("witnesses", ())),
            )
        except (KeyError, TypeError, ValueError):
            raise errors.CursorInvalid("A bookmark of another kind.")

    def write(self) -> Cursor:
        """As JSON."""
        cursor: dict[str, Any] = {
            "v": 1,
            "epoch": self.epoch,
            "uidnext": self.uidnext,
            "modseq": self.modseq,
            "exists": self.exists,
            "since": self.since,
            "pending": [list(span) for span in self.pending],
            "witnesses": [list(one) for one in self.witnesses],
        }
        if self.digest is not None:
            cursor["digest"] = self.digest
        return cursor


@dataclass(frozen=True, slots=True)
class _Look:
    """What is asked of one call."""

    folder_id: str
    since: date | None
    limit: int

    @property
    def window(self) -> str:
        """The window as the bookmark keeps it."""
        return self.since.isoformat() if self.since else ""


@dataclass(slots=True)
class _Found:
    added: list[RemoteCopy] = field(default_factory=list)
    flags: list[RemoteCopy] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    present: frozenset[str] | None = None
    total: int | None = None


class ChangeReader:
    """Reads changes of folders over one connection; remembers the last enumeration so that pages cost no new SEARCH."""

    def __init__(self, connection: ImapConnection, desk: FolderDesk) -> None:
        self._connection = connection
        self._desk = desk
        self._known: tuple[tuple[str, int, str, int], int, list[int]] | None = None

    def fetch_changes(self, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int) -> FolderChanges:
        """See MailboxDriver.fetch_changes. Raises CursorInvalid, FolderGone, ServerBusy, ServerUnreachable."""
        look = _Look(folder_id, since, max(1, limit))
        if cursor is None:
            return self._first_look(look)
        mark = Bookmark.read(cursor)
        state = self._state(look, mark)
        found = _Found()
        if _is_unchanged(mark, state, look):
            return _result(mark, found)
        self._desk.open(folder_id)
        # A backup that was put back goes on from an older count, and mail that came since has taken UIDs that we know: all
        # copies are told again. An index that was only rebuilt counts anew while the UIDs hold: flags are compared.
        is_restored = self._names_others(mark)
        if is_restored or state.modseq < mark.modseq:
            mark = replace(mark, modseq=0, witnesses=() if is_restored else mark.witnesses)
        vanished_told = self._flag_changes(mark, state, found)
        same_window = mark.since == look.window
        goes_on = same_window and not is_restored
        pending = mark.pending if goes_on else ((1, state.uidnext - 1),)
        expected = mark.exists
        if state.uidnext > mark.uidnext:
            expected += len(self._search(mark.uidnext, state.uidnext - 1, None))
            if goes_on:
                pending = ((mark.uidnext, state.uidnext - 1), *pending)
        none_lost = vanished_told or expected == state.exists
        digest = self._compare(look, mark, state, found, none_lost=none_lost)
        mark = Bookmark(
            state.epoch, state.uidnext, state.modseq, state.exists, look.window, pending, digest, mark.witnesses
        )
        mark = self._enumerate(look, mark, found)
        if found.total is None and since is None:
            found.total = state.exists
        return _result(mark, found)

    def quiet(self, cursors: Mapping[str, Cursor], states: Mapping[str, FolderState], since: date | None) -> set[str]:
        """Of these folders those in which nothing happened since their cursors, by figures that are fresh."""
        found = set()
        for folder_id in cursors.keys() & states.keys():
            try:
                mark = Bookmark.read(cursors[folder_id])
            except errors.CursorInvalid:
                continue
            state = states[folder_id]
            if state.epoch == mark.epoch and _is_unchanged(mark, state, _Look(folder_id, since, 1)):
                found.add(folder_id)
        return found

    def _state(self, look: _Look, mark: Bookmark) -> FolderState:
        """Figures at least as new as the bookmark. One strange answer (a lagging replica, an old view) is asked again
        before the bookmark is given up."""
        state = self._desk.state(look.folder_id, quick=bool(mark.pending))
        if not _fits(mark, state):
            state = self._desk.open_anew(look.folder_id)
            if not _fits(mark, state):
                raise errors.CursorInvalid("The server numbers this folder anew.")
        return state

    def list_ids(self, since: date | None) -> list[int]:
        """All UIDs of the open folder in the window, ascending."""
        return self._search(1, None, since)

    def _first_look(self, look: _Look) -> FolderChanges:
        state = self._desk.open_anew(look.folder_id)
        mark = Bookmark(state.epoch, state.uidnext, state.modseq, state.exists, look.window)
        found = _Found(total=0)
        if state.uidnext > 1 and state.exists:
            span = (1, state.uidnext - 1)
            found.total = len(self._ids(look, state.epoch, span))
            mark = self._enumerate(look, replace(mark, pending=(span,)), found)
        return _result(mark, found)

    # new copies

    def _enumerate(self, look: _Look, mark: Bookmark, found: _Found) -> Bookmark:
        """Take up to `limit` copies off the pending ranges, newest first; the bookmark with what remains pending."""
        left = list(mark.pending)
        room = look.limit
        while left and room > 0:
            low, high = left[0]
            ids = self._ids(look, mark.epoch, (low, high))
            taken = ids[-room:]
            copies = fetch_copies(self._connection, taken)
            found.added.extend(copies[uid] for uid in reversed(taken) if uid in copies)
            room -= len(taken)
            if len(taken) < len(ids):
                left[0] = (low, taken[0] - 1)
            else:
                left.pop(0)
        newest = sorted({*mark.witnesses, *_witnesses(found.added)}, reverse=True)[:WITNESSES]
        return replace(mark, pending=tuple(left), witnesses=tuple(newest))

    def _names_others(self, mark: Bookmark) -> bool:
        """Whether UIDs of the bookmark name other messages now; those that are gone say nothing."""
        if not mark.witnesses:
            return False
        now = fetch_copies(self._connection, [uid for uid, _at, _size in mark.witnesses])
        return not set(_witnesses(now.values())) <= set(mark.witnesses)

    def _ids(self, look: _Look, epoch: int, span: tuple[int, int]) -> list[int]:
        """UIDs of a pending range in the window, ascending; a page after the first is cut from what is known."""
        low, high = span
        place = (look.folder_id, epoch, look.window, low)
        if self._known is not None:
            known_place, known_high, ids = self._known
            if known_place == place and high <= known_high:
                while ids and ids[-1] > high:
                    ids.pop()
                return ids
        ids = self._search(low, high, look.since)
        self._known = (place, high, ids)
        return ids

    def _search(self, low: int, high: int | None, since: date | None) -> list[int]:
        """UID SEARCH, compact (RFC 4731) where the server can; ascending, each once."""
        top = b"*" if high is None else b"%d" % high
        criteria: list[bytes] = [b"ALL"] if low == 1 and high is None else [b"UID %d:%s" % (low, top)]
        if since is not None:
            criteria.append(b"SINCE " + format_date(since))
        if self._connection.has(b"ESEARCH"):
            answer = self._connection.require(b"UID", b"SEARCH", b"RETURN (ALL)", *criteria)
            ids = _esearch_ids(answer)
        else:
            answer = self._connection.require(b"UID", b"SEARCH", *criteria)
            ids = [int(word) for parts in answer.lines(b"SEARCH") for word in parts[0].split()[2:] if word.isdigit()]
        # `5:*` means the last message too, even when its UID is below 5 (RFC 3501 6.4.8)
        return sorted({uid for uid in ids if low <= uid <= (high or UID_MAX)})

    # flags and absence

    def _flag_changes(self, mark: Bookmark, state: FolderState, found: _Found) -> bool:
        """Flags by CHANGEDSINCE (RFC 7162); True if the server told what vanished, too."""
        if not mark.modseq or not state.modseq or state.modseq == mark.modseq or mark.uidnext <= 1:
            return False
        if not state.exists:
            return False
        connection = self._connection
        qresync = connection.qresync
        modifier = b"(CHANGEDSINCE %d VANISHED)" % mark.modseq if qresync else b"(CHANGEDSINCE %d)" % mark.modseq
        answer = connection.require(b"UID", b"FETCH", b"1:%d" % (mark.uidnext - 1), b"(UID FLAGS)", modifier)
        for parts in answer.lines(b"FETCH"):
            copy = read_copy(read_items(parts))
            if copy is not None and copy.uid is not None and copy.uid < mark.uidnext:
                found.flags.append(copy)
        if not qresync:
            return False
        return _vanished(answer, mark.uidnext - 1, found.removed)

    def _compare(
        self, look: _Look, mark: Bookmark, state: FolderState, found: _Found, *, none_lost: bool
    ) -> int | None:
        """Find out what is gone and, without CONDSTORE, whose flags changed; the new digest of flags (None with it)."""
        same_window = mark.since == look.window
        if state.modseq and mark.modseq:
            if not (none_lost and same_window):
                self._note_present(self._search(1, state.uidnext - 1, look.since) if state.exists else [], found)
            return None
        if mark.pending and same_window and not state.modseq:
            return mark.digest  # reading all flags waits until all copies are told
        ids = self._search(1, state.uidnext - 1, look.since) if state.exists else []
        copies, digest = self._all_flags(ids)
        if digest != mark.digest or not same_window:
            found.flags.extend(copy for copy in copies if (copy.uid or 0) < mark.uidnext)
            self._note_present(ids, found)
        return None if state.modseq else digest

    def _note_present(self, ids: list[int], found: _Found) -> None:
        found.present = frozenset(map(str, ids))
        found.total = len(ids)

    def _all_flags(self, ids: list[int]) -> tuple[list[RemoteCopy], int]:
        """Flags of all these UIDs and a digest of them."""
        sets = uid_sets(ids, longest=SET_LENGTH)
        flags: dict[int, frozenset[str]] = {}
        for answer in self._connection.pipeline((b"UID", b"FETCH", uid_set, b"(UID FLAGS)") for uid_set, _ in sets):
            for parts in answer.lines(b"FETCH"):
                items = read_items(parts)
                if b"FLAGS" in items and (uid := number(items.get(b"UID"))):
                    flags[uid] = read_flags(items[b"FLAGS"])
            answer.responses.clear()
        digest = 0
        for uid in sorted(flags):
            digest = zlib.crc32(f"{uid} {sorted(flags[uid])}".encode(), digest)
        return [RemoteCopy(key=str(uid), uid=uid, flags=flags[uid]) for uid in sorted(flags)], digest


def _witnesses(copies: Iterable[RemoteCopy]) -> Iterator[Witness]:
    for copy in copies:
        if copy.uid is not None and copy.received_at is not None and copy.size is not None:
            yield copy.uid, int(copy.received_at.timestamp()), copy.size


def _result(mark: Bookmark, found: _Found) -> FolderChanges:
    return FolderChanges(
        epoch=mark.epoch,
        added=tuple(found.added),
        flags=tuple(found.flags),
        removed=tuple(map(str, found.removed)),
        cursor=mark.write(),
        has_more=bool(mark.pending),
        present=found.present,
        total=found.total,
    )


def _is_unchanged(mark: Bookmark, state: FolderState, look: _Look) -> bool:
    return (
        not mark.pending
        and mark.since == look.window
        and mark.modseq == state.modseq
        and (state.modseq > 0 or state.exists == mark.exists == 0)
        and (mark.exists, mark.uidnext) == (state.exists, state.uidnext)
    )


def _fits(mark: Bookmark, state: FolderState) -> bool:
    return state.epoch == mark.epoch and state.uidnext >= mark.uidnext


def _esearch_ids(answer: Answer) -> list[int]:
    ids: list[int] = []
    for parts in answer.lines(b"ESEARCH"):
        tokens = parse_tokens(parts)
        for name, value in zip(tokens, tokens[1:], strict=False):
            if isinstance(name, bytes) and name.upper() == b"ALL" and isinstance(value, bytes):
                ids.extend(expand_set(value))
    return ids


def _vanished(answer: Answer, high: int, removed: list[int]) -> bool:
    """File `VANISHED (EARLIER) 3,5:9`; False when it is too much to be listed."""
    for parts in answer.lines(b"VANISHED"):
        line_words = words(parts[0])
        try:
            removed.extend(expand_set(line_words[-1], high=high, most=MAX_VANISHED))
        except errors.ProtocolError:
            removed.clear()
            return False
    return True
