"""Column types and small model parts that every room may use."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from base.packing import pack, unpack


class LongText(models.TextField):
    """Text of a mail: on PostgreSQL compressed with lz4 (COPY is 3.5 times faster than with pglz)."""

    def db_parameters(self, connection):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - Django's signature
        """The type as the column is defined; `db_type` stays plain, for casts."""
        found = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            found["type"] = f"{found['type']} COMPRESSION lz4"
        return found


class PackedText(LongText):
    """Text that the database never looks into, stored as `base.packing` packs it; in Python it is a str."""

    def get_internal_type(self) -> str:
        """The column is bytea, on SQLite BLOB."""
        return "BinaryField"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """As it is stored."""
        return value if value is None else connection.Database.Binary(pack(value))  # type: ignore[attr-defined]

    def from_db_value(self, value: Any, _expression: Any, _connection: BaseDatabaseWrapper) -> str | None:
        """As it is read."""
        return None if value is None else unpack(value)
