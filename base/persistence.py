"""How hard a write is meant: what is held is given back although the database is away for a moment (it would else stay
held until it expires); what can be fetched again need not wait for the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection

PATIENCE = 20.0  # seconds
PAUSE = 0.5


def persist(act: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Call `act` until the database lets it through, at most `seconds`. Raises what it raised last.

    Only outside of a transaction: inside one the error is its caller's.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() >= deadline:
                raise
            connection.close()
            time.sleep(PAUSE)


def do_not_wait_for_the_disk() -> None:
    """In a transaction whose work is done again if it is lost, because the rows that ask for it would be lost with it.

    PostgreSQL then answers a commit before it is flushed. When the machine fails, the newest of these are taken back
    whole, in their order, never a part of one (PostgreSQL's manual, "Asynchronous Commit"). SQLite in WAL mode does so always.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")
