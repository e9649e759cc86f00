"""A mailbox of the test server: folders, items, a journal of changes that SyncStates point into."""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

NAMES = {  # German, so that nobody takes a role from a name
    "inbox": "Posteingang", "sentitems": "Gesendete Elemente", "drafts": "Entwürfe", "junkemail": "Junk-E-Mail",
    "deleteditems": "Gelöschte Elemente", "outbox": "Postausgang", "calendar": "Kalender", "contacts": "Kontakte",
}  # fmt: skip
CLASSES = {"calendar": "IPF.Appointment", "contacts": "IPF.Contact"}
FLAGS = {"\\seen": 1, "\\flagged": 0x1090, "\\answered": 0x1081}


def make_id(*parts: object) -> str:
    """An opaque id of 152 characters, as Exchange's."""
    seed = "/".join(map(str, parts)).encode()
    return base64.b64encode(b"".join(hashlib.sha256(seed + bytes([n])).digest() for n in range(4))[:114]).decode()


@dataclass
class Item:
    """A stored item."""

    number: int
    id: str
    raw: bytes
    received_at: datetime | None
    item_class: str = "IPM.Note"
    is_read: bool = False
    is_draft: bool = False
    values: dict[int, str] = field(default_factory=dict)  # MAPI properties by tag
    version: int = 1
    created_seq: int = 0
    changed_seq: int = 0
    only_read_since: int | None = None  # all changes since then concern IsRead
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    bcc: list[str] = field(default_factory=list)
    attachments: list[tuple[str, str, bytes]] = field(default_factory=list)  # added one by one

    @property
    def change_key(self) -> str:
        """Changes with the item."""
        return base64.b64encode(f"CQAAABYAAAD{self.number:08}/{self.version:06}".encode()).decode()

    @property
    def message(self) -> Message:
        """Parsed, leniently."""
        return message_from_bytes(self.raw)

    @property
    def size(self) -> int:
        """As Exchange counts: with the properties."""
        return len(self.raw) + 1024


@dataclass
class Folder:
    """A folder with its journal."""

    id: str
    name: str
    parent: str
    folder_class: str = "IPF.Note"
    distinguished: str = ""
    items: dict[str, Item] = field(default_factory=dict)
    gone: dict[str, tuple[int, int]] = field(default_factory=dict)  # item id -> (created, deleted) seq
    is_search: bool = False
    changed_seq: int = 0


class Store:
    """The mailbox of one address."""

    def __init__(self, address: str = "anna@example.com") -> None:
        self.address = address
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.folders: dict[str, Folder] = {}
        self.gone_folders: dict[str, int] = {}
        self.generation = 1
        self.seq = 1
        self._numbers = itertools.count(1)
        self.sent: list[Item] = []
        root = make_id(address, "root")
        self.root = self.folders[root] = Folder(root, "Root", "", "", "root")
        top = make_id(address, "top")
        self.top = self.folders[top] = Folder(top, "Oberste Ebene des Informationsspeichers", root, "", "msgfolderroot")
        for key, name in NAMES.items():
            self.add_folder(name, distinguished=key, folder_class=CLASSES.get(key, "IPF.Note"))

    def add_folder(
        self, name: str, *, parent: Folder | None = None, distinguished: str = "", folder_class: str = "IPF.Note"
    ) -> Folder:
        """A new folder below `parent` (the top)."""
        with self.lock:
            self.seq += 1
            made = Folder(
                make_id(self.address, name, next(self._numbers)),
                name,
                (parent or self.top).id,
                folder_class,
                distinguished,
                changed_seq=self.seq,
            )
            self.folders[made.id] = made
            self.changed.notify_all()
            return made

    def by_name(self, key: str) -> Folder:
        """A folder by its distinguished id or its name."""
        return next(one for one in self.folders.values() if key in (one.distinguished, one.name))

    def add(
        self,
        folder: Folder,
        raw: bytes,
        *,
        received_at: datetime | None = None,
        item_class: str = "IPM.Note",
        is_read: bool = False,
        is_draft: bool = False,
    ) -> Item:
        """An item arrives."""
        with self.lock:
            self.seq += 1
            number = next(self._numbers)
            item = Item(
                number,
                make_id(self.address, "item", number),
                raw,
                received_at or datetime.now(UTC),
                item_class,
                is_read,
                is_draft,
                created_seq=self.seq,
                changed_seq=self.seq,
            )
            folder.items[item.id] = item
            self.changed.notify_all()
            return item

    def find(self, item_id: str) -> tuple[Folder, Item] | None:
        """An item and its folder."""
        for folder in self.folders.values():
            if item_id in folder.items:
                return folder, folder.items[item_id]
        return None

    def touch(self, item: Item, *, only_read: bool = False) -> None:
        """It changed."""
        with self.lock:
            self.seq += 1
            if only_read:
                item.only_read_since = item.only_read_since or item.changed_seq
            else:
                item.only_read_since = None
            item.version += 1
            item.changed_seq = self.seq
            self.changed.notify_all()

    def remove(self, item_id: str) -> None:
        """Another client deletes it for good."""
        with self.lock:
            found = self.find(item_id)
            if found is None:
                return
            folder, item = found
            self.seq += 1
            del folder.items[item_id]
            folder.gone[item_id] = (item.created_seq, self.seq)
            self.changed.notify_all()

    def move(self, item_id: str, target: Folder) -> Item:
        """Move it; its id changes."""
        with self.lock:
            found = self.find(item_id)
            assert found is not None
            item = found[1]
            self.remove(item_id)
            self.seq += 1
            number = next(self._numbers)
            moved = Item(
                number, make_id(self.address, "item", number), item.raw, item.received_at, item.item_class,
                item.is_read, item.is_draft, dict(item.values), created_seq=self.seq, changed_seq=self.seq,
                bcc=item.bcc, attachments=item.attachments,
            )  # fmt: skip
            target.items[moved.id] = moved
            self.changed.notify_all()
            return moved

    def remove_folder(self, folder: Folder) -> None:
        """Another client deletes a folder."""
        with self.lock:
            self.seq += 1
            self.folders.pop(folder.id, None)
            self.gone_folders[folder.id] = self.seq
            self.changed.notify_all()

    def expire(self) -> None:
        """All SyncStates given out so far are worth nothing any more."""
        with self.lock:
            self.generation += 1

    # SyncState

    def write_state(self, folder_id: str, mode: str, seq: int, number: int) -> str:
        """An opaque state."""
        text = f"H4sI|{self.generation}|{folder_id}|{mode}|{seq}|{number}"
        return base64.b64encode(hashlib.md5(text.encode()).digest() + text.encode()).decode()

    def read_state(self, folder_id: str, state: str) -> tuple[str, int, int] | None:
        """What it stands for; None for a wrong or expired one."""
        try:
            data = base64.b64decode(state, validate=True)
            text = data[16:].decode()
            mark, generation, folder, mode, seq, number = text.split("|")
        except ValueError:
            return None
        is_good = mark == "H4sI" and hashlib.md5(text.encode()).digest() == data[:16]
        if not is_good or folder != folder_id or int(generation) != self.generation:
            return None
        return mode, int(seq), int(number)

    def changes(self, folder: Folder, state: str, most: int) -> tuple[list[tuple[str, Item | str]], str, bool] | None:
        """Changes since a state ("" for all), the new state, whether it is the last page; None for a bad state."""
        with self.lock:
            mode, seq, number = ("all", self.seq, 0) if not state else self.read_state(folder.id, state) or ("", 0, 0)
            if not mode:
                return None
            if mode == "all":
                rest = sorted(
                    (i for i in folder.items.values() if i.number > number and i.created_seq <= seq),
                    key=lambda i: i.number,
                )
                page = rest[:most]
                found: list[tuple[str, Item | str]] = [("Create", item) for item in page]
                # No order is promised: a client that relies on one is wrong.
                found.sort(key=lambda one: hashlib.md5(one[1].id.encode()).digest())  # type: ignore[union-attr]
                if len(rest) > most:
                    return found, self.write_state(folder.id, "all", seq, page[-1].number), False
                return found, self.write_state(folder.id, "since", seq, 0), True
            events: list[tuple[int, str, Item | str]] = []
            for item in folder.items.values():
                if item.changed_seq > seq:
                    kind = "Update"
                    if item.created_seq > seq:
                        kind = "Create"
                    elif item.only_read_since is not None and item.only_read_since <= seq:
                        kind = "ReadFlagChange"
                    events.append((item.changed_seq, kind, item))
            for item_id, (created, deleted) in folder.gone.items():
                if deleted > seq >= created:
                    events.append((deleted, "Delete", item_id))
            events.sort(key=lambda event: event[0])
            taken = events[:most]
            is_last = len(events) <= most
            at = max(self.seq if is_last else 0, taken[-1][0] if taken else seq)
            return [(kind, what) for _seq, kind, what in taken], self.write_state(folder.id, "since", at, 0), is_last
