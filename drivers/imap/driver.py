"""The IMAP driver (RFC 3501 with the extensions that help): one open mailbox.

Invariant: raises only `drivers.errors`; reading never changes a flag; a connection that broke stays broken
(ServerUnreachable) until it is opened again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from drivers import errors
from drivers.base import MailboxDriver
from drivers.imap import fetch, gmail, large, writes
from drivers.imap.changes import ChangeReader
from drivers.imap.connection import ImapConnection
from drivers.imap.folders import BIG, FolderDesk
from drivers.imap.signin import sign_in
from drivers.types import (
    NOTHING,
    Capabilities,
    CheckReport,
    CheckStep,
    Cursor,
    FolderChanges,
    FolderRole,
    Glance,
    Login,
    RemoteCopy,
    RemoteFolder,
    RemoteMessage,
    ServerAddress,
)


class ImapDriver(MailboxDriver):
    """A mailbox reached by IMAP. Not opened by the constructor."""

    whole_below = 96 * 1024

    def __init__(self, server: ServerAddress, login: Login) -> None:
        self._server = server
        self._login = login
        self.capabilities = Capabilities()
        self._roles: dict[str, FolderRole] | None = None
        self._begin()

    def _begin(self) -> None:
        self._connection = ImapConnection(self._server)
        self._desk = FolderDesk(self._connection)
        self._changes = ChangeReader(self._connection, self._desk)

    # opening

    def open(self) -> None:
        """Connect, secure, sign in. Raises ServerUnreachable, CertificateInvalid, AuthenticationFailed, ServerBusy."""
        self._begin()
        try:
            for _, step in self._steps():
                step()
        except BaseException:
            self._connection.drop()
            raise

    def close(self) -> None:
        """LOGOUT and close; never raises."""
        self._connection.close()
        self._desk.forget()

    def _steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        return (("connect", self._connection.connect), ("secure", self._connection.secure), ("sign_in", self._sign_in))

    def _sign_in(self) -> None:
        sign_in(self._connection, self._login)
        self.capabilities = _capabilities(self._connection)

    def check(self) -> CheckReport:
        """Connect, secure, sign in and list folders, each timed; raises what the first failing step raises."""
        self._begin()
        done: list[CheckStep] = []
        folders: list[RemoteFolder] = []
        try:
            steps = (*self._steps(), ("folders", lambda: folders.extend(self.list_folders())))
            for kind, step in steps:
                started = time.monotonic()
                step()
                done.append(CheckStep(kind, True, time.monotonic() - started))
        finally:
            self.close()
        return CheckReport(tuple(done), self.capabilities, folder_count=len(folders))

    def is_alive(self) -> bool:
        """True if the server answers NOOP (for an owner that keeps connections open)."""
        try:
            return self._connection.run(b"NOOP").ok
        except errors.DriverError:
            return False

    # reading

    def list_folders(self) -> list[RemoteFolder]:
        """All folders with role, total and epoch."""
        folders = self._desk.list_folders()
        self._roles = {folder.id: folder.role for folder in folders}
        return folders

    def is_usable(self) -> bool:
        """True if the line stands and the server has said nothing since: no goodbye, no end, no news."""
        return self._connection.is_silent()

    def glance(self, cursors: Mapping[str, Cursor], *, since: date | None) -> Glance:
        """One LIST with figures (RFC 5819), else STATUS of each folder, pipelined; a big folder is kept open and asked by
        NOOP. Raises ServerUnreachable, ServerBusy."""
        desk = self._desk
        folders: list[RemoteFolder] | None = None
        try:
            desk.freshen()
            if desk.lists_states:
                folders, states = desk.list_with_states()
            else:
                states = desk.statuses(list(cursors))
            quiet = frozenset(self._changes.quiet(cursors, states, since))
            biggest = max(quiet, key=lambda folder_id: states[folder_id].exists, default="")
            if biggest and states[biggest].exists >= BIG:
                desk.open(biggest)
        except (errors.ProtocolError, errors.FolderGone):
            return Glance()
        return Glance(quiet, tuple(folders) if folders is not None else None)

    def epoch(self, folder_id: str) -> int:
        """UIDVALIDITY of the folder that is open. Raises FolderGone."""
        return self._desk.epoch(folder_id)

    def fetch_changes(self, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int) -> FolderChanges:
        """See MailboxDriver; at most `limit` new copies a call. Raises CursorInvalid, FolderGone."""
        return self._changes.fetch_changes(folder_id, cursor, since=since, limit=limit)

    def list_ids(self, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
        """Key and UID of all copies in the window, ascending."""
        self._desk.refresh(folder_id)
        return (RemoteCopy(key=str(uid), uid=uid) for uid in self._changes.list_ids(since))

    def fetch_messages(
        self, folder_id: str, keys: Sequence[str], *, whole_below: int, known: Mapping[str, RemoteCopy] = NOTHING
    ) -> Iterator[RemoteMessage]:
        """Content in the order given. The iterator may be left early, and other calls made in between."""
        self._desk.open(folder_id)
        wanted = fetch.Wanted(_uids(keys), {copy.uid: copy for copy in known.values() if copy.uid}, whole_below)
        return fetch.fetch_messages(self._connection, wanted, reopen=self._reopen(folder_id))

    def fetch_headers(self, folder_id: str, keys: Sequence[str]) -> Iterator[RemoteMessage]:
        """Header blocks in the order given."""
        self._desk.open(folder_id)
        return fetch.fetch_headers(self._connection, _uids(keys))

    def fetch_part(self, folder_id: str, key: str, part: str) -> Iterator[bytes]:
        """Decoded bytes of a part (IMAP section). Raises MessageGone."""
        self._desk.open(folder_id)
        return large.fetch_part(self._connection, _uid(key), part, reopen=self._reopen(folder_id))

    def fetch_raw(self, folder_id: str, key: str) -> Iterator[bytes]:
        """The source in chunks. Raises MessageGone when iteration begins."""
        self._desk.open(folder_id)
        return large.fetch_raw(self._connection, _uid(key), reopen=self._reopen(folder_id))

    def find(self, folder_id: str, message_id: str) -> list[RemoteCopy]:
        """Copies whose Message-ID is exactly this."""
        self._desk.refresh(folder_id)
        uids = writes.find(self._connection, message_id)
        copies = fetch.fetch_copies(self._connection, uids)
        return [copies[uid] for uid in uids if uid in copies]

    def search(self, folder_id: str, *, sender: str = "", subject: str = "", limit: int = 50) -> list[RemoteMessage]:
        """The newest copies by words of From and Subject, headers only."""
        self._desk.refresh(folder_id)
        uids = writes.search(self._connection, sender=sender, subject=subject)[-limit:]
        return list(fetch.fetch_headers(self._connection, uids[::-1]))

    # changing

    def set_flags(
        self, folder_id: str, keys: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove flags; gone keys are ignored."""
        self._desk.open(folder_id, writable=True)
        writes.set_flags(self._connection, _uids(keys), add, remove)

    def move(self, folder_id: str, keys: Sequence[str], target_id: str) -> dict[str, str]:
        """Move; old key -> new key where told. Raises FolderGone for a missing target."""
        self._desk.open(folder_id, writable=True)
        return writes.move(self._connection, _uids(keys), self._desk.wire(target_id))

    def delete(self, folder_id: str, keys: Sequence[str]) -> None:
        """Delete for good; on Gmail by way of the trash."""
        self._desk.open(folder_id, writable=True)
        uids = _uids(keys)
        if self.capabilities.labels and not gmail.deletes_for_good(self._role(folder_id)):
            trash = self._trash()
            if trash is not None:
                moved = self.move(folder_id, keys, trash)
                self._desk.open(trash, writable=True)
                uids = _uids(list(moved.values()))
        writes.delete(self._connection, uids)

    def append(self, folder_id: str, raw: bytes, *, flags: Sequence[str] = ()) -> str | None:
        """Store a message; its key where told. Raises FolderGone, ServerBusy (over quota), ProtocolError."""
        return writes.append(self._connection, self._desk.wire(folder_id), raw, flags)

    def replace_draft(self, folder_id: str, old_key: str | None, raw: bytes) -> str | None:
        """Append the new version as \\Draft \\Seen, then delete the old one; the new key where told."""
        new_key = self.append(folder_id, raw, flags=("\\Draft", "\\Seen"))
        if old_key is not None:
            self.delete(folder_id, [old_key])
        return new_key

    # inside

    def _reopen(self, folder_id: str) -> Callable[[], object]:
        return lambda: self._desk.open(folder_id)

    def _role(self, folder_id: str) -> FolderRole:
        if self._roles is None:
            self.list_folders()
        return (self._roles or {}).get(folder_id, FolderRole.NONE)

    def _trash(self) -> str | None:
        return next((one for one, role in (self._roles or {}).items() if role is FolderRole.TRASH), None)


def _uid(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) <= 10 and int(key)):
        raise errors.MessageGone("Not a key of this driver.")
    return int(key)


def _uids(keys: Sequence[str]) -> list[int]:
    return [int(key) for key in keys if key.isascii() and key.isdigit() and len(key) <= 10 and int(key)]


def _capabilities(connection: ImapConnection) -> Capabilities:
    labels = connection.has(b"X-GM-EXT-1")
    return Capabilities(
        push=connection.has(b"IDLE"),
        changes=connection.has(b"CONDSTORE"),
        move=connection.has(b"MOVE"),
        append_uid=connection.has(b"UIDPLUS"),
        special_use=connection.has(b"SPECIAL-USE"),
        labels=labels,
        server_threads=labels,
        saves_sent_copy=labels,
        object_ids=labels or connection.has(b"OBJECTID"),
        names=tuple(sorted(name.decode("ascii", "replace")[:60] for name in connection.capabilities))[:200],
    )
