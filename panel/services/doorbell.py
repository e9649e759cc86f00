"""Ringing a task once the rows it will look for are committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.cache import cache


def ring_seldom(task: Any, ids: Iterable[int], *, seconds: int) -> None:
    """Ring `task` for each of `ids`, at most once in `seconds`."""
    for one in ids:
        if cache.add(f"ring:{task.name}:{one}", 1, seconds):
            task.delay_on_commit(one)


def ring(task: Any, *ids: int) -> None:
    """Ring `task` with `ids` after the commit; a ring that gets lost is repeated by the tick."""
    task.delay_on_commit(*ids)
