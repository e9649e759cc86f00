"""The operations of the test server on a `Store`: each takes its checked request element and gives response messages."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import getaddresses
from typing import Any

from lxml import etree

from tests.servers.ews.properties import ALL, DEFAULTS, Shown, el, take_bcc
from tests.servers.ews.store import Folder, Item, Store
from tests.servers.ews.tables import T

TQ = f"{{{T}}}"
MOST_SYNC = 512


class Fault(Exception):
    """An error of one response message: its ResponseCode."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code


class Operations:
    """One request of `user` on the mailboxes of a server."""

    def __init__(self, server: Any, user: str, impersonated: str = "") -> None:
        self.server, self.user, self.impersonated = server, user, impersonated

    # which mailbox, which folder

    def store(self, address: str = "") -> Store:
        """The mailbox asked for. Raises Fault without the right."""
        wanted = (address or self.impersonated or self.user).lower()
        store = self.server.stores.get(wanted)
        if store is None:
            raise Fault("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        if wanted not in (self.impersonated, self.user) and wanted not in self.server.delegates.get(self.user, ()):
            raise Fault("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return store

    def stores(self) -> Iterator[Store]:
        """Mailboxes that may be reached by ids."""
        for address, store in self.server.stores.items():
            mine = (self.impersonated or self.user, *self.server.delegates.get(self.user, ()))
            if address in mine:
                yield store

    def folder(self, reference: Any, code: str = "ErrorFolderNotFound") -> tuple[Store, Folder]:
        """The folder that a FolderId or DistinguishedFolderId names."""
        if reference.tag == f"{TQ}DistinguishedFolderId":
            address = reference.findtext(f"{TQ}Mailbox/{TQ}EmailAddress") or ""
            store = self.store(address)
            for folder in store.folders.values():
                if folder.distinguished == reference.get("Id"):
                    return store, folder
            raise Fault(code, "The specified folder could not be found in the store.")
        wanted = reference.get("Id")
        for store in self.stores():
            if wanted in store.folders:
                return store, store.folders[wanted]
        raise Fault(code if _looks_like_id(wanted) else "ErrorInvalidIdMalformed", "Id is malformed.")

    def item(self, item_id: str) -> tuple[Store, Folder, Item]:
        """The item of an id."""
        for store in self.stores():
            found = store.find(item_id)
            if found is not None:
                return store, *found
        raise Fault("ErrorItemNotFound" if _looks_like_id(item_id) else "ErrorInvalidIdMalformed")

    def shown(self, folder: Folder, item: Item) -> Shown:
        """How this server shows an item."""
        return Shown(item, folder, decimals=self.server.decimals, regenerates=self.server.regenerates)

    # folders

    def get_folder(self, request: Any) -> list[Callable[[], list[Any]]]:
        """GetFolder."""

        def one(reference: Any) -> list[Any]:
            store, folder = self.folder(reference)
            return [el("m:Folders", self._folder(store, folder))]

        return [lambda r=reference: one(r) for reference in request[1]]

    def _folder(self, store: Store, folder: Folder) -> Any:
        kinds = {"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder"}
        kind = "SearchFolder" if folder.is_search else kinds.get(folder.folder_class, "Folder")
        below = [one for one in store.folders.values() if one.parent == folder.id]
        return el(
            f"t:{kind}",
            el("t:FolderId", Id=folder.id, ChangeKey="AQAAABYAAAD"),
            el("t:ParentFolderId", Id=folder.parent, ChangeKey="AQAAABYAAAD") if folder.parent else None,
            el("t:FolderClass", folder.folder_class) if folder.folder_class else None,
            el("t:DisplayName", folder.name),
            el("t:TotalCount", str(len(folder.items))),
            el("t:ChildFolderCount", str(len(below))),
            el("t:UnreadCount", str(sum(not item.is_read for item in folder.items.values()))),
        )

    def _below(self, store: Store, folder: Folder) -> list[Folder]:
        found, rest = [], [folder.id]
        while rest:
            parent = rest.pop()
            for one in store.folders.values():
                if one.parent == parent:
                    found.append(one)
                    rest.append(one.id)
        return found

    def find_folder(self, request: Any) -> list[Callable[[], list[Any]]]:
        """FindFolder."""

        def one(reference: Any) -> list[Any]:
            store, folder = self.folder(reference)
            if request.get("Traversal") == "Deep":
                found = self._below(store, folder)
            else:
                found = [one for one in store.folders.values() if one.parent == folder.id]
            page, attributes = _page(request, "IndexedPageFolderView", found)
            return [el("m:RootFolder", el("t:Folders", *(self._folder(store, one) for one in page)), **attributes)]

        return [lambda r=reference: one(r) for reference in request[-1]]

    def sync_folder_hierarchy(self, request: Any) -> list[Callable[[], list[Any]]]:
        """SyncFolderHierarchy."""

        def one() -> list[Any]:
            reference = _child(request, "SyncFolderId")
            store, root = self.folder(reference[0]) if reference is not None else (self.store(), self.store().top)
            state = _text(request, "SyncState")
            seq = 0
            if state:
                read = store.read_state("hierarchy", state)
                if read is None:
                    raise Fault("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or invalid.")
                seq = read[1]
            changes = [
                el("t:Create", self._folder(store, folder))
                for folder in self._below(store, root)
                if folder.changed_seq > seq
            ]
            gone = [key for key, at in store.gone_folders.items() if at > seq] if state else []
            changes += [el("t:Delete", el("t:FolderId", Id=key)) for key in gone]
            return [
                el("m:SyncState", store.write_state("hierarchy", "since", store.seq, 0)),
                el("m:IncludesLastFolderInRange", "true"),
                el("m:Changes", *changes),
            ]

        return [one]

    # items

    def sync_folder_items(self, request: Any) -> list[Callable[[], list[Any]]]:
        """SyncFolderItems."""

        def one() -> list[Any]:
            store, folder = self.folder(_child(request, "SyncFolderId")[0], "ErrorSyncFolderNotFound")
            most = int(_text(request, "MaxChangesReturned"))
            if not 1 <= most <= MOST_SYNC:
                raise Fault("ErrorInvalidSyncStateData" if most < 1 else "ErrorInvalidRequest")
            with store.lock:
                found = store.changes(folder, _text(request, "SyncState"), most)
                if found is None:
                    raise Fault("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or invalid.")
                changes, state, is_last = found
                names, tags, _body = _shape(request[0])
                made = []
                for kind, what in changes:
                    if isinstance(what, str):
                        made.append(el("t:Delete", el("t:ItemId", Id=what, ChangeKey="AQAAAA==")))
                    elif kind == "ReadFlagChange":
                        ids = el("t:ItemId", Id=what.id, ChangeKey=what.change_key)
                        made.append(el("t:ReadFlagChange", ids, el("t:IsRead", "true" if what.is_read else "false")))
                    else:
                        shown = self.shown(folder, what).element(names, tags, finds=True)
                        made.append(el(f"t:{kind}", shown))
            return [
                el("m:SyncState", state),
                el("m:IncludesLastItemInRange", "true" if is_last else "false"),
                el("m:Changes", *made),
            ]

        return [one]

    def find_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """FindItem."""

        def one(reference: Any) -> list[Any]:
            store, folder = self.folder(reference)
            with store.lock:
                found = [self.shown(folder, item) for item in folder.items.values()]
                restriction = _child(request, "Restriction")
                if restriction is not None:
                    found = [shown for shown in found if _matches(shown, restriction[0])]
                order = _child(request, "SortOrder")
                for rule in reversed(list(order) if order is not None else []):
                    down = rule.get("Order") == "Descending"
                    found.sort(key=lambda s, r=rule: (_compared(s, r[0]) or "", s.item.number), reverse=down)
                page, attributes = _page(request, "IndexedPageItemView", found)
                names, tags, _body = _shape(request[0])
                items = [shown.element(names, tags, finds=True) for shown in page]
            return [el("m:RootFolder", el("t:Items", *items), **attributes)]

        parents = _child(request, "ParentFolderIds")
        return [lambda r=reference: one(r) for reference in parents]

    def get_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """GetItem."""
        names, tags, body = _shape(request[0])

        def one(reference: Any) -> list[Any]:
            _store, folder, item = self.item(reference.get("Id"))
            if "MimeContent" in names and item.item_class in self.server.no_mime:
                raise Fault("ErrorMimeContentConversionFailed", "Content conversion failed.")
            try:
                return [el("m:Items", self.shown(folder, item).element(names, tags, body=body))]
            except (AttributeError, ValueError, LookupError) as error:  # Python's email cannot write such a header
                raise Fault("ErrorContentConversionFailed", "Content conversion failed.") from error

        return [lambda r=reference: one(r) for reference in request[1]]

    def create_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """CreateItem."""
        disposition = request.get("MessageDisposition")
        saved = _child(request, "SavedItemFolderId")

        def one(given: Any) -> list[Any]:
            if disposition is None:
                raise Fault("ErrorMessageDispositionRequired")
            default = "sentitems" if disposition == "SendAndSaveCopy" else "drafts"
            store, folder = (
                self.folder(saved[0]) if saved is not None else (self.store(), self.store().by_name(default))
            )
            item = self._made(given)
            if disposition == "SaveOnly":
                kept = store.add(
                    folder, item.raw, item_class=item.item_class, is_read=item.is_read, is_draft=item.is_draft
                )
                kept.values, kept.bcc = item.values, item.bcc
                return [el("m:Items", el("t:Message", el("t:ItemId", Id=kept.id, ChangeKey=kept.change_key)))]
            self._send(store, item)
            if disposition == "SendAndSaveCopy":
                store.add(folder, item.raw, is_read=True)
            return [el("m:Items")]

        return [lambda g=given: one(g) for given in _child(request, "Items")]

    def _made(self, given: Any) -> Item:
        content = given.findtext(f"{TQ}MimeContent")
        if content is not None:
            try:
                raw = base64.b64decode(content, validate=True)
            except ValueError:
                raise Fault("ErrorMimeContentInvalidBase64String")
        else:
            raw = _written(given)
        raw, bcc = take_bcc(raw)
        bcc += [one.text for one in given.iterfind(f"{TQ}BccRecipients/{TQ}Mailbox/{TQ}EmailAddress")]
        item = Item(0, "", raw, datetime.now(UTC), is_draft=True, bcc=bcc)
        item.is_read = given.findtext(f"{TQ}IsRead") not in ("false", "0")
        for one in given.iterfind(f"{TQ}ExtendedProperty"):
            tag = int(one[0].get("PropertyTag") or "0", 16)
            item.values[tag] = one[1].text or ""
        if 0x0E07 in item.values:
            number = int(item.values.pop(0x0E07))
            item.is_draft, item.is_read = not number & 1 and bool(number & 8), bool(number & 1)
            item.is_draft = bool(number & 8)
        return item

    def _send(self, store: Store, item: Item) -> None:
        message = message_from_bytes(item.raw)
        sender = getaddresses([str(message["From"] or "")])
        whom = getaddresses([str(value) for key in ("To", "Cc") for value in message.get_all(key, [])])
        recipients = [address for _name, address in whom if address] + item.bcc
        if not recipients:
            raise Fault("ErrorInvalidRecipients", "At least one recipient isn't valid.")
        if len(item.raw) > self.server.largest:
            raise Fault("ErrorMessageSizeExceeded")
        for address in recipients:
            if address in self.server.bad_recipients:
                raise Fault("ErrorInvalidRecipients", "At least one recipient isn't valid.")
        if sender and sender[0][1] and sender[0][1].lower() != store.address:
            raise Fault("ErrorSendAsDenied", "The user account does not have the right to send as this one.")
        self.server.outgoing.append((tuple(recipients), item.raw))
        for address in dict.fromkeys(recipients):
            there = self.server.stores.get(address.lower())
            if there is not None:
                there.add(there.by_name("inbox"), item.raw)

    def update_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """UpdateItem."""

        def one(change: Any) -> list[Any]:
            reference = change[0]
            store, _folder, item = self.item(reference.get("Id"))
            if request.get("MessageDisposition") is None:
                raise Fault("ErrorMessageDispositionRequired")
            key = reference.get("ChangeKey")
            if request.get("ConflictResolution") != "AlwaysOverwrite":
                if key is None:
                    raise Fault("ErrorChangeKeyRequired")
                if key != item.change_key:
                    raise Fault("ErrorIrresolvableConflict", "The send or update operation could not be performed.")
            before = (item.is_read, dict(item.values))
            for update in change[1]:
                self._update(item, update)
            if (item.is_read, item.values) != before:
                store.touch(item, only_read=item.values == before[1])
            return [
                el("m:Items", el("t:Message", el("t:ItemId", Id=item.id, ChangeKey=item.change_key))),
                el("m:ConflictResults", el("t:Count", "0")),
            ]

        return [lambda c=change: one(c) for change in _child(request, "ItemChanges")]

    def _update(self, item: Item, update: Any) -> None:
        uri = update[0]
        is_set = update.tag == f"{TQ}SetItemField"
        if uri.tag == f"{TQ}ExtendedFieldURI":
            tag = int(uri.get("PropertyTag") or "0", 16)
            item.values.pop(tag, None)
            if is_set:
                item.values[tag] = update.findtext(f".//{TQ}Value") or ""
            return
        name = uri.get("FieldURI")
        if name == "message:IsRead":
            item.is_read = is_set and update.findtext(f".//{TQ}IsRead") in ("true", "1")
        elif name == "item:Flag":
            item.values.pop(0x1090, None)
            if is_set and update.findtext(f".//{TQ}FlagStatus") == "Flagged":
                item.values[0x1090] = "2"
        elif not is_set:
            raise Fault("ErrorInvalidPropertyDelete")
        else:
            raise Fault("ErrorInvalidPropertySet", f"Property is not valid for this object type: {name}")

    def move_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """MoveItem."""
        returns = _text(request, "ReturnNewItemIds") not in ("false", "0")

        def one(reference: Any) -> list[Any]:
            _store, target = self.folder(request[0][0], "ErrorToFolderNotFound")
            store, folder, item = self.item(reference.get("Id"))
            moved = store.move(item.id, target) if folder is not target else item
            ids = [el("t:Message", el("t:ItemId", Id=moved.id, ChangeKey=moved.change_key))] if returns else []
            return [el("m:Items", *ids)]

        return [lambda r=reference: one(r) for reference in request[1]]

    def delete_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """DeleteItem."""

        def one(reference: Any) -> list[Any]:
            store, _folder, item = self.item(reference.get("Id"))
            if request.get("DeleteType") == "MoveToDeletedItems":
                store.move(item.id, store.by_name("deleteditems"))
            else:
                store.remove(item.id)
            return []

        return [lambda r=reference: one(r) for reference in request[0]]

    def send_item(self, request: Any) -> list[Callable[[], list[Any]]]:
        """SendItem: the draft leaves, a copy stays."""

        def one(reference: Any) -> list[Any]:
            store, _folder, item = self.item(reference.get("Id"))
            if reference.get("ChangeKey") is None and self.server.wants_change_keys:
                raise Fault("ErrorChangeKeyRequiredForWriteOperations")
            if reference.get("ChangeKey") not in (item.change_key, None):
                raise Fault("ErrorStaleObject", "A stale object was used.")
            self._send(store, item)
            if request.get("SaveItemToFolder") in ("true", "1"):
                saved = _child(request, "SavedItemFolderId")
                target = self.folder(saved[0])[1] if saved is not None else store.by_name("sentitems")
                copy = store.move(item.id, target)
                copy.is_read, copy.is_draft = True, False
            else:
                store.remove(item.id)
            return []

        return [lambda r=reference: one(r) for reference in request[0]]

    def get_attachment(self, request: Any) -> list[Callable[[], list[Any]]]:
        """GetAttachment."""

        def one(reference: Any) -> list[Any]:
            try:
                item_id, _, number = base64.b64decode(reference.get("Id")).decode().partition("#")
                _store, folder, item = self.item(item_id)
                name, kind, cid, inline, content = self.shown(folder, item).files()[int(number)]
            except (ValueError, IndexError):
                raise Fault("ErrorInvalidAttachmentId")
            found = el(
                "t:FileAttachment",
                el("t:AttachmentId", Id=reference.get("Id")),
                el("t:Name", name),
                el("t:ContentType", kind),
                el("t:ContentId", cid) if cid else None,
                el("t:IsInline", "true" if inline else "false"),
                el("t:Content", base64.b64encode(content).decode()),
            )
            return [el("m:Attachments", found)]

        return [lambda r=reference: one(r) for reference in _child(request, "AttachmentIds")]

    def create_attachment(self, request: Any) -> list[Callable[[], list[Any]]]:
        """CreateAttachment."""

        def one(given: Any) -> list[Any]:
            store, folder, item = self.item(request[0].get("Id"))
            content = base64.b64decode(given.findtext(f"{TQ}Content") or "")
            item.attachments.append(
                (
                    given.findtext(f"{TQ}Name") or "",
                    given.findtext(f"{TQ}ContentType") or "application/octet-stream",
                    content,
                )
            )
            store.touch(item)
            number = len(self.shown(folder, item).files()) - 1
            ids = el(
                "t:AttachmentId",
                Id=self.shown(folder, item).attachment_id(number),
                RootItemId=item.id,
                RootItemChangeKey=item.change_key,
            )
            return [el("m:Attachments", el("t:FileAttachment", ids))]

        return [lambda g=given: one(g) for given in request[1]]

    # notifications

    def subscribe(self, request: Any) -> list[Callable[[], list[Any]]]:
        """Subscribe, pull or streaming."""

        def one() -> list[Any]:
            wish = request[0]
            is_pull = wish.tag.endswith("PullSubscriptionRequest")
            if not is_pull and not self.server.streams:
                raise Fault("ErrorInvalidSubscriptionRequest", "Streaming is not available.")
            ids = _child(wish, "FolderIds", T)
            if ids is None:
                store, folders = self.store(), None
            else:
                found = [self.folder(reference) for reference in ids]
                store, folders = found[0][0], {folder.id for _store, folder in found}
            key = self.server.new_subscription(store, folders)
            watermark = el("m:Watermark", self.server.watermark(key)) if is_pull else None
            return [one for one in (el("m:SubscriptionId", key), watermark) if one is not None]

        return [one]

    def unsubscribe(self, request: Any) -> list[Callable[[], list[Any]]]:
        """Unsubscribe."""

        def one() -> list[Any]:
            if self.server.subscriptions.pop(request[0].text, None) is None:
                raise Fault("ErrorSubscriptionNotFound")
            return []

        return [one]

    def get_events(self, request: Any) -> list[Callable[[], list[Any]]]:
        """GetEvents of a pull subscription."""

        def one() -> list[Any]:
            if request[0].text not in self.server.subscriptions:
                raise Fault("ErrorSubscriptionNotFound")
            return [self.server.notification(request[0].text)]

        return [one]

    def convert_id(self, request: Any) -> list[Callable[[], list[Any]]]:
        """ConvertId: only what a client asks to learn the server's version."""

        def one() -> list[Any]:
            raise Fault("ErrorInvalidIdMalformed")

        return [one for _ in request[0]]

    def resolve_names(self, request: Any) -> list[Callable[[], list[Any]]]:
        """ResolveNames among the mailboxes of the server."""

        def one() -> list[Any]:
            text = _text(request, "UnresolvedEntry").lower()
            found = [address for address in self.server.stores if text in address]
            if not found:
                raise Fault("ErrorNameResolutionNoResults")
            rows = [
                el("t:Resolution", el("t:Mailbox", el("t:Name", a), el("t:EmailAddress", a), el("t:RoutingType", "SMTP"),
                                      el("t:MailboxType", "Mailbox")))
                for a in found
            ]  # fmt: skip
            attributes = {"TotalItemsInView": str(len(rows)), "IncludesLastItemInRange": "true"}
            return [el("m:ResolutionSet", *rows, **attributes)]

        return [one]


def _looks_like_id(text: str | None) -> bool:
    try:
        return len(base64.b64decode(text or "", validate=True)) > 60
    except ValueError:
        return False


def _child(element: Any, name: str, namespace: str = "") -> Any:
    space = namespace or element.tag.partition("}")[0][1:]
    return element.find(f"{{{space}}}{name}")


def _text(element: Any, name: str) -> str:
    found = _child(element, name)
    return (found.text or "") if found is not None else ""


def _shape(shape: Any) -> tuple[list[str], list[Any], str]:
    """Property names, MAPI properties and the body's type that an ItemShape asks for."""
    base = shape.findtext(f"{TQ}BaseShape")
    names = list({"IdOnly": [], "Default": DEFAULTS, "AllProperties": ALL}[base])
    tags = []
    if shape.findtext(f"{TQ}IncludeMimeContent") in ("true", "1"):
        names.append("MimeContent")
    more = shape.find(f"{TQ}AdditionalProperties")
    for uri in more if more is not None else []:
        if uri.tag == f"{TQ}FieldURI":
            names.append(uri.get("FieldURI").partition(":")[2])
        elif uri.tag == f"{TQ}ExtendedFieldURI" and uri.get("PropertyTag"):
            tags.append(uri)
    return names, tags, shape.findtext(f"{TQ}BodyType") or "Best"


def _page(request: Any, view: str, found: list[Any]) -> tuple[list[Any], dict[str, str]]:
    wish = _child(request, view)
    offset = int(wish.get("Offset")) if wish is not None else 0
    most = int(wish.get("MaxEntriesReturned") or 1000) if wish is not None else 1000
    most = min(most, 1000)  # the default throttling policy
    page = found[offset : offset + most]
    is_last = offset + most >= len(found)
    return page, {
        "IndexedPagingOffset": str(offset + len(page)),
        "TotalItemsInView": str(len(found)),
        "IncludesLastItemInRange": "true" if is_last else "false",
    }


def _compared(shown: Shown, uri: Any) -> str | None:
    """A property as a text that sorts like its values."""
    item = shown.item
    if uri.tag == f"{TQ}ExtendedFieldURI":
        return item.values.get(int(uri.get("PropertyTag"), 16))
    name = uri.get("FieldURI").partition(":")[2]
    if name in ("DateTimeReceived", "DateTimeCreated"):
        moment = item.received_at if name == "DateTimeReceived" else item.created_at
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else None
    found = shown._value(name, "Text", False)
    return None if found is None else "".join(found.itertext())


def _matches(shown: Shown, test: Any) -> bool:
    kind = etree.QName(test).localname
    if kind in ("And", "Or"):
        results = [_matches(shown, one) for one in test]
        return all(results) if kind == "And" else any(results)
    if kind == "Not":
        return not _matches(shown, test[0])
    value = _compared(shown, test[0])
    if kind == "Exists":
        return value is not None
    if value is None:
        return False
    if kind == "Contains":
        wanted = test[1].get("Value")
        if test.get("ContainmentComparison", "").startswith("IgnoreCase"):
            value, wanted = value.lower(), wanted.lower()
        mode = test.get("ContainmentMode")
        return value == wanted if mode == "FullString" else wanted in value
    wanted = test[1][0].get("Value") or ""
    if test[0].get("FieldURI", "").partition(":")[2].startswith("DateTime"):
        try:
            wanted = (
                datetime.fromisoformat(wanted.replace("Z", "+00:00")).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
            )
        except ValueError:
            raise Fault("ErrorInvalidValueForProperty")
    return {
        "IsEqualTo": value == wanted,
        "IsNotEqualTo": value != wanted,
        "IsGreaterThan": value > wanted,
        "IsGreaterThanOrEqualTo": value >= wanted,
        "IsLessThan": value < wanted,
        "IsLessThanOrEqualTo": value <= wanted,
    }[kind]


_count = itertools.count(1)


def _written(given: Any) -> bytes:
    """MIME of an item given by its properties."""
    lines = [f"Message-ID: <made-{next(_count)}@exchange.test>"]
    for name, header in (("ToRecipients", "To"), ("CcRecipients", "Cc")):
        found = [one.text or "" for one in given.iterfind(f"{TQ}{name}/{TQ}Mailbox/{TQ}EmailAddress")]
        if found:
            lines.append(f"{header}: {', '.join(found)}")
    lines.append(f"Subject: {given.findtext(f'{TQ}Subject') or ''}")
    body = given.find(f"{TQ}Body")
    kind = "html" if body is not None and body.get("BodyType") == "HTML" else "plain"
    lines += ["MIME-Version: 1.0", f"Content-Type: text/{kind}; charset=utf-8", ""]
    return "\r\n".join(lines).encode() + b"\r\n" + ((body.text or "") if body is not None else "").encode() + b"\r\n"
