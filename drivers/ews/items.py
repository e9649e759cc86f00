"""Items of a folder as copies: the properties that are asked for, and what they mean. Pure.

Invariant: an item without a received time or size still is a copy; an item that is no mail (a meeting request, a report, a
contact) is said to be none, and never fetched.
"""

from __future__ import annotations

from datetime import datetime

from drivers.ews.wire import Element, element, extended, field, local_name, number_at, tagged, text_at, time_at, true_at
from drivers.types import RemoteCopy

FLAG_STATUS = 0x1090  # PidTagFlagStatus: 2 is flagged
LAST_VERB = 0x1081  # PidTagLastVerbExecuted
MESSAGE_FLAGS = 0x0E07  # PidTagMessageFlags: 1 read, 8 unsent
TRANSPORT_HEADERS = 0x007D
REPLIED, REPLIED_ALL, FORWARDED = "102", "103", "104"

OTHER_KINDS = {
    "CalendarItem", "Contact", "DistributionList", "Task", "MeetingMessage", "MeetingRequest", "MeetingResponse",
    "MeetingCancellation",
}  # fmt: skip
LISTED = ("item:ItemClass", "item:DateTimeReceived", "item:Size", "item:DateTimeCreated", "message:IsRead")
TAGGED = ((FLAG_STATUS, "Integer"), (LAST_VERB, "Integer"))


def listed() -> list[Element]:
    """The properties of a copy."""
    return [*(field(uri) for uri in (*LISTED, "item:IsDraft")), *(tagged(tag, kind) for tag, kind in TAGGED)]


def item_shape(*more: Element, mime: bool = False, body: str = "") -> Element:
    """An ItemShape: ids, these properties, the source or the body ("Best", "HTML", "Text")."""
    return element(
        "m:ItemShape",
        element("t:BaseShape", "IdOnly"),
        element("t:IncludeMimeContent", "true") if mime else None,
        element("t:BodyType", body) if body else None,
        element("t:AdditionalProperties", *more) if more else None,
    )


def is_mail(item_class: str) -> bool:
    """IPM.Note and what is derived from it (signed, encrypted); an item that tells no class counts as mail."""
    folded = item_class.lower()
    return not folded or folded in ("ipm.note", "ipm") or folded.startswith(("ipm.note.", "ipm.post"))


def is_report(item_class: str) -> bool:
    """What Exchange makes of a delivery failure that comes back; receipts are no mail at all."""
    folded = item_class.lower()
    return folded.startswith("report.ipm.note") and folded.endswith(".ndr")


def id_of(found: Element) -> str:
    """The ItemId, "" where there is none."""
    for child in found.iterchildren("{*}ItemId"):
        return child.get("Id") or ""
    return ""


def change_key_of(found: Element) -> str:
    """The ChangeKey of its ItemId."""
    for child in found.iterchildren("{*}ItemId"):
        return child.get("ChangeKey") or ""
    return ""


def received_at(found: Element) -> datetime | None:
    """When it came; a draft that was never sent has the time it was made."""
    return time_at(found, "DateTimeReceived") or time_at(found, "DateTimeCreated")


def flags_of(found: Element) -> frozenset[str]:
    """IMAP's keywords for the state of an item."""
    values = extended(found)
    flags = set()
    if true_at(found, "IsRead"):
        flags.add("\\seen")
    if values.get(FLAG_STATUS) == "2" or text_at(found, "Flag/FlagStatus") == "Flagged":
        flags.add("\\flagged")
    if values.get(LAST_VERB) in (REPLIED, REPLIED_ALL):
        flags.add("\\answered")
    if values.get(LAST_VERB) == FORWARDED:
        flags.add("$forwarded")
    if true_at(found, "IsDraft"):
        flags.add("\\draft")
    return frozenset(flags)


def copy_of(found: Element) -> RemoteCopy:
    """The copy that an item is."""
    moment = received_at(found)
    kind = text_at(found, "ItemClass")
    return RemoteCopy(
        key=id_of(found),
        received_at=moment.replace(microsecond=0) if moment is not None else None,
        size=number_at(found, "Size"),
        flags=flags_of(found),
        is_mail=is_mail(kind) and local_name(found) not in OTHER_KINDS,
        is_report=is_report(kind),
    )
