"""Search shows what the user may see, newest first, with the words marked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from mail.search import index_pending
from panel.finding import mark
from tests.factories import EmailAccountFactory, MessageFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_results_are_marked_and_bounded_by_rights(client: Client) -> None:
    account = EmailAccountFactory()
    MessageFactory(email_account=account, subject="Lantern <b>order</b>", text="forty lanterns")
    MessageFactory(subject="Lantern of a stranger")
    index_pending()
    client.force_login(account.owner)
    page = client.get("/search/", {"q": "lantern"}).content.decode()
    assert "<mark>Lantern</mark> &lt;b&gt;order" in page
    assert "of a stranger" not in page
    client.force_login(UserFactory())
    assert "order" not in client.get("/search/", {"q": "lantern"}).content.decode().partition('id="rows"')[2]


def test_older_results_go_on_where_the_first_page_ended(client: Client) -> None:
    account = EmailAccountFactory()
    for number in range(60):
        MessageFactory(
            email_account=account, subject=f"Lantern {number}", received_at=timezone.now() - timedelta(hours=number)
        )
    index_pending()
    client.force_login(account.owner)
    first = client.get("/search/", {"q": "lantern"}).content.decode()
    after = first.partition("after=")[2].partition('"')[0]
    second = client.get("/search/", {"q": "lantern", "after": after}).content.decode()
    assert (first.count('id="row-'), second.count('id="row-')) == (50, 10)


@pytest.mark.parametrize("query", ["", "   ", "from:", '"', "-", "contact:x", "in:inbox before:2026", "%00", "*" * 400])
def test_any_query_is_answered(client: Client, query: str) -> None:
    client.force_login(EmailAccountFactory().owner)
    assert client.get("/search/", {"q": query}).status_code in (200, 302)


def test_marking_escapes() -> None:
    assert mark("<b>a & b</b>", ["b"]) == "&lt;<mark>b</mark>&gt;a &amp; <mark>b</mark>&lt;/<mark>b</mark>&gt;"
