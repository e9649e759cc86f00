"""Copies and message content in bulk.

imapclient's own FETCH parser is what limits a download, so answers are read by `reading`, literals straight off the
socket. Invariants: BODY.PEEK only (nothing becomes read by looking), two commands with content are in flight at most,
and memory is bounded by BATCH_BYTES whatever is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.large import MAX_TEXTS, Outline, fetch_outlines, fetch_without_attachments
from drivers.imap.reading import Items, copy_items, number, read_described, read_items
from drivers.imap.syntax import uid_sets
from drivers.types import RemoteCopy, RemoteMessage

BATCH_BYTES = 6_000_000  # of content asked for by one command
BATCH_MESSAGES = 200
OUTLINED = 100  # big messages outlined ahead
BATCH_COMMANDS = 10  # for big messages: those whose texts lie at the same places are asked for together
WHOLE = b"(UID BODY.PEEK[])"
GROUP = 1_000  # keys whose sizes are asked for at once
SET_LENGTH = 6_000  # bytes of a sequence set: Exchange refuses command lines above 8 kB
EXTRA_LITERAL = 2_000_000  # RFC822.SIZE is not exact on every server

Reopen = Callable[[], object]


def fetch_copies(connection: ImapConnection, uids: Sequence[int]) -> dict[int, RemoteCopy]:
    """What the server tells about these UIDs, those that are gone left out; several commands in flight."""
    items = copy_items(connection.capabilities)
    commands = ((b"UID", b"FETCH", uid_set, items) for uid_set, _ in uid_sets(uids, longest=SET_LENGTH))
    wanted = set(uids)
    found: dict[int, RemoteCopy] = {}
    for answer in connection.pipeline(commands):
        for parts in answer.lines(b"FETCH"):
            copy = read_described(parts)
            if copy is not None and copy.uid in wanted:
                found[copy.uid] = copy
        answer.responses.clear()
        if not answer.ok and b"EXPUNGEISSUED" not in answer.text.upper():
            raise error_for(answer.text)
    return found


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages that are asked for together, in the order wanted; those with an outline without their attachments."""

    copies: tuple[RemoteCopy, ...]
    is_alone: bool = False  # a single big one whose outline could not be had together with others


@dataclass(frozen=True, slots=True)
class Wanted:
    """Messages by UID; `known`: those whose flags, size and time the caller has; `whole_below` in bytes."""

    uids: Sequence[int]
    known: Mapping[int, RemoteCopy]
    whole_below: int


def fetch_messages(connection: ImapConnection, wanted: Wanted, *, reopen: Reopen) -> Iterator[RemoteMessage]:
    """Messages in the order of their UIDs as given; gone ones are left out.

    `reopen` makes sure that the folder is still the open one: the caller may do other things between two messages.
    Raises ProtocolError when the server cannot give one of them, ServerBusy, ServerUnreachable.
    """
    known, cap = wanted.known, wanted.whole_below * 2 + EXTRA_LITERAL
    for start in range(0, len(wanted.uids), GROUP):
        group = wanted.uids[start : start + GROUP]
        reopen()
        asked = [uid for uid in group if uid not in known]
        told = fetch_copies(connection, asked) if asked else {}
        copies = [known.get(uid) or told.get(uid) for uid in dict.fromkeys(group)]
        for piece, large in _pieces([copy for copy in copies if copy is not None], wanted.whole_below):
            reopen()
            outlines = fetch_outlines(connection, sorted(large))
            download = _Download(connection, cap, reopen, outlines)
            yield from download.run(list(_batches(piece, outlines, large - outlines.keys())))


def fetch_headers(connection: ImapConnection, uids: Sequence[int]) -> Iterator[RemoteMessage]:
    """The headers that tell messages apart, in the order of `uids`; gone ones are left out. Raises ServerBusy, ..."""
    wanted = b"(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM TO SUBJECT)])"
    for start in range(0, len(uids), GROUP):
        group = uids[start : start + GROUP]
        copies = fetch_copies(connection, group)
        commands = ((b"UID", b"FETCH", uid_set, wanted) for uid_set, _ in uid_sets(group, longest=SET_LENGTH))
        headers: dict[int, bytes] = {}
        for answer in connection.pipeline(commands):
            for parts in answer.lines(b"FETCH"):
                items = read_items(parts)
                found = [value for name, value in items.items() if name.startswith(b"BODY[HEADER")]
                if found and isinstance(found[0], bytes):
                    headers[number(items.get(b"UID"))] = found[0]
            answer.responses.clear()
        for uid in dict.fromkeys(group):
            if uid in copies and uid in headers:
                yield RemoteMessage(copies[uid], headers[uid], is_complete=False)


def _pieces(copies: Sequence[RemoteCopy], whole_below: int) -> Iterator[tuple[Sequence[RemoteCopy], set[int]]]:
    """Stretches with at most OUTLINED big messages, whose UIDs come along: their outlines wait in memory."""
    start, large = 0, set[int]()
    for place, copy in enumerate(copies):
        if (copy.size or 0) < whole_below:
            continue
        if len(large) == OUTLINED:
            yield copies[start:place], large
            start, large = place, set()
        large.add(copy.uid or 0)
    yield copies[start:], large


def _batches(copies: Sequence[RemoteCopy], outlines: Mapping[int, Outline], alone: Set[int]) -> Iterator[_Batch]:
    """Bounded by messages, by bytes and by commands."""
    gathered: list[RemoteCopy] = []
    size = 0
    commands: set[bytes] = set()
    for copy in copies:
        outlined = outlines.get(copy.uid or 0)
        weight = outlined.size if outlined is not None else copy.size or 0
        is_alone = copy.uid in alone
        is_full = size + weight > BATCH_BYTES or len(gathered) >= BATCH_MESSAGES or len(commands) >= BATCH_COMMANDS
        if gathered and (is_alone or is_full):
            yield _Batch(tuple(gathered))
            gathered, size, commands = [], 0, set()
        if is_alone:
            yield _Batch((copy,), is_alone=True)
            continue
        gathered.append(copy)
        size += weight
        if outlined is not None:
            commands.add(outlined.items)
    if gathered:
        yield _Batch(tuple(gathered))


class _Download:
    """Batches one after the other, the next one asked for while this one is read.

    Dovecot works on two FETCHes at once, so a body may come among the answers to the command before: one pool for all.
    """

    def __init__(
        self, connection: ImapConnection, cap: int, reopen: Reopen, outlines: Mapping[int, Outline] | None = None
    ) -> None:
        self._connection = connection
        self._cap = cap
        self._reopen = reopen
        self._outlines = outlines or {}
        self._pool: dict[int, Items] = {}

    def run(self, batches: Sequence[_Batch]) -> Iterator[RemoteMessage]:
        """All messages in order."""
        ahead: list[Answer] | None = None
        for index, batch in enumerate(batches):
            self._reopen()
            if batch.is_alone:
                message = fetch_without_attachments(self._connection, batch.copies[0])
                if message is not None:
                    yield message
                continue
            pending = ahead or self._ask(batch.copies)
            following = batches[index + 1] if index + 1 < len(batches) else None
            ahead = self._ask(following.copies) if following is not None and not following.is_alone else None
            yield from self._deliver(batch, pending)

    def _ask(self, copies: Sequence[RemoteCopy]) -> list[Answer]:
        """One command for all that come whole, one for all outlined messages whose texts lie at the same places."""
        together: dict[bytes, list[int]] = {}
        for copy in copies:
            outlined = self._outlines.get(copy.uid or 0)
            if items := WHOLE if outlined is None else outlined.items:
                together.setdefault(items, []).append(copy.uid or 0)
        return [
            self._connection.submit(
                b"UID",
                b"FETCH",
                next(uid_sets(uids, longest=1 << 20))[0],
                items,
                literal_cap=self._cap if items == WHOLE else MAX_TEXTS * 2,
            )
            for items, uids in together.items()
        ]

    def _deliver(self, batch: _Batch, pending: Sequence[Answer]) -> Iterator[RemoteMessage]:
        try:
            for answer in pending:
                self._connection.wait(answer)
        except errors.ServerUnreachable:  # what came whole is kept, so that a line that breaks often gets on
            self._gather(pending)
            yield from filter(None, map(self._take, filter(self._is_whole, batch.copies)))
            raise
        self._gather(pending)
        for copy in batch.copies:
            message = self._take(copy) or (None if all(one.ok for one in pending) else self._one_alone(copy))
            if message is not None:
                yield message

    def _is_whole(self, copy: RemoteCopy) -> bool:
        outlined = self._outlines.get(copy.uid or 0)
        return outlined is None or outlined.is_answered(self._pool.get(copy.uid or 0, {}))

    def _take(self, copy: RemoteCopy) -> RemoteMessage | None:
        """The message out of the pool, None where it is not there whole."""
        found = self._pool.pop(copy.uid or 0, {})
        outlined = self._outlines.get(copy.uid or 0)
        if outlined is not None:
            return outlined.message(copy, found) if found or not outlined.wanted else None
        body = found.get(b"BODY[]", b"")
        return RemoteMessage(copy, body if isinstance(body, bytes) else b"") if b"BODY[]" in found else None

    def _gather(self, answers: Sequence[Answer]) -> None:
        for parts in chain.from_iterable(answer.lines(b"FETCH") for answer in answers):
            items = read_items(parts)
            if any(name.startswith(b"BODY[") for name in items):
                self._pool.setdefault(number(items.get(b"UID")), {}).update(items)
        for answer in answers:
            answer.responses.clear()

    def _one_alone(self, copy: RemoteCopy) -> RemoteMessage | None:
        """One message of a command that failed: gone is fine, another refusal is raised."""
        self._connection.drain()
        self._reopen()
        if copy.uid in self._outlines:
            return fetch_without_attachments(self._connection, copy)
        (asked,) = self._ask((copy,))
        answer = self._connection.wait(asked)
        self._gather((answer,))
        message = self._take(copy)
        if message is None and not answer.ok and b"EXPUNGEISSUED" not in answer.text.upper():
            error = error_for(answer.text)
            if isinstance(error, errors.ServerBusy):
                raise error
            raise errors.ProtocolError("The server cannot give a message.", server_said=error.server_said)
        return message
