"""Giving things back although the database is away for a moment: what is held would else stay held until it expires."""

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
