"""Many rows at once, past the ORM's per-row cost: COPY and pipelined statements on PostgreSQL, executemany on SQLite.

Invariants: values are adapted as the model's fields save them; everything joins the caller's transaction; nothing here
knows a room.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, models


def _column(model: type[models.Model], name: str) -> str:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    column = getattr(field, "column", None)
    if not isinstance(column, str):
        raise TypeError(f"{model.__name__}.{name} has no column")
    return column


@cache
def _columns(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_column(model, name) for name in names)


@cache
def _json_places(model: type[models.Model], names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(n for n, name in enumerate(names) if isinstance(model._meta.get_field(name), models.JSONField))


def reserve_ids(model: type[models.Model], count: int) -> list[int]:
    """Primary keys that nobody else gets, ascending. On SQLite only inside a transaction (IMMEDIATE: we write alone)."""
    if not count:
        return []
    table, key = model._meta.db_table, _column(model, "pk")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)", [table, key, count]
            )
            return sorted(row[0] for row in cursor.fetchall())
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        row = cursor.fetchone()
        first = (row[0] if row else 0) + 1
        return list(range(first, first + count))


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows whose every column is given (database defaults do not exist in Django's tables).

    Values: str, int, float, bool, None, aware datetimes; anything JSON for a JSONField. No conflict is tolerated.
    """
    names = tuple(names)
    columns, places = _columns(model, names), _json_places(model, names)
    quote = connection.ops.quote_name
    listed = ", ".join(quote(column) for column in columns)
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({listed}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(_with_json(row, places))
            return
        marks = ", ".join(["%s"] * len(columns))
        statement = f"INSERT INTO {table} ({listed}) VALUES ({marks})"  # noqa: S608 - names of our own columns
        cursor.executemany(statement, [_for_sqlite(_with_json(row, places)) for row in rows])


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """UPDATE many rows, each with its own values: `rows` are (value, …, primary key) in the order of `columns`.

    One prepared statement, pipelined by psycopg: ten times faster than bulk_update's CASE expressions.
    """
    fields = [model._meta.get_field(name) for name in columns]
    values = [
        (*(field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=False)), row[-1])  # type: ignore[union-attr]
        for row in rows
    ]
    if not values:
        return
    quote = connection.ops.quote_name
    wanted = ", ".join(f"{quote(_column(model, name))} = %s" for name in columns)
    key = quote(_column(model, "pk"))
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {quote(model._meta.db_table)} SET {wanted} WHERE {key} = %s", values)  # noqa: S608


def _with_json(row: Sequence[Any], places: tuple[int, ...]) -> Sequence[Any]:
    if not places:
        return row
    changed = list(row)
    for place in places:
        changed[place] = json.dumps(changed[place], ensure_ascii=False)
    return changed


def _for_sqlite(row: Sequence[Any]) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(v) if isinstance(v, datetime) else v for v in row]
