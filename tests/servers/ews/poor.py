"""What lesser servers of EWS leave out or get wrong: each function makes an `EwsServer` poorer in one thing."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable
from typing import Any

from lxml import etree

from tests.servers.ews.server import EwsServer, Trouble
from tests.servers.ews.tables import T

Request = Any


def name_of(element: Any) -> str:
    """Its local name."""
    return str(etree.QName(element).localname)


def without(server: EwsServer, *names: str, of: str = "") -> None:
    """These elements never stand in an answer (of one operation)."""

    def alter(operation: str, answer: Any) -> None:
        for one in list(answer.iter("*")) if of in ("", operation) else ():
            if name_of(one) in names and one.getparent() is not None:
                one.getparent().remove(one)

    server.alters.append(alter)


def without_attributes(server: EwsServer, *names: str) -> None:
    """These attributes never stand in an answer."""

    def alter(_operation: str, answer: Any) -> None:
        for one in answer.iter("*"):
            for name in names:
                one.attrib.pop(name, None)

    server.alters.append(alter)


def knows_no_change_keys(server: EwsServer) -> None:
    """It gives none and wants none."""
    server.wants_change_keys = False
    without_attributes(server, "ChangeKey")


def says(server: EwsServer, name: str, text: str) -> None:
    """An element of this name always holds this text."""

    def alter(_operation: str, answer: Any) -> None:
        for one in answer.iter("*"):
            if name_of(one) == name:
                one.text = text

    server.alters.append(alter)


def knows_not(server: EwsServer, *operations: str, status: int = 0, code: str = "") -> None:
    """Requests of these operations end in a fault (`code`), in an HTTP status, or in a fault without a code."""
    server.refuses.append(lambda operation, _r: trouble(status, code) if operation in operations else None)


def trouble(status: int, code: str) -> Trouble:
    """A refusal."""
    return Trouble(status=status) if status else Trouble(code=code or "Oops")


def knows_no_named_property(server: EwsServer, *, code: str = "", but: tuple[str, ...] = ()) -> None:
    """A question that names one of its properties (but these) is refused as a whole."""

    def refuse(_operation: str, request: Request) -> Trouble | None:
        for one in request.iter(f"{{{T}}}FieldURI", f"{{{T}}}ExtendedFieldURI"):
            if name_of(one.getparent()) == "AdditionalProperties" and one.get("FieldURI") not in but:
                return trouble(0, code)
        return None

    server.refuses.append(refuse)


def stumbles_over(server: EwsServer, key: str, *, status: int = 500, wants_mime: bool = True) -> None:
    """A question for this item's source (for anything of it) breaks the server: an HTTP status, 0 for a dead line."""

    def refuse(operation: str, request: Request) -> Trouble | None:
        asks = any(one.get("Id") == key for one in request.iter(f"{{{T}}}ItemId"))
        mime = request.findtext(f".//{{{T}}}IncludeMimeContent") == "true"
        if operation != "GetItem" or not asks or (wants_mime and not mime):
            return None
        return Trouble(status=status) if status else Trouble(drops="before")

    server.refuses.append(refuse)


def gives_raw_mime(server: EwsServer) -> None:
    """MimeContent is the source itself, its character set is odd."""

    def alter(_operation: str, answer: Any) -> None:
        for one in answer.iter(f"{{{T}}}MimeContent"):
            one.text = base64.b64decode(one.text or "").decode("latin-1")
            one.set("CharacterSet", "x-unknown")

    server.alters.append(alter)


def gives_other_mime_each_time(server: EwsServer) -> None:
    """Each fetch has another header line first."""
    numbers = itertools.count(1)

    def alter(_operation: str, answer: Any) -> None:
        for one in answer.iter(f"{{{T}}}MimeContent"):
            raw = b"X-Served: %d\r\n" % next(numbers) + base64.b64decode(one.text or "")
            one.text = base64.b64encode(raw).decode()

    server.alters.append(alter)


def turns_round(server: EwsServer) -> None:
    """The properties of an item come in any order, with elements of nobody between them."""

    def alter(_operation: str, answer: Any) -> None:
        for item in list(answer.iter(f"{{{T}}}Message")):
            rest = list(item)
            for one in rest:
                item.remove(one)
            item.extend(reversed(rest))
            etree.SubElement(item, f"{{{T}}}NextPredictedAction").text = "Unknown"
            item.append(etree.Comment("nobody's"))

    server.alters.append(alter)


def poor(server: EwsServer) -> None:
    """All that a client can do without, at once: the properties of the window, versions, ChangeKeys, totals, streams."""
    server.regenerates, server.decimals, server.tells_version, server.zips = True, 9, False, True
    knows_no_named_property(server)
    without(server, "DateTimeCreated", "IncludesLastFolderInRange", "DescriptiveLinkKey", "TextBody")
    knows_no_change_keys(server)
    without_attributes(server, "IncludesLastItemInRange", "IndexedPagingOffset")
    knows_not(server, "Subscribe", "SyncFolderHierarchy", status=500)
    turns_round(server)
    gives_other_mime_each_time(server)


VARIATIONS: dict[str, Callable[[EwsServer], None]] = {
    "no version": lambda server: setattr(server, "tells_version", False),
    "gzip and chunks": lambda server: setattr(server, "zips", True),
    "no ChangeKey": lambda server: knows_no_change_keys(server),
    "no counts": lambda server: without_attributes(
        server, "IncludesLastItemInRange", "TotalItemsInView", "IndexedPagingOffset"
    ),
    "always the last": lambda server: says(server, "IncludesLastItemInRange", "true"),
    "never the last": lambda server: says(server, "IncludesLastItemInRange", "false"),
    "says nothing of the last": lambda server: without(server, "IncludesLastItemInRange", "IncludesLastFolderInRange"),
    "no times": lambda server: without(server, "DateTimeReceived", "DateTimeCreated", "DateTimeSent"),
    "no ids of messages": lambda server: without(server, "InternetMessageId"),
    "no sizes": lambda server: without(server, "Size"),
    "no hierarchy": lambda server: knows_not(server, "SyncFolderHierarchy", status=500),
    "no FindItem": lambda server: knows_not(server, "FindItem", status=500),
    "FindItem is refused": lambda server: knows_not(server, "FindItem", code="ErrorNotSupported"),
    "no named properties": lambda server: knows_no_named_property(server, code="ErrorInvalidPropertyRequest"),
    "an old schema": lambda server: knows_no_named_property(
        server, code="ErrorSchemaValidation", but=("item:ItemClass", "item:DateTimeReceived", "item:Size")
    ),
    "any order": turns_round,
    "raw MIME": gives_raw_mime,
    "other MIME each time": gives_other_mime_each_time,
    "all of it": poor,
}
