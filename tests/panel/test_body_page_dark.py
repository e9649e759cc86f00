"""An HTML letter in the dark: our ink where it has no paper of its own, a white sheet with a margin where it has."""

from __future__ import annotations

import pytest

from mail.models import MessageContent
from panel.body_page import DARK_INK, DARK_PAPER, Look, make_page

GREY = '<p>Hello</p><p style="color:#666">Marta</p>'
NEWSLETTER = '<table bgcolor="#ffffff"><tr><td style="color:#222">Offer</td></tr></table>'


def page(html: str, theme: str) -> str:
    return make_page(MessageContent(html=html), look=Look(theme), allow_remote=False, part_urls={}).html


@pytest.mark.parametrize(("html", "rules"), [(GREY, DARK_INK), (NEWSLETTER, DARK_PAPER)])
def test_dark_rules_follow_the_theme_of_the_person(html: str, rules: str) -> None:
    assert rules not in page(html, "light")
    assert rules in page(html, "dark") and "prefers-color-scheme" not in page(html, "dark")
    assert f"@media (prefers-color-scheme: dark) {{ {rules} }}" in page(html, "system")


def test_only_a_letter_with_paper_of_its_own_is_set_on_white() -> None:
    assert "background: transparent" in page(GREY, "dark") and "color-scheme: dark" in page(GREY, "dark")
    assert "background: #fff" in page(NEWSLETTER, "dark") and "color-scheme: light" in page(NEWSLETTER, "dark")
