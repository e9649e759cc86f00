"""axe finds nothing on any screen, in both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.screens import ANONYMOUS, screens
from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

AXE = (Path(__file__).resolve().parent.parent / "vendor" / "axe.min.js").read_text("utf-8")
RUN = "async () => (await axe.run(document, {iframes: false})).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200) + ' ' + (n.any[0]?.message ?? '')).slice(0, 3).join(' | ')}`)"  # noqa: E501


def _violations(page: Any, paths: dict[str, str]) -> str:
    """What axe says about each of these screens, one line each."""
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})  # for the measuring script only
    found = []
    for name, path in paths.items():
        answer = page.goto(path)
        assert answer.status < 500 and (answer.status == 200 or name == "invitation-gone"), f"{name} {answer.status}"
        page.wait_for_load_state("networkidle") if "wizard-check" not in name else None
        page.evaluate(AXE)
        found += [f"{name} {one}" for one in page.evaluate(RUN)]
    return "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_has_a_violation(open_page: Any, scheme: str) -> None:
    user, paths = screens()
    found = _violations(open_page(user, "/keys/", scheme=scheme), paths)
    assert not found, found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_of_a_stranger_has_a_violation(open_page: Any, scheme: str) -> None:
    found = _violations(open_page(None, "/accounts/login/", scheme=scheme), ANONYMOUS)
    assert not found, found


def test_the_empty_screen_has_no_violation(open_page: Any) -> None:
    found = _violations(
        open_page(UserFactory(), "/"), {"empty": "/", "no-people": "/contacts/", "no-firms": "/companies/"}
    )
    assert not found, found


@pytest.mark.parametrize("width", [900, 390])
def test_no_screen_is_wider_than_the_window(open_page: Any, width: int) -> None:
    user, paths = screens()
    page = open_page(user, "/keys/", width=width, height=844)
    wide = {}
    for name, path in paths.items():
        page.goto(path)
        page.wait_for_timeout(150)
        found = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        if max(found) > width:
            wide[name] = found
    assert wide == {}


def test_the_first_stop_of_the_keyboard_leads_to_the_content(open_page: Any) -> None:
    user, paths = screens()
    page = open_page(user, paths["thread"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
