"""Ringing a task once the rows it will look for are committed."""

from __future__ import annotations

from typing import Any


def ring(task: Any, *ids: int) -> None:
    """Ring `task` with `ids` after the commit; a ring that gets lost is repeated by the tick."""
    task.delay_on_commit(*ids)
