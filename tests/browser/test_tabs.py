"""Eight tabs of the panel: one of them asks for news, and every click in every tab still answers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TABS = 8
PATIENCE = 10_000  # ms: an answer that waits for a free connection of the browser would take longer


def test_every_click_answers_in_eight_tabs(open_page: Any) -> None:
    user, _account = believable()
    first = open_page(user)
    tabs = [first]
    for _ in range(TABS - 1):
        tab = first.context.new_page()
        tab.goto("/")
        tabs.append(tab)
    first.wait_for_timeout(4000)  # all have begun to wait for news
    slowest = 0.0
    for round_ in range(2):
        for number, tab in enumerate(tabs):
            tab.bring_to_front()
            row = tab.locator("#rows a.row").nth((number + round_) % 5)
            subject = row.locator(".row-subject").inner_text()
            begun = time.monotonic()
            row.click()
            tab.locator("#letter h1", has_text=subject).wait_for(timeout=PATIENCE)
            slowest = max(slowest, time.monotonic() - begun)
    assert slowest < PATIENCE / 1000
