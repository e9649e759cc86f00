"""Column types and small model parts that every room may use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


class LongText(models.TextField):
    """Text of a mail: on PostgreSQL compressed with lz4 (COPY is 3.5 times faster than with pglz)."""

    def db_parameters(self, connection):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - Django's signature
        """The type as the column is defined; `db_type` stays plain, for casts."""
        found = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            found["type"] = f"{found['type']} COMPRESSION lz4"
        return found


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """UPDATE many rows, each with its own values: `rows` are (value, …, primary key) in the order of `columns`.

    One prepared statement, pipelined by psycopg: ten times faster than bulk_update's CASE expressions. Values are
    adapted as the fields save them; joins the caller's transaction.
    """
    fields = [model._meta.get_field(name) for name in columns]
    values = [
        (*(field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=False)), row[-1])  # type: ignore[union-attr]
        for row in rows
    ]
    if not values:
        return
    quote = connection.ops.quote_name
    wanted = ", ".join(f"{quote(field.column)} = %s" for field in fields)  # type: ignore[union-attr]
    key = quote(model._meta.pk.column)  # type: ignore[union-attr]
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {quote(model._meta.db_table)} SET {wanted} WHERE {key} = %s", values)  # noqa: S608
