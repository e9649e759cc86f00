"""Queries that the ORM writes once and that are run again and again, each time for other values.

For places where the ORM needs longer to write a query than the database to answer it: a look at a mailbox in which nothing
happened, each slice of a download. Invariant: the rows are those that the query set itself would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model, QuerySet

from base.arrays import ArrayPlace, array_of

Row = TypeVar("Row", bound=Model)
Convert = Callable[[Any], Any]
PLACE = -7_301_948_255  # stands for the id while the query is written, those below for others; no keys of rows
ID, IDS, TEXTS = "id", "bigint", "text"


@dataclass(frozen=True, slots=True)
class _Written(Generic[Row]):
    """A query for one kind of database; `converters`: (place of a value, what makes Python's of it)."""

    model: type[Row]
    sql: str
    parameters: tuple[object, ...]
    names: tuple[str, ...]
    converters: tuple[tuple[int, Convert], ...]


class Prepared(Generic[Row]):
    """`make(id)` gives the query set; the id must reach the statement as a parameter, and nothing else may vary.

    Whole rows only: related ones are not followed, none of their columns is deferred; what depends on the clock must ask
    the database's (`Now()`).
    """

    def __init__(self, make: Callable[[int], QuerySet[Row]]) -> None:
        self._make = make
        self._written: dict[str, _Written[Row]] = {}  # by kind of database

    def fetch(self, pk: int) -> list[Row]:
        """The rows for this id."""
        written = self._written.get(connection.vendor)
        if written is None:
            written = self._written[connection.vendor] = _write(self._make(PLACE))
        rows = _run(written.sql, [pk if one == PLACE else one for one in written.parameters])
        return [
            written.model.from_db(connection.alias, written.names, _converted(row, written.converters)) for row in rows
        ]


@dataclass(frozen=True, slots=True)
class _Tuples:
    """A query on PostgreSQL: `places` are the parameters that are given anew, (where, number of the value)."""

    sql: str
    parameters: tuple[Any, ...]
    places: tuple[tuple[int, int], ...]
    converters: tuple[tuple[int, Convert], ...]


class PreparedValues:
    """`make` gives a query set of tuples (`values_list`) for values of these kinds: ID, or IDS and TEXTS for `one_of`.

    Each value must reach the statement as a parameter, and nothing else may vary; the clock is the database's. PostgreSQL
    gets lists as arrays. On SQLite, where a statement differs with the length of a list, the ORM writes it each time.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, tuple[Any, ...]]], *kinds: str) -> None:
        self._make, self._kinds = make, kinds
        self._written: _Tuples | None = None

    def fetch(self, *values: int | Iterable[int] | Iterable[str]) -> list[tuple[Any, ...]]:
        """The tuples for these values, in the order of the kinds."""
        if connection.vendor != "postgresql":
            return list(self._make(*values))
        written = self._written
        if written is None:
            written = self._written = self._write()
        parameters = list(written.parameters)
        bound = [one if isinstance(one, int) else array_of(one) for one in values]
        for where, number in written.places:
            parameters[where] = bound[number]
        rows = _run(written.sql, parameters)
        return [_converted(row, written.converters) for row in rows] if written.converters else rows

    def _write(self) -> _Tuples:
        """Raises ValueError where a value is no parameter."""
        marks = [PLACE - number if kind == ID else f"{{{PLACE - number}}}" for number, kind in enumerate(self._kinds)]
        standing = [
            mark if isinstance(mark, int) else ArrayPlace(kind, mark)
            for mark, kind in zip(marks, self._kinds, strict=True)
        ]
        compiler = self._make(*standing).query.get_compiler(DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        places = tuple((where, marks.index(one)) for where, one in enumerate(parameters) if one in marks)
        if {number for _where, number in places} != set(range(len(marks))):
            raise ValueError("a value is no parameter of this query")
        found = compiler.get_converters([column for column, _sql, _alias in compiler.select])
        converters = tuple((place, partial(_convert, column, tuple(some))) for place, (some, column) in found.items())
        return _Tuples(sql, tuple(parameters), places, converters)


def _run(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def _converted(row: Sequence[Any], converters: Iterable[tuple[int, Convert]]) -> tuple[Any, ...]:
    values = list(row)
    for place, convert in converters:
        values[place] = convert(values[place])
    return tuple(values)


def _write(rows: QuerySet[Row]) -> _Written[Row]:
    """Raises ValueError where the id is no parameter."""
    sql, parameters = rows.query.sql_with_params()
    if PLACE not in parameters:
        raise ValueError("the id is no parameter of this query")
    fields = rows.model._meta.concrete_fields
    converters = tuple(
        (place, partial(_convert, column, tuple(found)))
        for place, column in enumerate(field.get_col(rows.model._meta.db_table) for field in fields)
        if (found := [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)])
    )
    return _Written(rows.model, sql, tuple(parameters), tuple(field.attname for field in fields), converters)


def _convert(column: Any, converters: Sequence[Callable[[Any, Any, Any], Any]], value: Any) -> Any:
    for convert in converters:
        value = convert(value, column, connection)
    return value
