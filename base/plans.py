"""What PostgreSQL's planner is told where it cannot know."""

from __future__ import annotations

from django.db import connection

_BY_KEYS = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)" for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
)


def look_up_by_keys() -> None:
    """In a transaction whose queries are about some hundred rows by their keys, among however many.

    Tables that grow by a first download have no statistics yet, or none of this mailbox: PostgreSQL takes them for small and
    reads the whole of them for each slice. Nothing is forbidden by this: what no index serves is read as before.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_BY_KEYS)
