"""Copies and message content in bulk.

imapclient's own FETCH parser is what limits a download, so answers are read by `reading`, literals straight off the
socket. Invariants: BODY.PEEK only (nothing becomes read by looking), two commands with content are in flight at most,
and memory is bounded by BATCH_BYTES whatever is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.large import fetch_without_attachments
from drivers.imap.reading import copy_items, number, read_copy, read_items
from drivers.imap.syntax import uid_sets
from drivers.types import RemoteCopy, RemoteMessage

BATCH_BYTES = 6_000_000  # of content asked for by one command
BATCH_MESSAGES = 200
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
            fetched = read_items(parts)
            copy = read_copy(fetched)
            if copy is not None and copy.uid in wanted and b"INTERNALDATE" in fetched:
                found[copy.uid] = copy
        answer.responses.clear()
        if not answer.ok and b"EXPUNGEISSUED" not in answer.text.upper():
            raise error_for(answer.text)
    return found


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages of one command, in the order wanted; `large` for a single one above the limit."""

    copies: tuple[RemoteCopy, ...]
    large: bool = False


def fetch_messages(
    connection: ImapConnection, uids: Sequence[int], *, whole_below: int, reopen: Reopen
) -> Iterator[RemoteMessage]:
    """Messages in the order of `uids`; gone ones are left out. `whole_below` in bytes.

    `reopen` makes sure that the folder is still the open one: the caller may do other things between two messages.
    Raises ProtocolError when the server cannot give one of them, ServerBusy, ServerUnreachable.
    """
    for start in range(0, len(uids), GROUP):
        group = uids[start : start + GROUP]
        reopen()
        copies = fetch_copies(connection, group)
        ordered = [copies[uid] for uid in dict.fromkeys(group) if uid in copies]
        download = _Download(connection, whole_below * 2 + EXTRA_LITERAL, reopen)
        yield from download.run(list(_batches(ordered, whole_below)))


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


def _batches(copies: Sequence[RemoteCopy], whole_below: int) -> Iterator[_Batch]:
    gathered: list[RemoteCopy] = []
    size = 0
    for copy in copies:
        if (copy.size or 0) >= whole_below:
            if gathered:
                yield _Batch(tuple(gathered))
            yield _Batch((copy,), large=True)
            gathered, size = [], 0
            continue
        if gathered and (size + (copy.size or 0) > BATCH_BYTES or len(gathered) >= BATCH_MESSAGES):
            yield _Batch(tuple(gathered))
            gathered, size = [], 0
        gathered.append(copy)
        size += copy.size or 0
    if gathered:
        yield _Batch(tuple(gathered))


class _Download:
    """Batches one after the other, the next one asked for while this one is read.

    Dovecot works on two FETCHes at once, so a body may come among the answers to the command before: one pool for all.
    """

    def __init__(self, connection: ImapConnection, cap: int, reopen: Reopen) -> None:
        self._connection = connection
        self._cap = cap
        self._reopen = reopen
        self._pool: dict[int, bytes] = {}

    def run(self, batches: Sequence[_Batch]) -> Iterator[RemoteMessage]:
        """All messages in order."""
        ahead: Answer | None = None
        for index, batch in enumerate(batches):
            self._reopen()
            if batch.large:
                message = fetch_without_attachments(self._connection, batch.copies[0])
                if message is not None:
                    yield message
                continue
            pending = ahead or self._ask(batch.copies)
            following = batches[index + 1] if index + 1 < len(batches) else None
            ahead = self._ask(following.copies) if following is not None and not following.large else None
            yield from self._deliver(batch, pending)

    def _ask(self, copies: Sequence[RemoteCopy]) -> Answer:
        uid_set = next(uid_sets([copy.uid or 0 for copy in copies], longest=1 << 20))[0]
        return self._connection.submit(b"UID", b"FETCH", uid_set, b"(UID BODY.PEEK[])", literal_cap=self._cap)

    def _deliver(self, batch: _Batch, pending: Answer) -> Iterator[RemoteMessage]:
        try:
            answer = self._connection.wait(pending)
        except errors.ServerUnreachable:  # what came whole is kept, so that a line that breaks often gets on
            self._gather(pending)
            yield from self._take_out(batch)
            raise
        self._gather(answer)
        for copy in batch.copies:
            uid = copy.uid or 0
            if not answer.ok and uid not in self._pool:
                self._one_alone(copy)
            raw = self._pool.pop(uid, None)
            if raw is not None:
                yield RemoteMessage(copy, raw)

    def _take_out(self, batch: _Batch) -> Iterator[RemoteMessage]:
        for copy in batch.copies:
            raw = self._pool.pop(copy.uid or 0, None)
            if raw is not None:
                yield RemoteMessage(copy, raw)

    def _gather(self, answer: Answer) -> None:
        for parts in answer.lines(b"FETCH"):
            items = read_items(parts)
            if b"BODY[]" in items:
                body = items[b"BODY[]"]
                self._pool[number(items.get(b"UID"))] = body if isinstance(body, bytes) else b""
        answer.responses.clear()

    def _one_alone(self, copy: RemoteCopy) -> None:
        """One message of a command that failed: gone is fine, another refusal is raised."""
        self._connection.drain()
        self._reopen()
        answer = self._connection.wait(self._ask((copy,)))
        self._gather(answer)
        if not answer.ok and copy.uid not in self._pool and b"EXPUNGEISSUED" not in answer.text.upper():
            error = error_for(answer.text)
            if isinstance(error, errors.ServerBusy):
                raise error
            raise errors.ProtocolError("The server cannot give a message.", server_said=error.server_said)
