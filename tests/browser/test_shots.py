"""Pictures of the screens, for people: made only when SHOTS names a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mail.models import Thread
from tests.factories import UserFactory
from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("SHOTS", "")


@pytest.mark.skipif(not SHOTS, reason="SHOTS names no folder")
def test_the_screens_are_photographed(open_page: Any) -> None:
    user, _account = believable()
    lanterns = Thread.objects.order_by("-message_count")[0].pk
    doubtful = Thread.objects.get(subject__startswith="Updated bank").pk
    newsletter = Thread.objects.get(subject__startswith="What 2700").pk
    pages = {
        "inbox": "/",
        "thread": f"/threads/{lanterns}/", "doubtful": f"/threads/{doubtful}/", "newsletter": f"/threads/{newsletter}/",
        "search": "/search/?q=lantern", "notifications": "/notifications/", "keys": "/keys/",
    }  # fmt: skip
    wanted = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else list(pages)
    sizes = ((1440, 900), (900, 800), (390, 844))
    for width, height in sizes:
        for scheme in ("light", "dark"):
            for name in wanted:
                page = open_page(user, pages[name], width=width, height=height, scheme=scheme)
                page.wait_for_timeout(700)
                page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png")
                page.context.close()
    page = open_page(UserFactory(), "/")
    page.screenshot(path=Path(SHOTS) / "empty-1440-light.png")
