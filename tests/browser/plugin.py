"""A headless Chromium for the tests of pages. Skips cleanly where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, one per run. Playwright's loop must not make Django think that it runs in async code."""
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium here")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(user, "/", width=1440, scheme="dark")`: a signed-in page; errors of its scripts fail the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_one(user: Any, path: str = "/", *, width: int = 1440, height: int = 900, scheme: str = "light") -> Any:
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if _is_problem(line) else None)
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        for page in context.pages:  # a request that a test held back must not hold the browser
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert not problems, problems


def _is_problem(line: Any) -> bool:
    """Errors of our own pages; what the policy of a mail's body blocks is meant to be blocked."""
    return line.type == "error" and "/body/" not in line.location.get("url", "") and "Content Security" in line.text
