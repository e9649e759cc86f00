"""Which folders there are, what each is for, and which one is open now.

Roles come from SPECIAL-USE (RFC 6154) where the server has it, else from names in many languages, each role once.
Invariant: figures are only trusted right after SELECT, EXAMINE or a STATUS of a folder that is not open.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.folder_names import role_by_name
from drivers.imap.syntax import Token, decode_folder, encode_folder, parse_tokens, show_folder
from drivers.types import FolderRole, RemoteFolder

MAX_FOLDERS = 20_000
BIG = 1_000  # messages of a folder that is kept open between two looks
BELIEVED = 180.0  # seconds
VIRTUAL = frozenset({FolderRole.ALL, FolderRole.FLAGGED, FolderRole.IMPORTANT})

_SPECIAL_USE = {
    b"\\ALL": FolderRole.ALL,
    b"\\ALLMAIL": FolderRole.ALL,
    b"\\ARCHIVE": FolderRole.ARCHIVE,
    b"\\DRAFTS": FolderRole.DRAFTS,
    b"\\FLAGGED": FolderRole.FLAGGED,
    b"\\STARRED": FolderRole.FLAGGED,
    b"\\IMPORTANT": FolderRole.IMPORTANT,
    b"\\JUNK": FolderRole.JUNK,
    b"\\SPAM": FolderRole.JUNK,
    b"\\SENT": FolderRole.SENT,
    b"\\TRASH": FolderRole.TRASH,
}
_CODE = re.compile(rb"\[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d{1,20})\]", re.I)


@dataclass(frozen=True, slots=True)
class FolderState:
    """Figures of a folder at one moment; `modseq` 0 without CONDSTORE, `unseen` -1 where unknown."""

    exists: int
    epoch: int
    uidnext: int
    modseq: int = 0
    unseen: int = -1


class FolderDesk:
    """Lists folders and keeps one open on a connection."""

    def __init__(self, connection: ImapConnection) -> None:
        self._connection = connection
        self.folder_id: str | None = None
        self._writable = False
        self._state: FolderState | None = None  # of the open folder when it was opened
        self._opened_at = 0.0  # time.monotonic()

    def wire(self, folder_id: str) -> bytes:
        """The folder's name as a command argument."""
        return encode_folder(folder_id, utf8=self._connection.utf8)

    # listing

    def list_folders(self) -> list[RemoteFolder]:
        """All folders, roles given, with totals and epochs where STATUS told them."""
        folders, states = self.list_with_states()
        missing = [folder for folder in folders if folder.selectable and folder.id not in states]
        states.update(self.statuses([folder.id for folder in missing]))
        return [_with_state(folder, states.get(folder.id)) for folder in folders]

    @property
    def lists_states(self) -> bool:
        """Whether a list of the folders brings their figures with it (RFC 5819)."""
        return self._connection.has(b"LIST-EXTENDED", b"LIST-STATUS")

    def list_with_states(self) -> tuple[list[RemoteFolder], dict[str, FolderState]]:
        """All folders, roles given, and the figures that came with the list. The open folder's may be old."""
        answer = self._list()
        found: dict[str, RemoteFolder] = {}
        states: dict[str, FolderState] = {}
        for parts in answer.responses:
            tokens = parse_tokens(parts)
            if len(tokens) > 4 and tokens[1] in (b"LIST", b"XLIST"):
                folder = self._folder(tokens)
                if folder is not None and len(found) < MAX_FOLDERS:
                    found.setdefault(folder.id, folder)
            elif len(tokens) > 3 and tokens[1] == b"STATUS":
                self._note_status(tokens, states)
        return _give_roles(list(found.values())), states

    def _list(self) -> Answer:
        connection = self._connection
        if connection.has(b"LIST-EXTENDED"):
            options = [b"SUBSCRIBED", b"CHILDREN"]
            if connection.has(b"SPECIAL-USE"):
                options.append(b"SPECIAL-USE")
            if self.lists_states:
                options.append(b"STATUS " + self._status_items())
            answer = connection.run(b"LIST", b'""', b'"*"', b"RETURN (" + b" ".join(options) + b")")
            if answer.ok:
                return answer
        return connection.require(b"LIST", b'""', b'"*"')

    def _folder(self, tokens: list[Token]) -> RemoteFolder | None:
        attributes, delimiter, name = tokens[2], tokens[3], tokens[4]
        if not isinstance(attributes, list) or not isinstance(name, bytes) or not name:
            return None
        words = {word.upper() for word in attributes if isinstance(word, bytes)}
        folder_id = decode_folder(name, utf8=self._connection.utf8)
        if folder_id.upper() == "INBOX":
            folder_id = "INBOX"  # the only name that is the same in any case (RFC 3501 5.1)
        shown = show_folder(folder_id)
        separator = delimiter.decode("latin-1") if isinstance(delimiter, bytes) else ""
        path = tuple(segment for segment in shown.split(separator) if segment) if separator else (shown,)
        role = next((_SPECIAL_USE[word] for word in sorted(words) if word in _SPECIAL_USE), FolderRole.NONE)
        if folder_id == "INBOX":
            role = FolderRole.INBOX
        extended = self._connection.has(b"LIST-EXTENDED")
        return RemoteFolder(
            id=folder_id,
            path=path or (shown,),
            role=role,
            selectable=not words & {b"\\NOSELECT", b"\\NONEXISTENT"},
            virtual=role in VIRTUAL,
            subscribed=b"\\SUBSCRIBED" in words or folder_id == "INBOX" or not extended,
        )

    def _status_items(self) -> bytes:
        modseq = b" HIGHESTMODSEQ" if self._connection.has(b"CONDSTORE") else b""
        return b"(MESSAGES UIDVALIDITY UIDNEXT" + modseq + b")"

    def statuses(self, folder_ids: Sequence[str]) -> dict[str, FolderState]:
        """STATUS of each, several in flight; folders that refuse are left out. The open folder's may be old."""
        states: dict[str, FolderState] = {}
        items = self._status_items()
        commands = ((b"STATUS", self.wire(folder_id), items) for folder_id in folder_ids)
        for answer in self._connection.pipeline(commands):
            for parts in answer.lines(b"STATUS"):
                self._note_status(parse_tokens(parts), states)
        return states

    def _note_status(self, tokens: list[Token], states: dict[str, FolderState]) -> None:
        state = _status_from(tokens)
        if state is not None and len(tokens) > 2 and isinstance(tokens[2], bytes):
            folder_id = decode_folder(tokens[2], utf8=self._connection.utf8)
            states["INBOX" if folder_id.upper() == "INBOX" else folder_id] = state

    # opening

    def open(self, folder_id: str, *, writable: bool = False) -> FolderState | None:
        """Make sure the folder is open (EXAMINE, or SELECT when `writable`); its figures if it was opened now.

        Raises FolderGone, PermissionMissing, ServerBusy, ServerUnreachable.
        """
        if self.folder_id == folder_id and (self._writable or not writable):
            return None
        self.folder_id = None
        condstore: tuple[bytes, ...] = (b"(CONDSTORE)",) if self._connection.has(b"CONDSTORE") else ()
        verb = b"SELECT" if writable else b"EXAMINE"
        answer = self._connection.run(verb, self.wire(folder_id), *condstore)
        if not answer.ok:
            error = error_for(answer.text)
            if type(error) is errors.ProtocolError:
                raise errors.FolderGone("The folder cannot be opened.", server_said=error.server_said)
            raise error
        if writable and b"[READ-ONLY]" in answer.text.upper():
            raise errors.PermissionMissing("The folder is read-only.")
        self.folder_id, self._writable = folder_id, writable
        self._state, self._opened_at = self._opened(answer), time.monotonic()
        return self._state

    def epoch(self, folder_id: str) -> int:
        """UIDVALIDITY of the folder, as of when it was opened here. Raises as `open`."""
        self.open(folder_id)
        return self._state.epoch if self._state is not None else 0

    def open_anew(self, folder_id: str) -> FolderState:
        """Open the folder even if it is open, for fresh figures and a fresh view. Raises as `open`."""
        self.folder_id = None
        state = self.open(folder_id)
        if state is None:
            raise errors.ProtocolError("The server tells nothing about the folder.")
        return state

    def freshen(self) -> None:
        """Before figures are asked for: a big folder that is open stays so when a NOOP, which brings its view up to date,
        tells nothing new; any other is left.

        STATUS opens a big folder anew each time (Dovecot: 25 ms for 50,000 messages) unless it is the open one. A view is
        not believed for longer than BELIEVED seconds.
        """
        is_big = self._state is not None and self._state.exists >= BIG
        is_fresh = time.monotonic() - self._opened_at < BELIEVED
        if self.folder_id is not None and is_big and is_fresh and not _tells_news(self._connection.run(b"NOOP")):
            return
        self.leave()

    def refresh(self, folder_id: str) -> None:
        """Make sure that the folder is open and that what arrived since is seen."""
        if self.open(folder_id) is None:
            self._connection.run(b"NOOP")

    def state(self, folder_id: str, *, quick: bool = False) -> FolderState:
        """Fresh figures in one round trip.

        STATUS answers an open folder with the session's old view, and Dovecot answers it before a NOOP sent just
        before is through: so the folder is left first. `quick` believes a NOOP that tells nothing new: for
        the pages of a first look, where being a little late loses nothing. Raises FolderGone, ServerBusy.
        """
        connection = self._connection
        connection.drain()
        if self.folder_id == folder_id:
            if quick and self._state is not None and not _tells_news(connection.run(b"NOOP")):
                return self._state
            self.leave()
        modseq = b" HIGHESTMODSEQ" if connection.has(b"CONDSTORE") else b""
        items = b"(MESSAGES UIDNEXT UIDVALIDITY UNSEEN" + modseq + b")"
        answer = connection.submit(b"STATUS", self.wire(folder_id), items)
        connection.drain()
        state = _status_of(answer) if answer.ok else None
        if state is not None and state.uidnext:
            return state
        if not answer.ok and isinstance(error := error_for(answer.text), errors.ServerBusy):
            raise error
        return self.open_anew(folder_id)

    def leave(self) -> None:
        """Leave the open folder (if any) without expunging: UNSELECT (RFC 3691), CLOSE where it was only examined; else
        it stays open."""
        if self.folder_id is None:
            return
        if self._connection.has(b"UNSELECT"):
            self._connection.submit(b"UNSELECT")
        elif not self._writable:
            self._connection.submit(b"CLOSE")
        else:
            self._connection.run(b"NOOP")
            return
        self.folder_id = None

    def forget(self) -> None:
        """No folder is open any more (a new connection)."""
        self.folder_id = None

    def _opened(self, answer: Answer) -> FolderState:
        exists = 0
        numbers: dict[bytes, int] = {}
        for parts in answer.responses:
            words = parts[0].split(None, 3)
            if len(words) > 2 and words[2].strip().upper() == b"EXISTS" and words[1].isdigit():
                exists = int(words[1])
            for name, number in _CODE.findall(parts[0]):
                numbers[name.upper()] = int(number)
        for name, number in _CODE.findall(answer.text):
            numbers[name.upper()] = int(number)
        uidnext = numbers.get(b"UIDNEXT", 0) or self._next_uid(exists)
        return FolderState(exists, numbers.get(b"UIDVALIDITY", 0), uidnext, numbers.get(b"HIGHESTMODSEQ", 0))

    def _next_uid(self, exists: int) -> int:
        """UIDNEXT for servers that do not tell it: one above the last message's."""
        if not exists:
            return 1
        answer = self._connection.require(b"FETCH", b"%d" % exists, b"(UID)")
        found = [int(uid) for parts in answer.lines(b"FETCH") for uid in re.findall(rb"UID (\d{1,10})", parts[0])]
        return max(found, default=0) + 1


def _with_state(folder: RemoteFolder, state: FolderState | None) -> RemoteFolder:
    return replace(folder, total=state.exists, epoch=state.epoch) if state is not None else folder


def _tells_news(answer: Answer) -> bool:
    return not answer.ok or bool(answer.lines(b"EXISTS", b"EXPUNGE", b"VANISHED", b"FETCH"))


def _status_of(answer: Answer) -> FolderState | None:
    for parts in answer.lines(b"STATUS"):
        state = _status_from(parse_tokens(parts))
        if state is not None:
            return state
    return None


def _status_from(tokens: list[Token]) -> FolderState | None:
    items = next((token for token in tokens[2:] if isinstance(token, list)), None)
    if items is None:
        return None
    numbers: dict[bytes, int] = {}
    for name, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(name, bytes) and isinstance(value, bytes) and value.isdigit():
            numbers[name.upper()] = int(value[:20])
    if b"MESSAGES" not in numbers:
        return None
    return FolderState(
        numbers[b"MESSAGES"],
        numbers.get(b"UIDVALIDITY", 0),
        numbers.get(b"UIDNEXT", 0),
        numbers.get(b"HIGHESTMODSEQ", 0),
        numbers.get(b"UNSEEN", -1),
    )


def _give_roles(folders: list[RemoteFolder]) -> list[RemoteFolder]:
    """Fill in roles by name where the server named none; each role once, the shortest path first."""
    taken = {folder.role for folder in folders if folder.role is not FolderRole.NONE}
    guessed: dict[str, FolderRole] = {}
    for folder in sorted(folders, key=lambda one: len(one.path)):
        if folder.role is FolderRole.NONE and folder.selectable:
            role = role_by_name(folder.path)
            if role is not FolderRole.NONE and role not in taken:
                taken.add(role)
                guessed[folder.id] = role
    return [replace(folder, role=guessed[folder.id]) if folder.id in guessed else folder for folder in folders]
