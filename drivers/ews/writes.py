"""Changes on the server: flags, moves, deletes, new items.

Invariant: nothing is written to an item but what was asked; a ChangeKey that went stale is read again once.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from drivers import errors
from drivers.ews import folders
from drivers.ews.faults import STALE, Refused
from drivers.ews.items import (
    FLAG_STATUS,
    FORWARDED,
    LAST_VERB,
    MESSAGE_FLAGS,
    REPLIED,
    change_key_of,
    id_of,
)
from drivers.ews.reading import get_items, is_plausible
from drivers.ews.session import Session
from drivers.ews.tolerance import SHAPE_REFUSED
from drivers.ews.upload import PLACE
from drivers.ews.wire import Element, children, element, field, tagged

BATCH = 100
LARGE = 1024 * 1024  # bytes of a source from which it is sent as it is read
_VERBS = {"\\answered": REPLIED, "$forwarded": FORWARDED}


def set_flags(session: Session, keys: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Flags that Exchange has: read, flagged, answered, forwarded; others are left out. Raises drivers.errors."""
    updates = _updates([flag.lower() for flag in add], [flag.lower() for flag in remove])
    if not updates:
        return
    keys = [key for key in dict.fromkeys(keys) if is_plausible(key)]
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        again = _update(session, [(key, "") for key in batch], updates)
        if again:
            fresh = [(id_of(item), change_key_of(item)) for item in get_items(session, again)]
            _update(session, fresh, updates, is_last=True)


def _update(
    session: Session,
    items: Sequence[tuple[str, str]],
    updates: Sequence[tuple[str, Element, Element | None]],
    *,
    is_last: bool = False,
) -> list[str]:
    """Write; returns the keys whose ChangeKey is wanted. Raises what is neither gone nor stale."""
    if not items:
        return []
    changes = [
        element("t:ItemChange", item_id(key, change_key), element("t:Updates", *map(_written, updates)))
        for key, change_key in items
    ]
    payload = element(
        "m:UpdateItem",
        element("m:ItemChanges", *changes),
        MessageDisposition="SaveOnly",
        ConflictResolution="AlwaysOverwrite",
        SuppressReadReceipts="true",
    )
    again: list[str] = []
    for (key, _change_key), answer in zip(items, session.ask("UpdateItem", payload), strict=False):
        if not isinstance(answer, Refused):
            continue
        if answer.code in STALE and not is_last:
            again.append(key)
        elif not isinstance(answer.as_error(), errors.MessageGone) and answer.code not in STALE:
            raise answer.as_error()
    return again


def _updates(add: Sequence[str], remove: Sequence[str]) -> list[tuple[str, Element, Element | None]]:
    """(kind, property, value) of each change of the item."""
    made: list[tuple[str, Element, Element | None]] = []
    for flags, is_set in ((add, True), (remove, False)):
        if "\\seen" in flags:
            value = element("t:IsRead", "true" if is_set else "false")
            made.append(("SetItemField", field("message:IsRead"), value))
        if "\\flagged" in flags:
            made.append(_tagged(FLAG_STATUS, "2" if is_set else None))
        for flag in flags:
            if flag in _VERBS:
                made.append(_tagged(LAST_VERB, _VERBS[flag] if is_set else None))
    return made


def _tagged(tag: int, value: str | None) -> tuple[str, Element, Element | None]:
    if value is None:
        return "DeleteItemField", tagged(tag, "Integer"), None
    return "SetItemField", tagged(tag, "Integer"), property_of(tag, value)


def property_of(tag: int, value: str) -> Element:
    """A MAPI property with its value."""
    return element("t:ExtendedProperty", tagged(tag, "Integer"), element("t:Value", value))


def _written(update: tuple[str, Element, Element | None]) -> Element:
    kind, uri, value = update
    message = element("t:Message", value.__deepcopy__({})) if value is not None else None
    return element(f"t:{kind}", uri.__deepcopy__({}), message)


def item_id(key: str, change_key: str = "") -> Element:
    """The reference of an item, without a ChangeKey where the server gives none."""
    return element("t:ItemId", Id=key, ChangeKey=change_key) if change_key else element("t:ItemId", Id=key)


def move(session: Session, keys: Sequence[str], target_id: str) -> dict[str, str]:
    """Move items; returns old → new ids. Raises FolderGone, drivers.errors."""
    moved: dict[str, str] = {}
    keys = [key for key in dict.fromkeys(keys) if is_plausible(key)]
    folders.check(session, target_id)
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        payload = element(
            "m:MoveItem",
            element("m:ToFolderId", folders.by_id(target_id)),
            element("m:ItemIds", *map(item_id, batch)),
            element("m:ReturnNewItemIds", "true"),
        )
        for key, answer in zip(batch, session.ask("MoveItem", payload), strict=False):
            if isinstance(answer, Refused):
                error = answer.as_error()
                if isinstance(error, errors.MessageGone):
                    continue
                raise error
            new = next((id_of(item) for item in children(answer.find("{*}Items"))), "")
            if new:
                moved[key] = new
    return moved


def delete(session: Session, keys: Sequence[str]) -> None:
    """Delete for good (the server's own recovery keeps them for a while). Raises drivers.errors."""
    keys = [key for key in dict.fromkeys(keys) if is_plausible(key)]
    for start in range(0, len(keys), BATCH):
        payload = element(
            "m:DeleteItem",
            element("m:ItemIds", *map(item_id, keys[start : start + BATCH])),
            DeleteType="HardDelete",
            SendMeetingCancellations="SendToNone",
            AffectedTaskOccurrences="AllOccurrences",
        )
        for answer in session.ask("DeleteItem", payload):
            if isinstance(answer, Refused) and not isinstance(answer.as_error(), errors.MessageGone):
                raise answer.as_error()


def create(session: Session, folder: Element, raw: bytes, *, flags: Sequence[str] = ()) -> tuple[str, str]:
    """Store a message; (id, ChangeKey). Without \\Draft it is one that was sent or received. Raises drivers.errors."""
    folded = {flag.lower() for flag in flags}
    number = (1 if "\\seen" in folded else 0) | (8 if "\\draft" in folded else 0)
    properties = [property_of(MESSAGE_FLAGS, str(number))]
    if "\\flagged" in folded:
        properties.append(property_of(FLAG_STATUS, "2"))
    try:
        return _create(session, folder, raw, properties)
    except errors.ProtocolError as error:
        if "\\draft" not in folded or error.server_said.partition(":")[0] not in SHAPE_REFUSED:
            raise
    return _create(session, folder, raw, ())  # what is saved is a draft without being told so


def _create(session: Session, folder: Element, raw: bytes, properties: Sequence[Element]) -> tuple[str, str]:
    is_large = len(raw) > LARGE
    message = element(
        "t:Message",
        element("t:MimeContent", PLACE if is_large else base64.b64encode(raw).decode(), CharacterSet="UTF-8"),
        *properties,
    )
    payload = element(
        "m:CreateItem",
        element("m:SavedItemFolderId", folder.__deepcopy__({})),
        element("m:Items", message),
        MessageDisposition="SaveOnly",
    )
    item = next(iter(children(session.one("CreateItem", payload, raw if is_large else None).find("{*}Items"))), None)
    return (id_of(item), change_key_of(item)) if item is not None else ("", "")
