"""Many values in one condition. PostgreSQL gets them as an array, which is one parameter: binding hundreds costs more than
the query itself. SQLite has no arrays: there it is an IN list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models
from django.db.models import Q

FEW = 20  # values that are bound one by one


@dataclass(frozen=True, slots=True)
class ArrayPlace:
    """Stands for an array in a query that is written before its values are known (base.prepared)."""

    kind: str  # bigint | text
    literal: str  # which the array's own replaces


def one_of(name: str, values: Iterable[int] | Iterable[str] | ArrayPlace) -> Q:
    """`name__in=values`, on PostgreSQL with one parameter.

    All values are integers, or all are text without NUL. `= ANY` is planned like an IN list, by the index.
    """
    if isinstance(values, ArrayPlace):
        return Q(_is_any(name, values.kind, values.literal))
    listed: list[Any] = list(values)
    if connection.vendor != "postgresql" or len(listed) < FEW:
        return Q((f"{name}__in", listed))
    return Q(_is_any(name, "bigint" if isinstance(listed[0], int) else "text", array_of(listed)))


def _is_any(name: str, kind: str, literal: str) -> models.Func:
    array = models.Value(literal, output_field=models.TextField())
    return models.Func(
        models.F(name), array, template=f"%(expressions)s::{kind}[])", arg_joiner=" = ANY(",
        output_field=models.BooleanField(),
    )  # fmt: skip


def array_of(values: Iterable[int] | Iterable[str | None] | Sequence[Any]) -> str:
    """The literal of an array of integers, or of texts and None (PostgreSQL 8.15.2)."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: int | str | None) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else str(value)
