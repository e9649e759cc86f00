"""How values of a binary COPY are written (PostgreSQL's manual, COPY: Binary Format) where psycopg's own dumpers do not fit.

Invariant: a number that its column cannot hold is an error; psycopg's dumpers would cut off its upper bytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from psycopg.adapt import Buffer, Dumper
from psycopg.postgres import types
from psycopg.pq import Format

to_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each value
_int2, _int4 = struct.Struct("!h").pack, struct.Struct("!i").pack
JSONB_VERSION = b"\x01"
_EMPTY = {kind: JSONB_VERSION + to_json(kind()).encode() for kind in (list, tuple, dict)}
NOT_WRITTEN = (OverflowError, struct.error)  # what a number outside of its column raises


class _Int2(Dumper):
    format, oid = Format.BINARY, types["int2"].oid

    def dump(self, obj: int) -> Buffer:
        return _int2(obj)


class _Int4(Dumper):
    format, oid = Format.BINARY, types["int4"].oid

    def dump(self, obj: int) -> Buffer:
        return _int4(obj)


class _Jsonb(Dumper):
    """Any JSON value, not wrapped."""

    format, oid = Format.BINARY, types["jsonb"].oid

    def dump(self, obj: Any) -> Buffer:
        if not obj and (empty := _EMPTY.get(type(obj))) is not None:
            return empty
        return JSONB_VERSION + to_json(obj).encode()


BINARY: tuple[type[Dumper], ...] = (_Int2, _Int4, _Jsonb)  # to be registered with the cursor that copies
