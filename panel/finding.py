"""Search results as threads: the newest matching message decides a thread's place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mail.models import Thread
from mail.queries import threads_in_order, visible_messages

PAGE = 50  # threads of a page of results


@dataclass(frozen=True, slots=True)
class Found:
    """A page of results. `seconds` is what the search itself took."""

    threads: list[Thread]
    seconds: float
    has_more: bool
    next_page: int = 2
    operators: tuple[str, ...] = ("from:", "to:", "has:attachment", "in:", "before:", "contact:")


def find(user: Any, query: str, page: str = "") -> Found:
    """Threads with messages that match `query`, newest first; `page` counts from 1."""
    started = time.monotonic()
    number = max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 4 else 1
    wanted = number * PAGE + 1
    ids: dict[int, None] = {}
    matches = visible_messages(user).filter(subject__icontains=query).order_by("-received_at", "-pk")
    for thread_id in matches.values_list("thread_id", flat=True)[: wanted * 4]:
        ids[thread_id] = None
        if len(ids) == wanted:
            break
    shown = list(ids)[(number - 1) * PAGE : number * PAGE]
    return Found(threads_in_order(shown), time.monotonic() - started, len(ids) == wanted, number + 1)
