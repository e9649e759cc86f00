"""A heartbeat beside long work: a thread that renews leases, claims and slots until the work ends.

A killed process stops beating, so what it held comes back within seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from django.db import Error, connection

log = structlog.get_logger(__name__)
INTERVAL = 4.0  # seconds; what is renewed lives 15 s or more


class Heart:
    """Context manager: calls each of `beats` every 4 s on a thread with its own database connection."""

    def __init__(self, *beats: Callable[[], None], interval: float = INTERVAL) -> None:
        self._beats = beats
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._interval):
                for beat in self._beats:
                    try:
                        beat()
                    except Error as error:  # a database that is away for a moment: try again next time
                        log.warning("heartbeat_failed", error=type(error).__name__)
                        connection.close()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
