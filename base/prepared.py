"""Queries that the ORM writes once and that are run again and again, each time for another row.

For the few places where the ORM needs longer to write a query than the database to answer it (a look at a mailbox in
which nothing happened). Invariant: the rows are the models' instances, as the query set itself would give them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
Convert = Callable[[Any], Any]
PLACE = -7_301_948_255  # stands for the id while the query is written; no key of a row


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
        with connection.cursor() as cursor:
            filled: list[Any] = [pk if one == PLACE else one for one in written.parameters]
            cursor.execute(written.sql, filled)
            rows = cursor.fetchall()
        return [self._instance(written, list(row)) for row in rows]

    def _instance(self, written: _Written[Row], values: list[Any]) -> Row:
        for place, convert in written.converters:
            values[place] = convert(values[place])
        return written.model.from_db(connection.alias, written.names, values)


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
