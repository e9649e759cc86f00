"""EWS elements, written and read. Pure; the order of children is the caller's, by the schema (messages.xsd, types.xsd).

Invariant: what a server answers is read leniently (times with any number of decimals, values that are missing) and never
raises but `ValueError`; what we write holds no character that XML forbids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from exchangelib.util import MNS, TNS
from lxml import etree

Element = Any  # lxml's elements carry no types
Child = Any  # an element or a text

_NAMESPACES = {"m": MNS, "t": TNS}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE | re.ASCII
)


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """An element ("m:GetItem", "t:ItemId") with texts and elements in it; None among the children is left out."""
    prefix, _, name = tag.partition(":")
    made = etree.Element(f"{{{_NAMESPACES[prefix]}}}{name}", nsmap=_NAMESPACES)
    for key, value in attributes.items():
        made.set(key, clean(value))
    for child in children:
        if isinstance(child, str):
            made.text = clean(child)
        elif child is not None:
            made.append(child)
    return made


def clean(text: str) -> str:
    """The text without characters that XML forbids."""
    return _ILLEGAL.sub("", text)


def field(uri: str) -> Element:
    """A property by its URI ("item:Subject")."""
    return element("t:FieldURI", FieldURI=uri)


def tagged(tag: int, kind: str) -> Element:
    """A MAPI property by its tag."""
    return element("t:ExtendedFieldURI", PropertyTag=f"0x{tag:04X}", PropertyType=kind)


def named(found: Element, path: str) -> Element | None:
    """The first element at a path of local names in the types' namespace ("Flag/FlagStatus")."""
    for name in path.split("/"):
        found = found.find(f"{{{TNS}}}{name}")
        if found is None:
            return None
    return found


def text_at(found: Element, path: str) -> str:
    """The text there, "" where there is none."""
    there = named(found, path)
    return (there.text or "").strip() if there is not None else ""


def number_at(found: Element, path: str) -> int | None:
    """The number there, None where there is none."""
    try:
        return int(text_at(found, path))
    except ValueError:
        return None


def true_at(found: Element, path: str) -> bool:
    """Whether it says true (XML Schema: true or 1)."""
    return text_at(found, path).lower() in ("true", "1")


def time_at(found: Element, path: str) -> datetime | None:
    """The moment there in UTC, None where there is none."""
    return read_time(text_at(found, path))


def read_time(text: str) -> datetime | None:
    """A moment with any number of decimals, in UTC ("Z" where no zone is said); None for what is none."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[place]) for place in range(1, 7))
    micro = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), micro, tzinfo=UTC)
        zone = match[8]
        if zone and zone.upper() != "Z":
            away = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment = moment - away if zone[0] == "+" else moment + away
    except (ValueError, OverflowError):
        return None
    return moment if 1970 < moment.year < 9000 else None


def write_time(moment: datetime) -> str:
    """A moment in whole seconds, as a restriction takes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def extended(found: Element) -> dict[int, str]:
    """MAPI properties of an item by tag; those with many values are left out."""
    values: dict[int, str] = {}
    for one in found.iterfind(f"{{{TNS}}}ExtendedProperty"):
        uri, value = named(one, "ExtendedFieldURI"), named(one, "Value")
        tag = (uri.get("PropertyTag") or "") if uri is not None else ""
        try:
            number = int(tag, 16) if tag.lower().startswith("0x") else int(tag)
        except ValueError:
            continue
        if value is not None:
            values[number] = (value.text or "").strip("\x00")
    return values


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A person in an item."""

    name: str
    address: str


def mailboxes(found: Element, path: str) -> list[Mailbox]:
    """The people there (`From`, `ToRecipients`): SMTP addresses only, others by their name."""
    there = named(found, path)
    if there is None:
        return []
    people = []
    for one in there.iterfind(f"{{{TNS}}}Mailbox"):
        address = text_at(one, "EmailAddress")
        routing = text_at(one, "RoutingType") or "SMTP"
        is_smtp = routing.upper() == "SMTP" and "@" in address
        people.append(Mailbox(text_at(one, "Name"), address if is_smtp else ""))
    return people


def children(found: Element | None) -> Iterator[Element]:
    """Its elements, comments left out."""
    return iter(()) if found is None else found.iterchildren("*")


def local_name(found: Element) -> str:
    """Its name without the namespace."""
    return str(etree.QName(found).localname)
