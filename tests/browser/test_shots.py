"""Pictures of every screen, in three widths and both themes, for people to look at: made only when SHOTS names a folder.

`ONLY=inbox,thread` takes some of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from tests.browser.screens import ANONYMOUS, screens
from tests.factories import UserFactory

SHOTS = os.environ.get("SHOTS", "")
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]
SIZES = ((1440, 900), (900, 800), (390, 844))
EMPTY = {"empty": "/", "empty-contacts": "/contacts/", "empty-companies": "/companies/", "empty-settings": "/settings/"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not SHOTS, reason="SHOTS names no folder"),
]


def _photograph(open_page: Any, user: User | None, paths: dict[str, str]) -> int:
    """Pictures of these screens as `name-width-scheme.png`; returns how many."""
    paths = {name: path for name, path in paths.items() if not ONLY or name in ONLY}
    taken = 0
    for width, height in SIZES if paths else ():
        for scheme in ("light", "dark"):
            page = open_page(user, "/keys/" if user else "/accounts/login/", width=width, height=height, scheme=scheme)
            for name, path in paths.items():
                page.goto(path)
                page.wait_for_timeout(400)
                page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png")
                taken += 1
            page.context.close()
    return taken


def test_the_screens_are_photographed(open_page: Any) -> None:
    user, paths = screens()
    taken = _photograph(open_page, user, paths)
    taken += _photograph(open_page, UserFactory(), EMPTY)
    taken += _photograph(open_page, None, ANONYMOUS)
    assert len(list(Path(SHOTS).glob("*.png"))) >= taken > 0
