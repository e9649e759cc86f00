"""axe finds nothing on any screen, in both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contacts.models import Company, Contact
from mail.models import Thread
from tests.factories import UserFactory
from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

AXE = (Path(__file__).resolve().parent.parent / "vendor" / "axe.min.js").read_text("utf-8")
RUN = "async () => (await axe.run(document, {iframes: false})).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200) + ' ' + (n.any[0]?.message ?? '')).slice(0, 3).join(' | ')}`)"  # noqa: E501


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_has_a_violation(open_page: Any, scheme: str) -> None:
    user, account = believable()
    lanterns = Thread.objects.order_by("-message_count")[0].pk
    doubtful = Thread.objects.get(subject__startswith="Updated bank").pk
    contact, company = Contact.objects.all()[0].pk, Company.objects.all()[0].pk
    paths = [
        "/", "/?view=drafts", f"/threads/{lanterns}/", f"/threads/{doubtful}/", "/search/?q=lantern", "/notifications/",
        "/keys/", "/contacts/", f"/contacts/{contact}/", "/companies/", f"/companies/{company}/", "/settings/",
        f"/settings/email-accounts/{account.pk}/", "/email-accounts/new/",
    ]  # fmt: skip
    found = {}
    page = open_page(user, "/", scheme=scheme)
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})  # for the measuring script only
    for path in paths:
        page.goto(path)
        page.wait_for_timeout(500)
        page.evaluate(AXE)
        problems = page.evaluate(RUN)
        if problems:
            found[path] = problems
    assert not found, "\n".join(f"{path} {one}" for path, problems in found.items() for one in problems)


def test_the_empty_screen_has_no_violation(open_page: Any) -> None:
    page = open_page(UserFactory(), "/")
    page.evaluate(AXE)
    assert page.evaluate(RUN) == []
