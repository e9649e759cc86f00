"""Which threads come first in a list: keys (time and id) over many mailboxes, or in a folder.

Invariants: a page costs the same whatever the mailbox's size; each mailbox is asked by its own index (a shared ORDER BY
over a few of many mailboxes would read past all the mail of the others). Not a door: mailboxes and folders come from one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from mail.models import Change, Copy, CopyState, Folder, Thread

MAX_UNION = 400  # SQLite joins at most 500 selects in one statement
MANY = 10  # mailboxes, from which on the newest threads of all are looked at first
WINDOW = 400  # of them; enough when the page fills, as it does for who sees a fair share of the mail
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def first_threads(
    account_ids: list[int], conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    """The first threads of these mailboxes beyond the cursor. `conditions`: counts above 0, as filters of Thread
    ({"unread_count__gt": 0}). `bounds`: how many, and whether those above the cursor (newer).

    Each mailbox gives its own first ones by its index, then they are merged.
    """
    if MANY < len(account_ids) <= MAX_UNION:
        found = _among_newest(account_ids, conditions, cursor, bounds)
        if len(found) == bounds[0]:
            return found
    return _first_of_each(account_ids, conditions, cursor, bounds)


def _first_of_each(
    account_ids: list[int], conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    limit, newer = bounds
    rows = Thread.objects.filter(message_count__gt=0, **conditions)
    rows = _beyond(rows, "last_received_at", cursor, newer).order_by(*_order(newer))
    if len(account_ids) == 1 or len(account_ids) > MAX_UNION:
        chosen = rows.filter(email_account_id__in=account_ids)
        return [Cursor(at, pk) for at, pk in chosen.values_list("last_received_at", "pk")[:limit]]
    sql, params = _each_first(account_ids, rows.values_list("pk", "last_received_at"), limit)
    return _read(sql, params, bounds)


def _order(newer: bool) -> tuple[str, str]:
    return ("last_received_at", "pk") if newer else ("-last_received_at", "-pk")


def _read(sql: str, params: list[Any], bounds: tuple[int, bool]) -> list[Cursor]:
    """The keys that a query for (id, time) gives, in order."""
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {_ordered(bounds)}", params)
        found = cursor.fetchall()
    if connection.vendor == "postgresql":
        return [Cursor(at, pk) for pk, at in found]
    ids = [row[0] for row in found]  # SQLite answers times as text: they are asked for again
    ordered = Thread.objects.filter(pk__in=ids).order_by(*_order(bounds[1]))
    return [Cursor(at, pk) for at, pk in ordered.values_list("last_received_at", "pk")]


def beside(account_ids: list[int], conditions: dict[str, int], here: Cursor) -> tuple[int | None, int | None]:
    """Ids of the threads just above (newer) and below (older) a place; one query, and one more for a side that is far."""
    found: dict[str, int] = {}
    if 1 < len(account_ids) <= MAX_UNION:
        parts, params = [], []
        for side, newer in (("newer", True), ("older", False)):
            sql, values = _window(account_ids, conditions, here, (1, newer))
            parts.append(f"SELECT * FROM (SELECT '{side}', id FROM ({sql}) one) {side}")  # noqa: S608
            params += values
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), params)
            found = dict(cursor.fetchall())
    for side, newer in (("newer", True), ("older", False)):
        keys = [] if side in found else _first_of_each(account_ids, conditions, here, (1, newer))
        if keys:
            found[side] = keys[0].id
    return found.get("newer"), found.get("older")


def _among_newest(
    account_ids: list[int], conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    """The keys among the threads next to the cursor, whosesoever: right as far as it goes, so enough when it fills."""
    sql, params = _window(account_ids, conditions, cursor, bounds)
    return _read(f"SELECT * FROM ({sql}) one", params, bounds)  # noqa: S608


def _window(
    account_ids: list[int], conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> tuple[str, list[Any]]:
    counts = [name.partition("__")[0] for name in ("message_count", *conditions)]
    newer, beyond, params = bounds[1], "", []
    if cursor is not None:
        at, side = connection.ops.adapt_datetimefield_value(cursor.at), ">" if newer else "<"
        beyond = f"WHERE last_received_at {side}= %s AND (last_received_at {side} %s OR id {side} %s)"
        params = [at, at, cursor.id]
    columns = f"id, last_received_at, email_account_id, {', '.join(counts)}"
    order = "last_received_at, id" if newer else "last_received_at DESC, id DESC"
    window = f"SELECT {columns} FROM mail_thread {beyond} ORDER BY {order} LIMIT {WINDOW}"  # noqa: S608
    wheres = " AND ".join([f"email_account_id IN ({listed(account_ids)})", *(f"{name} > 0" for name in counts)])
    chosen = f"SELECT id, last_received_at FROM ({window}) newest WHERE {wheres}"  # noqa: S608
    return f"{chosen} {_ordered(bounds)}", params


def listed(ids: list[int]) -> str:
    """The numbers as SQL. Written out, because a hundred placeholders cost the driver more than the database."""
    return ", ".join(str(int(one)) for one in ids)


def _ordered(bounds: tuple[int, bool]) -> str:
    direction = "ASC" if bounds[1] else "DESC"
    return f"ORDER BY 2 {direction}, 1 {direction} LIMIT {int(bounds[0])}"


def _beyond(rows: QuerySet[Any], column: str, cursor: Cursor | None, newer: bool) -> QuerySet[Any]:
    """Rows beyond the cursor. The first, redundant condition is what an index can use."""
    if cursor is None:
        return rows
    side = "gt" if newer else "lt"
    beyond = Q(**{f"{column}__{side}": cursor.at}) | Q(**{column: cursor.at, f"pk__{side}": cursor.id})
    return rows.filter(**{f"{column}__{side}e": cursor.at}).filter(beyond)


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


def first_in_folder(
    folder: Folder, conditions: dict[str, int], cursor: Cursor | None, bounds: tuple[int, bool]
) -> list[Cursor]:
    """A folder's threads by their newest copy in it. The key's time is the copy's; its id the thread's. `bounds` as above."""
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
    conditions = {f"message__thread__{name}": value for name, value in conditions.items()}
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
