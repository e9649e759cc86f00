"""Reading mail: the only door to messages, threads, parts and counts.

Invariants: every function starts from the email accounts that the user may see (being an administrator opens nothing);
a page of threads costs the same number of queries whatever the mailbox's size, and each mailbox is asked by its own
index (a shared ORDER BY over many mailboxes would read past all the mail of the others).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts.models import EmailAccount
from accounts.shares import visible_accounts
from mail.models import Change, Copy, CopyState, Folder, Message, Part, Thread
from mail.moves import places

PAGE = 50  # rows of a list page
MAX_UNION = 400  # SQLite joins at most 500 selects in one statement
COUNT_CAP = 999  # unread threads are counted up to here per mailbox
LABELS = ("address", "address_key", "state", "failures", "answered_at", "last_sync_at", "last_new_mail_at")
MESSAGES_SHOWN = 300  # newest messages of a thread that are listed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Seen = Sequence[int] | None  # ids of visible_accounts(user) where the caller has just read them, else None
View = Literal["all", "unread", "open", "sent", "drafts"]
VIEWS: tuple[View, ...] = ("all", "unread", "open", "sent", "drafts")
_CONDITIONS: dict[str, dict[str, int]] = {
    "all": {},
    "unread": {"unread_count__gt": 0},
    "open": {"open_count__gt": 0},
    "sent": {"sent_count__gt": 0},
    "drafts": {"draft_count__gt": 0},
}


@dataclass(frozen=True, slots=True)
class ThreadFilter:
    """What a list shows: a view, of one email account or all, of one folder or all."""

    view: View = "all"
    email_account_id: int | None = None
    folder_id: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: below the row with this time and id. Written as "microseconds.id"."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.id}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The cursor written in `text`; None for anything else."""
        at, _, row = text[:60].partition(".")
        try:
            return cls(_EPOCH + timedelta(microseconds=int(at)), int(row)) if int(row) < 2**63 else None
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Rows of a list, newest first, and where the next page begins (None: this was the last)."""

    threads: list[Thread]
    next: Cursor | None
    last: Cursor | None  # of the last row shown


@dataclass(frozen=True, slots=True)
class MailCounts:
    """Threads with unread, unprocessed and draft messages of one mailbox, each counted up to `COUNT_CAP`."""

    unread: int = 0
    open: int = 0
    drafts: int = 0


@dataclass(frozen=True, slots=True)
class OpenThread:
    """A thread and its messages, oldest first; `earlier` are left out."""

    thread: Thread
    messages: list[Message]
    earlier: int


def visible_messages(user: Any) -> QuerySet[Message]:
    """Messages that `user` may read, without those on their way to erasure."""
    return Message.objects.filter(email_account__in=visible_accounts(user), trashed_at__isnull=True)


def visible_threads(user: Any) -> QuerySet[Thread]:
    """Threads that `user` may read."""
    return Thread.objects.filter(email_account__in=visible_accounts(user), message_count__gt=0)


def visible_parts(user: Any) -> QuerySet[Part]:
    """Attachments and inline pictures that `user` may fetch."""
    return Part.objects.filter(message__email_account__in=visible_accounts(user), message__trashed_at__isnull=True)


def visible_folders(user: Any) -> QuerySet[Folder]:
    """Folders whose mail `user` may read and that hold something here."""
    return Folder.objects.filter(email_account__in=visible_accounts(user), is_followed=True, gone_at__isnull=True)


def thread_page(
    user: Any, filters: ThreadFilter, cursor: Cursor | None = None, limit: int = PAGE, *, seen: Seen = None
) -> ThreadPage:
    """At most `limit` threads below `cursor`, newest first, of what `user` may see."""
    keys = _keys(_accounts(user, filters, seen), filters, cursor, limit + 1)
    more = len(keys) > limit
    keys = keys[:limit]
    last = keys[-1] if keys else None
    return ThreadPage(threads_in_order([key.id for key in keys]), last if more else None, last)


def newer_threads(
    user: Any, filters: ThreadFilter, until: Cursor, limit: int = 200, *, seen: Seen = None
) -> ThreadPage:
    """The rows from the top down to `until`, that one included: the first page of a list, grown by what arrived."""
    just_below = Cursor(until.at, until.id - 1)
    found = _keys(_accounts(user, filters, seen), filters, None, limit)
    keys = [key for key in found if (key.at, key.id) > (just_below.at, just_below.id)]
    last = keys[-1] if keys else None
    return ThreadPage(threads_in_order([key.id for key in keys]), last, last)


def neighbours(user: Any, filters: ThreadFilter, thread: Thread, *, seen: Seen = None) -> tuple[int | None, int | None]:
    """Ids of the threads just above (newer) and below (older) `thread` in a list."""
    here, ids = Cursor(thread.last_received_at, thread.pk), _accounts(user, filters, seen)
    newer = _keys(ids, filters, here, 1, newer=True)
    older = _keys(ids, filters, here, 1)
    return newer[0].id if newer else None, older[0].id if older else None


def threads_in_order(ids: Sequence[int]) -> list[Thread]:
    """Threads by id in the given order. Not a door: the ids must come from one."""
    found = Thread.objects.in_bulk(ids)
    return [found[one] for one in ids if one in found]


def open_thread(user: Any, thread_id: int) -> OpenThread | None:
    """The thread with its newest messages, None where `user` may not see it."""
    thread = visible_threads(user).select_related("email_account", "email_account__owner").filter(pk=thread_id).first()
    if thread is None:
        return None
    messages = list(
        Message.objects.filter(thread=thread, trashed_at__isnull=True).order_by("-received_at", "-pk")[:MESSAGES_SHOWN]
    )[::-1]
    return OpenThread(thread, messages, max(thread.message_count - len(messages), 0))


def mail_counts(account_ids: Iterable[int]) -> dict[int, MailCounts]:
    """Counts per email account, in one query that reads only the partial indexes. Not a door: ids come from one."""
    ids = list(account_ids)
    if not ids:
        return {}
    cap = COUNT_CAP if len(ids) <= 20 else 99
    counted = ", ".join(
        f"(SELECT COUNT(*) FROM (SELECT 1 FROM mail_thread t WHERE t.email_account_id = a.id AND t.{column} > 0"  # noqa: S608
        f" LIMIT {cap}) counted)"
        for column in ("unread_count", "open_count", "draft_count")
    )
    marks = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT a.id, {counted} FROM accounts_emailaccount a WHERE a.id IN ({marks})", ids)  # noqa: S608
        return {row[0]: MailCounts(*row[1:]) for row in cursor.fetchall()}


def _accounts(user: Any, filters: ThreadFilter, seen: Seen = None) -> list[int]:
    """Mailboxes (ids) that a list is about, of those that `user` may see."""
    ids = list(visible_accounts(user).values_list("pk", flat=True)) if seen is None else list(seen)
    return ids if filters.email_account_id is None else [pk for pk in ids if pk == filters.email_account_id]


def _keys(
    ids: list[int], filters: ThreadFilter, cursor: Cursor | None, limit: int, newer: bool = False
) -> list[Cursor]:
    if not ids:
        return []
    if filters.folder_id is not None:
        folder = Folder.objects.filter(pk=filters.folder_id, email_account__in=ids).first()
        return _folder_keys(folder, filters, cursor, (limit, newer)) if folder else []
    chosen = Thread.objects.filter(message_count__gt=0, **_CONDITIONS[filters.view])
    return _merged(ids, _beyond(chosen, "last_received_at", cursor, newer), limit, newer)


def _beyond(rows: QuerySet[Any], column: str, cursor: Cursor | None, newer: bool) -> QuerySet[Any]:
    """Rows beyond the cursor. The first, redundant condition is what an index can use."""
    if cursor is None:
        return rows
    side = "gt" if newer else "lt"
    beyond = Q(**{f"{column}__{side}": cursor.at}) | Q(**{column: cursor.at, f"pk__{side}": cursor.id})
    return rows.filter(**{f"{column}__{side}e": cursor.at}).filter(beyond)


def _merged(account_ids: list[int], rows: QuerySet[Thread], limit: int, newer: bool) -> list[Cursor]:
    """The first `limit` keys over these mailboxes: each gives its own first ones by its index, then they are merged."""
    order = ("last_received_at", "pk") if newer else ("-last_received_at", "-pk")
    if len(account_ids) == 1 or len(account_ids) > MAX_UNION:
        ordered = rows.filter(email_account_id__in=account_ids).order_by(*order)
        return [Cursor(at, pk) for at, pk in ordered.values_list("last_received_at", "pk")[:limit]]
    sql, params = _each_first(account_ids, rows.order_by(*order).values_list("pk", "last_received_at"), limit)
    direction = "ASC" if newer else "DESC"
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY 2 {direction}, 1 {direction} LIMIT {int(limit)}", params)
        found = cursor.fetchall()
    if connection.vendor == "postgresql":
        return [Cursor(at, pk) for pk, at in found]
    ids = [row[0] for row in found]  # SQLite answers times as text: they are asked for again
    ordered = Thread.objects.filter(pk__in=ids).order_by(*order)
    return [Cursor(at, pk) for at, pk in ordered.values_list("last_received_at", "pk")]


def _each_first(account_ids: list[int], rows: QuerySet[Thread, Any], limit: int) -> tuple[str, list[Any]]:
    """One statement that asks each mailbox for its own first rows. PostgreSQL plans a LATERAL join once, where a hundred
    selects in a union cost it more than they read; SQLite has no LATERAL and plans nothing.
    """
    if connection.vendor == "postgresql":
        of_one = rows.extra(where=["mail_thread.email_account_id = a.id"])[:limit]  # noqa: S610
        inner, values = of_one.query.sql_with_params()
        accounts = "SELECT unnest(%s::bigint[]) AS id"
        return f"SELECT one.* FROM ({accounts}) a CROSS JOIN LATERAL ({inner}) one", [account_ids, *values]  # noqa: S608
    parts: list[str] = []
    params: list[Any] = []
    for account_id in account_ids:
        inner, values = rows.filter(email_account_id=account_id)[:limit].query.sql_with_params()
        parts.append(f"SELECT * FROM ({inner}) one")  # noqa: S608
        params.extend(values)
    return " UNION ALL ".join(parts), params


def _folder_keys(
    folder: Folder, filters: ThreadFilter, cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    """A folder's threads by their newest copy in it. The key's time is the copy's; its id the thread's."""
    limit, newer = bounds
    copies = Copy.objects.filter(
        folder=folder, state=CopyState.STORED, received_at__isnull=False, message__trashed_at__isnull=True
    ).annotate(thread_id=F("message__thread_id"))
    later = Copy.objects.filter(
        Q(received_at__gt=OuterRef("received_at")) | Q(received_at=OuterRef("received_at"), pk__gt=OuterRef("pk")),
        folder=folder,
        state=CopyState.STORED,
        message__thread_id=OuterRef("message__thread_id"),
        message__trashed_at__isnull=True,
    )
    conditions = {f"message__thread__{name}": value for name, value in _CONDITIONS[filters.view].items()}
    leaving = Exists(Change.objects.filter(source=folder, message=OuterRef("message"), done_at__isnull=True))
    copies = copies.filter(~Exists(later.filter(~leaving)), ~leaving, **conditions)
    if cursor is not None:
        side = "gt" if newer else "lt"
        beyond = Q(received_at=cursor.at, **{f"message__thread_id__{side}": cursor.id})
        copies = copies.filter(**{f"received_at__{side}e": cursor.at}).filter(
            Q(**{f"received_at__{side}": cursor.at}) | beyond
        )
    order = ("received_at", "message__thread_id") if newer else ("-received_at", "-message__thread_id")
    keys = [Cursor(at, pk) for at, pk in copies.order_by(*order).values_list("received_at", "thread_id")[:limit] if at]
    return _with_arriving(keys, folder, conditions, cursor, bounds)


def _with_arriving(
    keys: list[Cursor], folder: Folder, conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    """The keys and those of threads that were moved here, but not on the server yet."""
    limit, newer = bounds
    rows = Change.objects.filter(target=folder, kind="move", done_at__isnull=True, **conditions)
    arriving = dict(
        rows.order_by("message__received_at").values_list("message__thread_id", "message__received_at")[:500]
    )
    if not arriving:
        return keys
    found = {key.id: key.at for key in keys}
    for pk, at in arriving.items():
        place = (at, pk)
        if cursor is None or (place > (cursor.at, cursor.id) if newer else place < (cursor.at, cursor.id)):
            found[pk] = max(at, found.get(pk, at))
    return sorted((Cursor(at, pk) for pk, at in found.items()), key=lambda k: (k.at, k.id), reverse=not newer)[:limit]


def account_labels(user: Any) -> list[EmailAccount]:
    """The mailboxes `user` may see, by address, with what lists say of them (LABELS; the rest is read when asked for)."""
    return list(visible_accounts(user).only(*LABELS).order_by("address_key"))


def folders_of(message_id: int) -> list[Folder]:
    """In which folders a message is. Not a door: the id must come from one."""
    return places([message_id]).get(message_id, [])[:20]
