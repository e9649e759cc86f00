"""Many rows at once, past the ORM's per-row cost: COPY and one statement for all on PostgreSQL, executemany on SQLite.

COPY is binary: PostgreSQL need not look at each character of a mail for line ends and escapes, nor psycopg write any.

Invariants: values are adapted as the model's fields save them; everything joins the caller's transaction; nothing here
knows a room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import DataError, IntegrityError, connection, models, transaction

from base.arrays import array_of
from base.copy_values import BINARY, NOT_WRITTEN, to_json


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
            # OFFSET 0: the sequence is looked up once, not for each number
            cursor.execute(
                "SELECT nextval(its.name) FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS name OFFSET 0) AS its,"
                " generate_series(1, %s)",
                [table, key, count],
            )
            return sorted(row[0] for row in cursor.fetchall())
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        row = cursor.fetchone()
        first = (row[0] if row else 0) + 1
        return list(range(first, first + count))


def insert_rows(
    model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]], *, ignore_conflicts: bool = False
) -> None:
    """Insert rows whose every column is given (database defaults do not exist in Django's tables).

    Values: str, int, float, bool, None, aware datetimes; anything JSON for a JSONField. A row that conflicts with another
    is an IntegrityError, or left out with `ignore_conflicts`.
    """
    rows, names = list(rows), tuple(names)
    if not rows:
        return
    columns, quote = _columns(model, names), connection.ops.quote_name
    into = f"{quote(model._meta.db_table)} ({', '.join(quote(column) for column in columns)})"
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            places = _json_places(model, names)
            marks = ", ".join(["%s"] * len(columns))
            otherwise = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
            statement = f"INSERT INTO {into} VALUES ({marks}){otherwise}"  # noqa: S608 - names of our own columns
            cursor.executemany(statement, [_for_sqlite(_with_json(row, places)) for row in rows])
        elif not ignore_conflicts:
            _copy(cursor, into, rows, _types(model, names))
        else:
            try:
                with transaction.atomic():  # conflicts are rare: COPY knows of none
                    _copy(cursor, into, rows, _types(model, names))
            except IntegrityError:
                source, values = _as_relation(_types(model, names), [quote(column) for column in columns], rows)
                cursor.execute(f"INSERT INTO {into} SELECT * FROM {source} ON CONFLICT DO NOTHING", values)  # noqa: S608


def _copy(cursor: Any, into: str, rows: Iterable[Sequence[Any]], types: tuple[str, ...]) -> None:
    for dumper in BINARY:
        cursor.adapters.register_dumper(None, dumper)
    try:
        # The cursor is psycopg's own here: its errors must leave as Django's, which callers wait for.
        with connection.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
    except NOT_WRITTEN as error:
        raise DataError(f"a number that its column cannot hold: {error}") from error


def update_rows(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]], *, by: str = "pk"
) -> None:
    """UPDATE many rows, each with its own values: `rows` are (value, …, key) in the order of `columns`, the key being that
    of the column `by`.

    Values as for `insert_rows`. Many times faster than bulk_update's CASE expressions.
    """
    rows, columns = list(rows), tuple(columns)
    if not rows:
        return
    if connection.vendor == "postgresql":
        _update_by_one_statement(model, columns, by, rows)
        return
    fields = [model._meta.get_field(name) for name in columns]
    values = [
        (*(field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=False)), row[-1])  # type: ignore[union-attr]
        for row in rows
    ]
    quote = connection.ops.quote_name
    wanted = ", ".join(f"{quote(_column(model, name))} = %s" for name in columns)
    key = quote(_column(model, by))
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {quote(model._meta.db_table)} SET {wanted} WHERE {key} = %s", values)  # noqa: S608


def _update_by_one_statement(
    model: type[models.Model], columns: tuple[str, ...], by: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    quote = connection.ops.quote_name
    aliases = [f"value_{number}" for number in range(len(columns))]
    wanted = ", ".join(
        f"{quote(name)} = new.{alias}" for name, alias in zip(_columns(model, columns), aliases, strict=True)
    )
    kinds = _types(model, (by, *columns))
    source, values = _as_relation(kinds, ["key", *aliases], [(row[-1], *row[:-1]) for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {quote(model._meta.db_table)} AS old SET {wanted}"  # noqa: S608 - names of our own columns
            f" FROM {source} WHERE old.{quote(_column(model, by))} = new.key",
            values,
        )


def delete_rows(model: type[models.Model], pks: Iterable[int]) -> None:
    """DELETE rows that nothing refers to any more: nobody looks for what would go with them.

    Raises IntegrityError (PostgreSQL: at the end of the transaction) where something does refer to one.
    """
    listed = list(pks)
    if not listed:
        return
    quote = connection.ops.quote_name
    start = f"DELETE FROM {quote(model._meta.db_table)} WHERE {quote(_column(model, 'pk'))}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{start} = ANY(%s::bigint[])", [array_of(listed)])
        else:
            cursor.executemany(f"{start} = %s", [(pk,) for pk in listed])


def _as_relation(
    kinds: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[str | None]]:
    """Rows of values of these kinds as SQL that reads them as the relation `new` with columns of these names, and its
    parameters: a column is an array, or one value where all are the same. To bind hundreds of values costs more than the
    statement; the first column is always an array."""
    selected, arrays = [], []
    same: list[str | None] = []
    several: list[str | None] = []
    for place, (name, kind, values) in enumerate(zip(names, kinds, zip(*rows, strict=True), strict=True)):
        to_text = to_json if kind == "jsonb" else _text
        if place and values.count(values[0]) == len(values):
            selected.append(f"%s::{kind} AS {name}")
            same.append(None if values[0] is None else to_text(values[0]))
        else:
            selected.append(name)
            arrays.append((name, kind))
            several.append(array_of(None if one is None else to_text(one) for one in values))
    unnested = ", ".join(f"%s::{kind}[]" for _name, kind in arrays)
    renamed = ", ".join(name for name, _kind in arrays)
    source = f"(SELECT {', '.join(selected)} FROM unnest({unnested}) AS raw ({renamed})) AS new"  # noqa: S608
    return source, [*same, *several]


@cache
def _types(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, ...]:
    """The database's types of columns, without their lengths: the column itself refuses what is too long."""
    found = []
    for name in names:
        field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
        is_key = field.is_relation or field.primary_key
        kind = field.rel_db_type(connection) if is_key else field.db_type(connection)
        found.append(str(kind).partition("(")[0])
    return tuple(found)


def _text(value: object) -> str:
    """A value as PostgreSQL reads it from a text. Raises TypeError for what no row of ours has."""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no value of a row")


def _with_json(row: Sequence[Any], places: tuple[int, ...]) -> Sequence[Any]:
    if not places:
        return row
    changed = list(row)
    for place in places:
        changed[place] = None if changed[place] is None else to_json(changed[place])
    return changed


def _for_sqlite(row: Sequence[Any]) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(v) if isinstance(v, datetime) else v for v in row]
