"""What PostgreSQL's planner is told where it cannot know."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

# jit: what must be read whole all the same seems so dear then that PostgreSQL would compile the query, for a tenth of a second.
_BY_KEYS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
_IN_ORDER = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit")


def look_up_by_keys() -> None:
    """In a transaction whose queries are about some hundred rows by their keys, among however many.

    Tables that grow by a first download have no statistics yet, or none of this mailbox: PostgreSQL takes them for small and
    reads the whole of them for each slice. Nothing is forbidden by this: what no index serves is read as before.
    """
    _switch_off(_BY_KEYS)


def read_in_order() -> None:
    """In a transaction whose query wants the first rows in the order of an index, among however many.

    Where statistics say that there are next to none, to read all and sort them seems as good.
    """
    _switch_off(_IN_ORDER)


def _switch_off(names: Iterable[str]) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"set_config('{name}', 'off', true)" for name in names))
