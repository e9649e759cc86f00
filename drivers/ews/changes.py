"""What happened in a folder: first its window, newest first (FindItem), then everything by SyncFolderItems.

The cursor: {"since", "spans": [[low, high, skip], …] still to be told, newest first, "top": the newest second told so far,
"told": digests of what the window told (a few thousand, else null), "walk": is the walk from the beginning under way,
"state": the opaque SyncState}.

Invariants: nothing rests on the window alone: the walk from the beginning tells what the window missed (a mail moved in
with an old date, two pages between which a mail was deleted). Above `TOLD_MOST` it may tell again what was told. Times
are compared in whole seconds, because servers show fewer decimals than they keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from drivers import errors
from drivers.ews import folders
from drivers.ews.finding import FIND_MOST, Wish, compare, find_items
from drivers.ews.items import copy_of, id_of, item_shape, listed
from drivers.ews.reading import get_items
from drivers.ews.session import Session
from drivers.ews.wire import Element, children, element, local_name, time_at, true_at, write_time
from drivers.types import Cursor, FolderChanges, RemoteCopy

SYNC_MOST = 512  # changes of one SyncFolderItems, by its documentation
WALK_MOST = 16  # SyncFolderItems in one call: about 8,000 items
SKIP_MOST = 20_000  # items of one second
EMPTY_MOST = 3  # answers without a change in a row, after which nothing more is believed to come
TOLD_MOST = 4000
SECOND = timedelta(seconds=1)
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _Look:
    """One look at a folder, which fills `added` up to `limit`."""

    session: Session
    folder_id: str
    since: date | None
    limit: int
    spans: list[list[Any]]
    top: int | None
    told: set[str] | None
    walk: bool
    state: str
    added: list[RemoteCopy] = field(default_factory=list)
    flags: dict[str, RemoteCopy] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    total: int | None = None
    has_more: bool = False

    @property
    def room(self) -> int:
        return self.limit - len(self.added)

    def cursor(self) -> Cursor:
        return {
            "since": str(self.since),
            "spans": self.spans,
            "top": self.top,
            "told": None if self.told is None else "".join(sorted(self.told)),
            "walk": self.walk,
            "state": self.state,
        }


def fetch_changes(
    session: Session, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int
) -> FolderChanges:
    """See MailboxDriver. Raises CursorInvalid, FolderGone, drivers.errors."""
    look = _begin(session, folder_id, cursor, since, max(1, limit))
    if look.spans:
        _window(look)
    if not look.spans and look.room > 0:
        _walk(look)
    look.has_more = look.has_more or bool(look.spans) or look.walk
    if (look.added or look.removed) and look.total is None:
        look.total = count(session, folder_id, since)
    is_same = not (look.added or look.flags or look.removed or look.has_more)
    kept = cursor if is_same and cursor is not None and not cursor.get("walk") and not cursor.get("spans") else None
    return FolderChanges(
        epoch=folders.EPOCH,
        added=tuple(look.added),
        flags=tuple(look.flags.values()),
        removed=tuple(look.removed),
        cursor=kept if kept is not None else look.cursor(),
        has_more=look.has_more,
        total=look.total,
    )


def _begin(session: Session, folder_id: str, cursor: Cursor | None, since: date | None, limit: int) -> _Look:
    if cursor is not None and cursor.get("since") == str(since):
        try:
            told = cursor["told"]
            digests = None if told is None else {told[place : place + 11] for place in range(0, len(told), 11)}
            spans = [list(span) for span in cursor["spans"]]
            return _Look(
                session, folder_id, since, limit, spans, cursor["top"], digests, cursor["walk"], str(cursor["state"])
            )
        except (KeyError, TypeError) as error:
            raise errors.CursorInvalid("The bookmark cannot be read.") from error
    low = _seconds(datetime(since.year, since.month, since.day, tzinfo=UTC)) if since else None
    return _Look(session, folder_id, since, limit, [[low, None, 0]], None, set(), True, "")


# the window


def _window(look: _Look) -> None:
    """Newest first: what came since the last page, then what is left of each span."""
    if look.top is not None:  # its own second again while we know what was told, else the walk tells what came in it
        look.spans.insert(0, [look.top + (look.told is None), None, 0])
    try:
        while look.spans and look.room > 0:
            if not _page(look, look.spans[0]):
                look.spans.pop(0)
    except errors.ProtocolError:  # a server that cannot find so: the walk tells everything, in whatever order
        look.spans.clear()


def _page(look: _Look, span: list[Any]) -> bool:
    """One page of a span into `added`; False when the span is used up."""
    low, high, skip = span
    size = min(FIND_MOST, look.room + (64 if look.told else 0))
    wish = Wish(_between(low, high), skip, size, newest_first=True)
    items, total, is_last = find_items(look.session, look.folder_id, wish)
    if look.total is None and high is None and look.top is None:
        look.total = total
    before = len(look.added)
    seconds: list[int | None] = []
    for item in items:
        if look.room <= 0:
            is_last = False
            break
        _tell(look, copy_of(item))
        moment = time_at(item, "DateTimeReceived")  # what the server sorts by
        second = _seconds(moment) if moment is not None else None
        if second is not None and not ((low or 0) <= second <= (high if high is not None else second)):
            raise errors.ProtocolError("The server finds what was not asked for.")
        seconds.append(second)
    if is_last or not seconds or (total is not None and skip >= total):  # the last: a server that ignores the offset
        return False
    if skip and (len(look.added) == before or skip > SKIP_MOST):  # nothing new: it ignores it, and counts nothing
        return False
    told = [second for second in seconds if second is not None]
    look.top = max([*told, *([] if look.top is None else [look.top])], default=None)
    last = seconds[-1]
    if last is None or (high is not None and last >= high):
        span[2] = skip + len(seconds)
    else:
        span[1], span[2] = last, told.count(last)
    return True


def _tell(look: _Look, copy: RemoteCopy) -> None:
    digest = _digest(copy.key)
    if not copy.key or not _is_in(copy, look.since) or (look.told is not None and digest in look.told):
        return
    look.added.append(copy)
    if look.told is not None:
        look.told.add(digest)
        if len(look.told) > TOLD_MOST:
            look.told = None


def _between(low: int | None, high: int | None) -> Element | None:
    """Received from the second `low` through the second `high`."""
    tests = []
    if low is not None:
        tests.append(compare("IsGreaterThanOrEqualTo", "item:DateTimeReceived", write_time(_moment(low))))
    if high is not None:
        tests.append(compare("IsLessThan", "item:DateTimeReceived", write_time(_moment(high) + SECOND)))
    if len(tests) > 1:
        return element("t:And", *tests)
    return tests[0] if tests else None


def count(session: Session, folder_id: str, since: date | None) -> int | None:
    """How many items are in scope."""
    if since is None:
        return folders.check(session, folder_id)
    low = _seconds(datetime(since.year, since.month, since.day, tzinfo=UTC))
    try:
        return find_items(session, folder_id, Wish(_between(low, None), size=1))[1]
    except errors.ProtocolError:
        return None


# the walk


def _walk(look: _Look) -> None:
    """SyncFolderItems from the state on: to the end, until there is no room, or for a bounded number of calls."""
    for _turn in range(WALK_MOST):
        if look.room <= 0:
            break
        changes, state, is_last = _sync(look)
        _take(look, changes)
        if look.room < 0 and look.told is not None:  # more than asked for: this answer is asked for again
            for copy in look.added[look.limit :]:
                look.told.discard(_digest(copy.key))
            del look.added[look.limit :]
            break
        if is_last or state == look.state or not changes:
            look.state, look.has_more = state, False
            if look.walk:
                look.walk, look.told = False, None
            return
        look.state = state
    look.has_more = True


def _sync(look: _Look) -> tuple[list[Element], str, bool]:
    most = min(SYNC_MOST, max(look.room, 1)) if look.told is None else SYNC_MOST
    payload = element(
        "m:SyncFolderItems",
        item_shape(*listed()),
        element("m:SyncFolderId", folders.by_id(look.folder_id)),
        element("m:SyncState", look.state) if look.state else None,
        element("m:MaxChangesReturned", str(most)),
    )
    try:
        answer = look.session.one("SyncFolderItems", payload)
    except errors.CursorInvalid as error:
        if error.server_said.startswith("ErrorSyncFolderNotFound"):
            raise errors.FolderGone("The folder does not exist.", server_said=error.server_said) from error
        raise
    except errors.MessageGone as error:
        raise errors.FolderGone("The folder does not exist.", server_said=error.server_said) from error
    state = answer.findtext("{*}SyncState") or ""
    if not state:
        raise errors.ProtocolError("The server gives no bookmark.")
    is_last = (answer.findtext("{*}IncludesLastItemInRange") or "true").strip().lower() in ("true", "1")
    return list(children(answer.find("{*}Changes"))), state, is_last


def _take(look: _Look, changes: list[Element]) -> None:
    """Created, changed, read and deleted items of one answer."""
    created: dict[str, Element] = {}
    for change in changes:
        kind = local_name(change)
        if kind == "Delete":
            key = id_of(change)
            created.pop(key, None)
            look.flags.pop(key, None)
            look.removed.append(key)
        elif kind == "ReadFlagChange":
            _read_flag(look, id_of(change), true_at(change, "IsRead"))
        else:
            for item in children(change):
                created[id_of(item)] = item
                if kind == "Update" and not look.walk:
                    look.flags[id_of(item)] = copy_of(item)
    for copy in sorted(_whole(look, created), key=_age, reverse=True):
        if _is_in(copy, look.since):
            _tell_created(look, copy)
    _settle_read(look)


def _age(copy: RemoteCopy) -> tuple[datetime, str]:
    return copy.received_at or EPOCH_START, copy.key


def _whole(look: _Look, created: dict[str, Element]) -> Iterator[RemoteCopy]:
    """Copies of new items; a server that tells less in this answer than it was asked for is asked again."""
    bare = [key for key, item in created.items() if key and copy_of(item).received_at is None]
    more = {id_of(item): item for item in get_items(look.session, bare)} if bare else {}
    for key, item in created.items():
        if key and key not in look.flags:
            yield copy_of(more.get(key, item))


def _tell_created(look: _Look, copy: RemoteCopy) -> None:
    if look.told is not None:
        if _digest(copy.key) in look.told:
            return
        look.told.add(_digest(copy.key))
    look.added.append(copy)


def _read_flag(look: _Look, key: str, is_read: bool) -> None:
    """Only the one flag is told: the others are read below."""
    if key:
        look.flags[key] = RemoteCopy(key, flags=frozenset({"\\seen"} if is_read else ()), modseq=-1)


def _settle_read(look: _Look) -> None:
    """What was only said to be read keeps its other flags: they are asked for."""
    half = [key for key, copy in look.flags.items() if copy.modseq == -1]
    for item in get_items(look.session, half) if half else ():
        look.flags[id_of(item)] = copy_of(item)
    for key in half:
        if look.flags[key].modseq == -1:
            del look.flags[key]


def list_ids(session: Session, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
    """Every item in scope, oldest first, by a walk of its own. Raises FolderGone, drivers.errors.

    What is missing here is taken for gone, so nothing that the server says of the end is believed: it is asked until it
    has nothing more to tell, and where the folder counts more than was told, FindItem is asked as well.
    """
    look = _Look(session, folder_id, None, SYNC_MOST, [], None, None, True, "")
    found: dict[str, RemoteCopy] = {}
    empty = 0
    while empty < EMPTY_MOST:
        look.added, look.removed, look.flags = [], [], {}
        changes, state, is_last = _sync(look)
        _take(look, changes)
        found.update((copy.key, copy) for copy in [*look.added, *look.flags.values()])
        for key in look.removed:
            found.pop(key, None)
        empty = 0 if changes else empty + 1
        if state == look.state or (is_last and not changes):
            break
        look.state = state
    total = folders.check(session, folder_id)
    if total is not None and len(found) < total:
        found |= {copy.key: copy for copy in _found(session, folder_id, total) if copy.key not in found}
    return iter(sorted((copy for copy in found.values() if _is_in(copy, since)), key=_age))


def _found(session: Session, folder_id: str, total: int) -> Iterator[RemoteCopy]:
    """What FindItem lists, page by page; nothing where the server cannot."""
    offset, is_last = 0, False
    try:
        while not is_last and offset <= total:
            items, _total, is_last = find_items(session, folder_id, Wish(offset=offset))
            yield from map(copy_of, items)
            offset += len(items)
    except errors.ProtocolError:
        return


def _is_in(copy: RemoteCopy, since: date | None) -> bool:
    return since is None or copy.received_at is None or copy.received_at.date() >= since


def _digest(key: str) -> str:
    """Eleven characters that stand for a key."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()[:11]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def _moment(seconds: int) -> datetime:
    return EPOCH_START + timedelta(seconds=seconds)
