"""Queries that the ORM writes once and that are run again and again, each time for another row.

For the few places where the ORM needs longer to write a query than the database to answer it (a look at a mailbox in
which nothing happened). Invariant: the rows are the models' instances, as the query set itself would give them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
PLACE = -7_301_948_255  # stands for the id while the query is written; no key of a row


class Prepared(Generic[Row]):
    """`make(id)` gives the query set; the id must reach the statement as a parameter, and nothing else may vary.

    Related rows are not followed (`select_related`), and what depends on the clock must ask the database's (`Now()`).
    """

    def __init__(self, make: Callable[[int], QuerySet[Row]]) -> None:
        self._make = make
        self._written: dict[str, tuple[type[Row], str, tuple[object, ...]]] = {}  # by kind of database

    def fetch(self, pk: int) -> list[Row]:
        """The rows for this id."""
        if connection.vendor not in self._written:
            rows = self._make(PLACE)
            sql, parameters = rows.query.sql_with_params()
            if PLACE not in parameters:
                raise ValueError("the id is no parameter of this query")
            self._written[connection.vendor] = (rows.model, sql, tuple(parameters))
        model, sql, parameters = self._written[connection.vendor]
        filled = [pk if one == PLACE else one for one in parameters]
        return list(model._default_manager.raw(sql, filled))
