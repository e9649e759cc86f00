"""One mailbox of an Exchange Server (on premises) by EWS: see MailboxDriver for what each method keeps.

Invariants: the keys of copies are ItemIds, of folders FolderIds, both opaque; the epoch never changes, because an id lives
as long as its item: an expired SyncState is CursorInvalid, and the next look finds the same ids.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from drivers import errors
from drivers.base import MailboxDriver
from drivers.ews import changes, folders, reading, writes
from drivers.ews.faults import HANDSHAKE, Refused
from drivers.ews.finding import Wish, compare, find_items
from drivers.ews.items import copy_of, id_of, item_shape, listed
from drivers.ews.session import Session
from drivers.ews.wire import element, field, mailboxes, text_at
from drivers.types import (
    NOTHING,
    Capabilities,
    CheckReport,
    CheckStep,
    Cursor,
    FolderChanges,
    Login,
    RemoteCopy,
    RemoteFolder,
    RemoteMessage,
    ServerAddress,
)

FOUND = 500  # newest items looked at for a Message-ID where the server cannot
LOOKED_AT = 30  # newest items looked at where the server finds none
SEARCHED = 1000  # newest items looked at for a sender
MESSAGE_ID_MOST = 900  # characters
_ID = re.compile(r"<[^\s<>\"\x00]{1,900}>")


def sign_in(session: Session) -> None:
    """Ask for the inbox: the first request that carries the login. Raises AuthenticationFailed, drivers.errors."""
    payload = element(
        "m:GetFolder",
        folders.folder_shape(ids_only=True),
        element("m:FolderIds", folders.distinguished(session, "inbox")),
    )
    while True:
        try:
            session.one("GetFolder", payload)
            return
        except errors.ProtocolDisabled:
            raise
        except errors.AuthenticationFailed as error:
            if error.server_said != HANDSHAKE or not session.next_scheme():  # a refused password is not tried again
                raise
        except (errors.FolderGone, errors.MessageGone) as error:
            raise errors.PermissionMissing("This mailbox may not be opened.", server_said=error.server_said) from error


class EwsDriver(MailboxDriver):
    """See the module."""

    def __init__(self, server: ServerAddress, login: Login) -> None:
        self._session = Session(server, login)
        self.capabilities = Capabilities(
            push=True, changes=True, move=True, append_uid=True, special_use=True, saves_sent_copy=True
        )

    def open(self) -> None:
        """Connect and sign in."""
        self._session.open()
        try:
            sign_in(self._session)
        except BaseException:
            self._session.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        self._session.close()

    def check(self) -> CheckReport:
        """Each step by itself."""
        steps: list[CheckStep] = []
        started = time.monotonic()

        def done(kind: str, detail: str = "") -> None:
            nonlocal started
            steps.append(CheckStep(kind, True, time.monotonic() - started, detail))
            started = time.monotonic()

        try:
            self._session.open()
            done("connect")
            done("secure")
            sign_in(self._session)
            done("sign_in")
            count = len(folders.list_folders(self._session))
            done("folders", str(count))
            version = self._session.version
        finally:
            self._session.close()
        names = (f"Exchange {version}",) if version else ("Exchange",)
        capabilities = Capabilities(
            push=True, changes=True, move=True, append_uid=True, special_use=True, saves_sent_copy=True, names=names
        )
        return CheckReport(tuple(steps), capabilities, folder_count=count)

    def list_folders(self) -> list[RemoteFolder]:
        """All folders of mail."""
        return folders.list_folders(self._session)

    def epoch(self, folder_id: str) -> int:
        """Always the same for a folder that is there."""
        self._check(folder_id)
        return folders.EPOCH

    def fetch_changes(self, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int) -> FolderChanges:
        """The window by FindItem, then SyncFolderItems."""
        self._plausible(folder_id)
        return changes.fetch_changes(self._session, folder_id, cursor, since=since, limit=limit)

    def list_ids(self, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
        """A walk of its own."""
        self._plausible(folder_id)
        return changes.list_ids(self._session, folder_id, since=since)

    def fetch_messages(
        self, folder_id: str, keys: Sequence[str], *, whole_below: int, known: Mapping[str, RemoteCopy] = NOTHING
    ) -> Iterator[RemoteMessage]:
        """MIME or built from properties."""
        self._session.account()
        return reading.fetch_messages(self._session, keys, whole_below=whole_below)

    def fetch_headers(self, folder_id: str, keys: Sequence[str]) -> Iterator[RemoteMessage]:
        """Header blocks."""
        self._session.account()
        return reading.fetch_headers(self._session, keys)

    def fetch_part(self, folder_id: str, key: str, part: str) -> Iterator[bytes]:
        """An attachment ("a1"), else a section of the source."""
        self._plausible(key, errors.MessageGone)
        return reading.fetch_part(self._session, key, part)

    def fetch_raw(self, folder_id: str, key: str) -> Iterator[bytes]:
        """The source."""
        self._plausible(key, errors.MessageGone)
        return reading.fetch_raw(self._session, key)

    def find(self, folder_id: str, message_id: str) -> list[RemoteCopy]:
        """By InternetMessageId; compared here again, because servers compare leniently."""
        self._plausible(folder_id)
        wanted = message_id.strip()
        if not _ID.fullmatch(wanted):
            return []
        shown = ("message:InternetMessageId",)
        test = compare("IsEqualTo", "message:InternetMessageId", wanted)
        try:
            items = find_items(self._session, folder_id, Wish(test, newest_first=True, shown=shown))[0]
            keys = [id_of(item) for item in items if text_at(item, "InternetMessageId") in (wanted, "")]
        except errors.ProtocolError:  # a server that cannot restrict by it: the newest are looked at
            keys = [copy.key for copy in changes.list_ids(self._session, folder_id, since=None)][: -FOUND - 1 : -1]
        found = self._with_id(keys, wanted)
        if found:
            return found
        # A server that cannot compare this property may say that there is nothing.
        try:
            newest = find_items(self._session, folder_id, Wish(size=LOOKED_AT, newest_first=True, shown=shown))[0]
        except errors.ProtocolError:
            return []
        return self._with_id([id_of(item) for item in newest if id_of(item) not in keys], wanted)

    def _with_id(self, keys: Sequence[str], wanted: str) -> list[RemoteCopy]:
        found = reading.ask_items(self._session, keys, _identity())
        return [copy_of(item) for _key, item in found if _has_id(item, wanted)]

    def search(self, folder_id: str, *, sender: str = "", subject: str = "", limit: int = 50) -> list[RemoteMessage]:
        """The subject by the server, the sender here: FindItem tells no addresses."""
        self._plausible(folder_id)
        sender, subject = sender.strip().lower(), " ".join(subject.split())
        if not sender and not subject:
            return []
        test = None
        if subject:
            test = element(
                "t:Contains",
                field("item:Subject"),
                element("t:Constant", Value=subject[:200]),
                ContainmentMode="Substring",
                ContainmentComparison="IgnoreCase",
            )
        keys: list[str] = []
        offset = 0
        while offset < SEARCHED and len(keys) < limit:
            wish = Wish(test, offset, newest_first=True)
            items, _total, is_last = find_items(self._session, folder_id, wish)
            keys += self._from(sender, [id_of(item) for item in items], limit - len(keys))
            offset += len(items)
            if is_last:
                break
        return list(reading.fetch_headers(self._session, keys))

    def _from(self, sender: str, keys: list[str], most: int) -> list[str]:
        if not sender:
            return keys[:most]
        shape = item_shape(field("message:From"))
        found: list[str] = []
        for start in range(0, len(keys), reading.BATCH):
            for key, item in reading.ask_items(self._session, keys[start : start + reading.BATCH], shape):
                people = mailboxes(item, "From") if not isinstance(item, Refused) else []
                if any(sender in f"{one.name} <{one.address}>".lower() for one in people):
                    found.append(key)
            if len(found) >= most:
                break
        return found[:most]

    def set_flags(
        self, folder_id: str, keys: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Read, flagged, answered, forwarded."""
        self._session.account()
        writes.set_flags(self._session, keys, add=add, remove=remove)

    def move(self, folder_id: str, keys: Sequence[str], target_id: str) -> dict[str, str]:
        """Old and new ids."""
        self._plausible(target_id)
        return writes.move(self._session, keys, target_id)

    def delete(self, folder_id: str, keys: Sequence[str]) -> None:
        """For good."""
        self._session.account()
        writes.delete(self._session, keys)

    def append(self, folder_id: str, raw: bytes, *, flags: Sequence[str] = ()) -> str | None:
        """A new item."""
        self._check(folder_id)
        raw = re.sub(rb"\r?\n", b"\r\n", raw)
        return writes.create(self._session, folders.by_id(folder_id), raw, flags=flags)[0] or None

    def replace_draft(self, folder_id: str, old_key: str | None, raw: bytes) -> str | None:
        """The new version first."""
        key = self.append(folder_id, raw, flags=("\\Draft", "\\Seen"))
        if old_key is not None:
            self.delete(folder_id, [old_key])
        return key

    def _check(self, folder_id: str) -> None:
        self._plausible(folder_id)
        folders.check(self._session, folder_id)

    def _plausible(self, key: str, error: type[errors.DriverError] = errors.FolderGone) -> None:
        """What can be no id is not sent. Raises `error`; ServerUnreachable when the driver is closed."""
        self._session.account()
        if not reading.is_plausible(key):
            raise error("It does not exist.")


def _identity():  # type: ignore[no-untyped-def]  # noqa: ANN202 - an element
    return item_shape(*listed(), field("message:InternetMessageId"))


def _has_id(item: object, wanted: str) -> bool:
    return not isinstance(item, Refused) and text_at(item, "InternetMessageId") == wanted
