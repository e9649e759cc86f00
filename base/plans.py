"""What PostgreSQL's planner is told where it cannot know."""

from __future__ import annotations

from django.db import connection

# jit: what must be read whole all the same seems so dear then that PostgreSQL would compile the query, for a tenth of a second.
_OFF = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
_BY_KEYS = "SELECT " + ", ".join(f"set_config('{name}', 'off', true)" for name in _OFF)


def look_up_by_keys() -> None:
    """In a transaction whose queries are about some hundred rows by their keys, among however many.

    Tables that grow by a first download have no statistics yet, or none of this mailbox: PostgreSQL takes them for small and
    reads the whole of them for each slice. Nothing is forbidden by this: what no index serves is read as before.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_BY_KEYS)
