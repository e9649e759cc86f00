"""A mailbox in memory that keeps the driver contract: for tests of the floors above, and as the shortest example of a
driver. Invariant: whatever `tests/drivers/contract.py` asks of a real server holds here, too.

Tests reach into `FakeServer`: it holds mail, counts calls and fails on demand (`fail_next`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email import message_from_bytes

from drivers import errors
from drivers.base import MailboxDriver
from drivers.fake.content import sections, without_attachments
from drivers.types import (
    NOTHING,
    AuthKind,
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
    Security,
    ServerAddress,
)

_CHUNK = 65_536


@dataclass
class FakeCopy:
    """A stored message; `modseq` of its last change."""

    uid: int
    raw: bytes
    received_at: datetime
    flags: set[str] = field(default_factory=set)
    modseq: int = 1
    object_id: str = ""


@dataclass
class FakeFolder:
    """A folder with UIDs and change numbers like IMAP's."""

    name: str
    role: FolderRole = FolderRole.NONE
    epoch: int = 1
    uidnext: int = 1
    modseq: int = 1
    copies: dict[int, FakeCopy] = field(default_factory=dict)
    gone: dict[int, int] = field(default_factory=dict)  # uid -> modseq

    def add(
        self, raw: bytes, *, flags: Sequence[str] = (), received_at: datetime | None = None, object_id: str = ""
    ) -> str:
        """Deliver a message; its key."""
        self.modseq += 1
        moment = received_at or datetime.now(UTC)
        copy = FakeCopy(self.uidnext, raw, moment, {flag.lower() for flag in flags}, self.modseq, object_id)
        self.copies[copy.uid] = copy
        self.uidnext += 1
        return str(copy.uid)

    def remove(self, key: str) -> None:
        """Delete a copy, as another client would."""
        if self.copies.pop(int(key), None) is not None:
            self.modseq += 1
            self.gone[int(key)] = self.modseq

    def bookmark(self, since: date | None, pending: Sequence[list[int]] = ()) -> Cursor:
        """The cursor of who has seen everything but the `pending` spans of UIDs."""
        mark = {"epoch": self.epoch, "modseq": self.modseq, "known": self.uidnext}
        return {**mark, "since": str(since), "pending": list(pending)}

    def renumber(self) -> None:
        """A new UIDVALIDITY with new UIDs for all."""
        kept = sorted(self.copies.values(), key=lambda copy: copy.uid)
        self.epoch += 1
        self.uidnext, self.copies, self.gone = 1, {}, {}
        for copy in kept:
            self.add(copy.raw, flags=tuple(copy.flags), received_at=copy.received_at, object_id=copy.object_id)


class FakeServer:
    """Mail in memory behind one login; hand `driver()` to what is tested."""

    def __init__(self, *, user_name: str = "anna@example.com", password: str = "secret") -> None:  # noqa: S107
        self.user_name = user_name
        self.password = password
        self.folders: dict[str, FakeFolder] = {}
        self.calls: list[str] = []
        self.fail_next: list[errors.DriverError] = []
        for name, role in (
            ("INBOX", FolderRole.INBOX),
            ("Sent", FolderRole.SENT),
            ("Drafts", FolderRole.DRAFTS),
            ("Junk", FolderRole.JUNK),
            ("Trash", FolderRole.TRASH),
        ):
            self.add_folder(name, role)

    def add_folder(self, name: str, role: FolderRole = FolderRole.NONE) -> FakeFolder:
        """A new empty folder."""
        self.folders[name] = FakeFolder(name, role)
        return self.folders[name]

    def driver(self, password: str | None = None) -> FakeDriver:
        """A driver for this server, with the right password unless another is given."""
        server = ServerAddress("fake.example", 993, Security.SSL)
        return FakeDriver(server, Login(self.user_name, password or self.password, AuthKind.PASSWORD), mail=self)


class FakeDriver(MailboxDriver):
    """See the module; the constructor is that of every driver, plus the server it talks to."""

    def __init__(self, server: ServerAddress, login: Login, *, mail: FakeServer | None = None) -> None:
        self._login = login
        self._mail = mail or FakeServer(user_name=login.user_name, password=login.secret)
        self._is_open = False
        self.capabilities = Capabilities(changes=True, move=True, append_uid=True, special_use=True)

    def open(self) -> None:
        """Sign in. Raises AuthenticationFailed."""
        self._mail.calls.append("open")
        self._fail()
        if (self._login.user_name, self._login.secret) != (self._mail.user_name, self._mail.password):
            raise errors.AuthenticationFailed("The server refused the sign-in.")
        self._is_open = True

    def close(self) -> None:
        """Close."""
        self._is_open = False

    def check(self) -> CheckReport:
        """All steps at once."""
        self.open()
        count = len(self.list_folders())
        self.close()
        steps = tuple(CheckStep(kind, True, 0.0) for kind in ("connect", "secure", "sign_in", "folders"))
        return CheckReport(steps, self.capabilities, folder_count=count)

    def list_folders(self) -> list[RemoteFolder]:
        """All folders."""
        self._begin("list_folders")
        return [
            RemoteFolder(
                folder.name,
                tuple(folder.name.split("/")),
                folder.role,
                total=len(folder.copies),
                epoch=folder.epoch,
            )
            for folder in self._mail.folders.values()
        ]

    def is_usable(self) -> bool:
        """While it is open."""
        return self._is_open

    def glance(self, cursors: Mapping[str, Cursor], *, since: date | None) -> Glance:
        """Every folder at once."""
        folders = tuple(self.list_folders())
        marks = {name: folder.bookmark(since) for name, folder in self._mail.folders.items()}
        return Glance(frozenset(name for name in cursors if cursors[name] == marks.get(name)), folders)

    def fetch_changes(self, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int) -> FolderChanges:
        """Changes by modification number, older copies page by page."""
        folder = self._folder("fetch_changes", folder_id)
        top = folder.uidnext - 1
        if cursor is None:
            seen, known, pending = folder.modseq, folder.uidnext, [[1, top]]
        else:
            if cursor["epoch"] != folder.epoch or cursor["known"] > folder.uidnext:
                raise errors.CursorInvalid("The server numbers this folder anew.")
            seen, known, pending = cursor["modseq"], cursor["known"], [list(span) for span in cursor["pending"]]
            if cursor["since"] != str(since):
                pending = [[1, top]]
            elif folder.uidnext > known:
                pending.insert(0, [known, top])
        in_scope = [copy for _, copy in sorted(folder.copies.items()) if _is_in(copy, since)]
        added = _take(in_scope, pending, max(1, limit))
        changed = [copy for copy in in_scope if copy.modseq > seen and copy.uid < known]
        removed = sorted(uid for uid, modseq in folder.gone.items() if modseq > seen and uid < known)
        return FolderChanges(
            epoch=folder.epoch,
            added=tuple(map(_remote, added)),
            flags=tuple(RemoteCopy(str(c.uid), c.uid, flags=frozenset(c.flags), modseq=c.modseq) for c in changed),
            removed=tuple(map(str, removed)),
            cursor=folder.bookmark(since, pending),
            has_more=bool(pending),
            total=len(in_scope),
        )

    def epoch(self, folder_id: str) -> int:
        """The folder's epoch."""
        return self._folder("epoch", folder_id).epoch

    def list_ids(self, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
        """Keys in scope."""
        folder = self._folder("list_ids", folder_id)
        return iter([RemoteCopy(str(copy.uid), copy.uid) for copy in folder.copies.values() if _is_in(copy, since)])

    def fetch_messages(
        self, folder_id: str, keys: Sequence[str], *, whole_below: int, known: Mapping[str, RemoteCopy] = NOTHING
    ) -> Iterator[RemoteMessage]:
        """Content in the order given."""
        folder = self._folder("fetch_messages", folder_id)
        for key in dict.fromkeys(keys):
            copy = folder.copies.get(int(key)) if key.isdigit() else None
            if copy is None:
                continue
            if len(copy.raw) < whole_below:
                yield RemoteMessage(known.get(key) or _remote(copy), copy.raw)
            else:
                raw, left_out = without_attachments(copy.raw)
                yield RemoteMessage(_remote(copy), raw, is_complete=not left_out, left_out=left_out)

    def fetch_headers(self, folder_id: str, keys: Sequence[str]) -> Iterator[RemoteMessage]:
        """Header blocks."""
        folder = self._folder("fetch_headers", folder_id)
        for key in dict.fromkeys(keys):
            copy = folder.copies.get(int(key)) if key.isdigit() else None
            if copy is not None:
                header = copy.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                yield RemoteMessage(_remote(copy), header, is_complete=False)

    def fetch_part(self, folder_id: str, key: str, part: str) -> Iterator[bytes]:
        """Decoded part."""
        found = sections(message_from_bytes(self._copy("fetch_part", folder_id, key).raw)).get(part)
        payload = found.get_payload(decode=True) if found is not None else None
        if not isinstance(payload, bytes):
            raise errors.MessageGone("The message has no such part.")
        return _chunks(payload)

    def fetch_raw(self, folder_id: str, key: str) -> Iterator[bytes]:
        """The source."""
        return _chunks(self._copy("fetch_raw", folder_id, key).raw)

    def find(self, folder_id: str, message_id: str) -> list[RemoteCopy]:
        """By Message-ID."""
        folder = self._folder("find", folder_id)
        return [
            _remote(copy)
            for copy in folder.copies.values()
            if message_id.strip() and (message_from_bytes(copy.raw)["Message-ID"] or "").strip() == message_id.strip()
        ]

    def search(self, folder_id: str, *, sender: str = "", subject: str = "", limit: int = 50) -> list[RemoteMessage]:
        """By words of From and Subject."""
        folder = self._folder("search", folder_id)
        found = []
        for copy in sorted(folder.copies.values(), key=lambda copy: -copy.uid):
            message = message_from_bytes(copy.raw)
            texts = ((message["From"] or "", sender), (message["Subject"] or "", subject))
            if (sender or subject) and all(word.lower() in text.lower() for text, word in texts):
                found.append(str(copy.uid))
        return list(self.fetch_headers(folder_id, found[:limit]))

    def set_flags(
        self, folder_id: str, keys: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Flags."""
        folder = self._folder("set_flags", folder_id)
        for copy in self._existing(folder, keys):
            folder.modseq += 1
            copy.modseq = folder.modseq
            copy.flags |= {flag.lower() for flag in add}
            copy.flags -= {flag.lower() for flag in remove}

    def move(self, folder_id: str, keys: Sequence[str], target_id: str) -> dict[str, str]:
        """Move with new keys."""
        folder, target = self._folder("move", folder_id), self._folder("move", target_id)
        moved: dict[str, str] = {}
        for copy in self._existing(folder, keys):
            moved[str(copy.uid)] = target.add(
                copy.raw, flags=tuple(copy.flags), received_at=copy.received_at, object_id=copy.object_id
            )
            folder.remove(str(copy.uid))
        return moved

    def delete(self, folder_id: str, keys: Sequence[str]) -> None:
        """Delete."""
        folder = self._folder("delete", folder_id)
        for copy in self._existing(folder, keys):
            folder.remove(str(copy.uid))

    def append(self, folder_id: str, raw: bytes, *, flags: Sequence[str] = ()) -> str | None:
        """Store."""
        return self._folder("append", folder_id).add(re.sub(rb"\r?\n", b"\r\n", raw), flags=flags)

    def replace_draft(self, folder_id: str, old_key: str | None, raw: bytes) -> str | None:
        """Append, then delete."""
        key = self.append(folder_id, raw, flags=("\\Draft", "\\Seen"))
        if old_key is not None:
            self.delete(folder_id, [old_key])
        return key

    # inside

    def _begin(self, call: str) -> None:
        self._mail.calls.append(call)
        if not self._is_open:
            raise errors.ServerUnreachable("The connection is closed.", kind="dropped")
        self._fail()

    def _fail(self) -> None:
        if self._mail.fail_next:
            raise self._mail.fail_next.pop(0)

    def _folder(self, call: str, folder_id: str) -> FakeFolder:
        self._begin(call)
        if folder_id not in self._mail.folders:
            raise errors.FolderGone("The folder does not exist.")
        return self._mail.folders[folder_id]

    def _copy(self, call: str, folder_id: str, key: str) -> FakeCopy:
        copy = self._folder(call, folder_id).copies.get(int(key) if key.isdigit() else -1)
        if copy is None:
            raise errors.MessageGone("The message is no longer there.")
        return copy

    def _existing(self, folder: FakeFolder, keys: Sequence[str]) -> list[FakeCopy]:
        return [folder.copies[int(key)] for key in keys if key.isdigit() and int(key) in folder.copies]


def _take(in_scope: list[FakeCopy], pending: list[list[int]], room: int) -> list[FakeCopy]:
    """Up to `room` copies off the pending UID ranges, newest first; `pending` keeps what remains."""
    added: list[FakeCopy] = []
    while pending and room > 0:
        low, high = pending[0]
        there = [copy for copy in in_scope if low <= copy.uid <= high]
        taken = there[-room:]
        added.extend(reversed(taken))
        room -= len(taken)
        if len(taken) < len(there):
            pending[0] = [low, taken[0].uid - 1]
        else:
            pending.pop(0)
    return added


def _is_in(copy: FakeCopy, since: date | None) -> bool:
    return since is None or copy.received_at.date() >= since


def _remote(copy: FakeCopy) -> RemoteCopy:
    return RemoteCopy(
        str(copy.uid),
        copy.uid,
        copy.received_at.replace(microsecond=0),
        len(copy.raw),
        frozenset(copy.flags),
        object_id=copy.object_id,
        modseq=copy.modseq,
    )


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
