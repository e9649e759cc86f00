"""The administration's pages about sign-in applications: axe finds nothing, nothing is wider than the window."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from providers.models import OAuthApplication
from tests.browser.test_accessibility import _violations
from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
ROOT = "/admin/providers/oauthapplication/"
SHOTS = os.environ.get("SHOTS", "")  # a folder: pictures of everything, for people to look at
KINDS = ("google", "microsoft", "oidc") if SHOTS else ("microsoft",)


def screens() -> tuple[User, dict[str, str]]:
    """An administrator, and each page with something believable on it."""
    user = UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True)
    rows = []
    for key, kind, problem in (
        ("google", "google", ""),
        ("microsoft", "microsoft", "application"),
        ("house", "oidc", ""),
    ):
        rows.append(
            OAuthApplication.objects.create(
                key=key, name=f"Nordlys {key}", kind=kind, client_id="3f0b7a52-9c1d-4f0e-8a77-c2d1f9e0b6aa",
                secret_ciphertext="sealed", secret_expires_on=timezone.localdate() + timedelta(days=20),
                tested_at=timezone.now(), test_problem=problem, domains="nordlys.example\nazulejos.example",
            )
        )  # fmt: skip
    paths = {f"admin-guide-{kind}": f"{ROOT}guide/?for={kind}" for kind in KINDS}
    paths |= {"admin-list": ROOT, "admin-add": f"{ROOT}add/?kind=microsoft"}
    paths |= {f"admin-{row.key}": f"{ROOT}{row.pk}/change/" for row in rows if row.kind in KINDS}
    return user, paths


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_about_applications_has_a_violation(open_page: Any, scheme: str) -> None:
    user, paths = screens()
    page = open_page(user, ROOT, scheme=scheme)
    found = _violations(page, paths)
    assert not found, found
    page.goto(paths["admin-microsoft"])  # what *Test* says is checked too: nothing answers at its issuer
    page.get_by_role("button", name="Test").click()
    page.locator(".messagelist").wait_for()
    found = _violations(page, {"after-test": page.url})
    assert not found, found


@pytest.mark.parametrize("width", [1440, 900, 390] if SHOTS else [390])
def test_no_page_about_applications_is_wider_than_the_window(open_page: Any, width: int) -> None:
    user, paths = screens()
    wide = {}
    for scheme in ("light", "dark") if SHOTS else ("light",):
        page = open_page(user, ROOT, width=width, height=900, scheme=scheme)
        for name, path in paths.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{name}-{width}-{scheme}.png", full_page=True)
            found = page.evaluate("document.documentElement.scrollWidth")
            wide |= {name: found} if found > width else {}
    assert wide == {}
