"""FindItem: one page of a folder, restricted and sorted by the server."""

from __future__ import annotations

from dataclasses import dataclass

from drivers import errors
from drivers.ews import folders
from drivers.ews.items import id_of, item_shape, listed
from drivers.ews.session import Session
from drivers.ews.wire import Element, children, element
from drivers.ews.wire import field as uri_of

FIND_MOST = 500  # items of one FindItem


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: `shown` properties instead of those of a copy."""

    test: Element | None = None
    offset: int = 0
    size: int = FIND_MOST
    newest_first: bool = False
    shown: tuple[str, ...] = ()


def compare(how: str, uri: str, value: str) -> Element:
    """A test of a restriction."""
    return element(f"t:{how}", uri_of(uri), element("t:FieldURIOrConstant", element("t:Constant", Value=value)))


def find_items(session: Session, folder_id: str, wish: Wish) -> tuple[list[Element], int | None, bool]:
    """(items, how many match in all, is it the last page). Raises FolderGone, drivers.errors."""
    order = None
    if wish.newest_first:
        order = element("m:SortOrder", element("t:FieldOrder", uri_of("item:DateTimeReceived"), Order="Descending"))
    payload = element(
        "m:FindItem",
        item_shape(*(listed() if not wish.shown else [uri_of(one) for one in wish.shown])),
        element(
            "m:IndexedPageItemView", MaxEntriesReturned=str(wish.size), Offset=str(wish.offset), BasePoint="Beginning"
        ),
        element("m:Restriction", wish.test) if wish.test is not None else None,
        order,
        element("m:ParentFolderIds", folders.by_id(folder_id)),
        Traversal="Shallow",
    )
    try:
        root = session.one("FindItem", payload).find("{*}RootFolder")
    except errors.MessageGone as error:
        raise errors.FolderGone("The folder does not exist.", server_said=error.server_said) from error
    if root is None:
        return [], None, True
    items = [item for item in children(root.find("{*}Items")) if id_of(item)]
    said = root.get("TotalItemsInView") or ""
    total = int(said) if said.isascii() and said.isdigit() else None
    last = root.get("IncludesLastItemInRange")
    if last is None:  # it does not say
        is_last = len(items) < wish.size if total is None else wish.offset + len(items) >= total
    else:
        is_last = last.lower() in ("true", "1")
    return items, total, is_last or not items
