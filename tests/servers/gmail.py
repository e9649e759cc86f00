"""A scripted Gmail (X-GM-EXT-1): one message under several labels, stable ids, CONDSTORE without QRESYNC.

Kept from the real one: expunging in a label's folder only takes the label away, moving to the trash takes the message
out of every folder, and only the trash deletes. X-GM-LABELS does not name the folder that is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from tests.servers.mini_imap import Content, Copy, Folder, MiniImap

ALL_MAIL = "[Gmail]/All Mail"
TRASH = "[Gmail]/Trash"
_SYSTEM = {"INBOX": "\\Inbox", "[Gmail]/Sent Mail": "\\Sent", "[Gmail]/Starred": "\\Starred"}


class GmailServer(MiniImap):
    """Folders as Gmail lists them for an English mailbox."""

    capabilities = (
        *("IMAP4rev1", "UNSELECT", "IDLE", "ID", "X-GM-EXT-1", "UIDPLUS", "MOVE", "CONDSTORE"),
        *("SPECIAL-USE", "AUTH=PLAIN", "AUTH=XOAUTH2", "SASL-IR"),
    )

    def __init__(self, *, noise: bool = True, users: dict[str, str] | None = None) -> None:
        super().__init__(noise=noise, users=users)
        self._ids = 1_700_000_000_000_000_000
        for name, attribute in (
            (ALL_MAIL, "\\All"),
            ("[Gmail]/Drafts", "\\Drafts"),
            ("[Gmail]/Sent Mail", "\\Sent"),
            ("[Gmail]/Spam", "\\Junk"),
            (TRASH, "\\Trash"),
            ("[Gmail]/Starred", "\\Flagged"),
        ):
            self.add_folder(name, attribute)

    def add_labelled(self, raw: bytes, *labels: str) -> int:
        """One message under several labels (folder names); its X-GM-MSGID."""
        with self.lock:
            content = Content(raw, datetime.now(UTC).replace(microsecond=0))
            for label in labels:
                self.added(self.folders.get(label) or self.add_folder(label), content, ())
            return content.msgid

    def added(self, folder: Folder, content: Content, flags: Iterable[str]) -> int:
        """A copy in the label's folder and, once, in All Mail."""
        if not content.msgid:
            self._ids += 1
            content.msgid = content.thrid = self._ids
        if folder.name == TRASH:
            for other in self.folders.values():
                other.copies = [copy for copy in other.copies if copy.content is not content]
        elif folder.name != ALL_MAIL:
            content.labels.add(folder.name)
            everything = self.folders[ALL_MAIL]
            if all(copy.content is not content for copy in everything.copies):
                everything.add(content, flags)
        for copy in folder.copies:
            if copy.content is content:
                return copy.uid
        return folder.add(content, flags)

    def removed(self, folder: Folder, uids: set[int]) -> None:
        """Only the label goes, except in the trash."""
        for copy in folder.copies:
            if copy.uid in uids:
                copy.content.labels.discard(folder.name)
        super().removed(folder, uids)

    def labels_of(self, copy: Copy, folder: Folder) -> str:
        """Quoted where needed."""
        names = sorted(_SYSTEM.get(label, label) for label in copy.content.labels if label != folder.name)
        return " ".join('"' + name.replace("\\", "\\\\") + '"' for name in names)
