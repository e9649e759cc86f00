"""Rows, menus and shut messages are made without templates: what a stranger wrote must stay text in them, too."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from linking.models import MessageLink, Reason
from mail.models import Message, Thread
from mail.queries import ThreadFilter
from mail.search import index_pending
from mail.threads import refresh
from panel.filters import ListAddress
from panel.finding import mark
from panel.lists import AccountLine
from panel.row_html import accounts_html, rows_html
from panel.rows import Chip, Row
from tests.factories import (
    CompanyFactory,
    EmailAccountFactory,
    MessageFactory,
    UserFactory,
)

HOSTILE = "</span><script>alert(1)</script><img src=x onerror=alert(2)>\"'{0}{names}%d@@&lt;"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ELEMENTS = {"li", "a", "i", "span", "time", "button", "svg", "path", "circle", "line", "rect", "polyline", "mark"}
words = st.text(max_size=40) | st.sampled_from([HOSTILE, "{id}", "@@", '" onclick="alert(1)', "<mark>", "&amp;"])


class Elements(HTMLParser):
    """The elements of a piece of HTML, their attributes' names, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def row(**changes: Any) -> Row:
    thread = Thread(
        pk=7, subject=changes.pop("subject", "Lamps"), snippet=changes.pop("snippet", "Hello"), message_count=3,
        unread_count=1, open_count=1, has_attachments=True, is_flagged=True, last_received_at=NOON,
    )  # fmt: skip
    return Row(
        thread=thread, url="/threads/7/", names=changes.pop("names", "Ida"), mark_url="/m/", act_url="/a/", **changes
    )


@given(subject=words, snippet=words, names=words, label=words, query=words)
def test_no_word_of_a_mail_becomes_an_element_or_an_attribute(
    subject: str, snippet: str, names: str, label: str, query: str
) -> None:
    suffix = ListAddress(ThreadFilter(), query).suffix
    one = row(subject=subject, snippet=snippet, names=names, chips=[Chip("person", label, 1)], is_suspicious=True)
    hostile = Elements(rows_html([one], current=7, swap=True))
    plain = Elements(rows_html([row(chips=[Chip("person", "Ida", 1)], is_suspicious=True)], current=7, swap=True))
    assert (hostile.names, hostile.attributes) == (plain.names, plain.attributes)
    assert hostile.names <= ELEMENTS
    assert '"' not in suffix and "<" not in suffix


def test_the_words_stand_there_as_they_were_written() -> None:
    text = Elements(
        rows_html([row(subject=HOSTILE, snippet=HOSTILE, names=HOSTILE, chips=[Chip("person", HOSTILE, 1)])])
    ).text
    assert text.count(HOSTILE) == 4


def test_results_keep_their_marks_and_nothing_else() -> None:
    one = row(subject_html=mark(HOSTILE, ["alert"]), snippet_html=mark("an alert", ["alert"]))
    assert Elements(rows_html([one])).names <= ELEMENTS
    assert rows_html([one]).count("<mark>alert</mark>") == 3


def test_an_address_in_the_menu_is_text() -> None:
    made = Elements(
        accounts_html([AccountLine(HOSTILE, "/?account=1", True, 5), AccountLine("b@c.example", "/", False, 0)])
    )
    assert made.names == {"a", "span"}
    assert HOSTILE in made.text


def test_a_row_speaks_the_readers_language_after_it_spoke_another() -> None:
    english = rows_html([row()])
    with translation.override("de"):
        rows_html([row()])
    assert rows_html([row()]) == english


@pytest.mark.django_db
def test_hostile_words_stay_text_in_the_list_the_thread_and_the_results(client: Client) -> None:
    account = EmailAccountFactory()
    messages = [MessageFactory(email_account=account, subject=HOSTILE, from_name=HOSTILE, text=HOSTILE, is_read=True)]
    for _ in range(5):
        messages.append(
            MessageFactory(
                email_account=account, thread=messages[0].thread, from_name=HOSTILE, snippet=HOSTILE, is_read=True
            )
        )
    company = CompanyFactory(name=HOSTILE)
    MessageLink.objects.create(message=messages[0], company=company, reason=Reason.CONTACT_ADDRESS, evidence={})
    refresh([messages[0].thread_id])
    index_pending()
    client.force_login(account.owner)
    for path in ("/", f"/threads/{messages[0].thread_id}/", "/search/?q=alert", f"/?account={account.pk}"):
        page = client.get(path).content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page
        assert "script" in page


@pytest.mark.django_db
def test_going_to_a_thread_from_the_list_asks_for_the_thread_alone(client: Client) -> None:
    account = EmailAccountFactory()
    message = MessageFactory(email_account=account)
    client.force_login(account.owner)
    client.get("/news/")  # the first request of a session writes down where it comes from
    with CaptureQueriesContext(connection) as whole:
        page = client.get(f"/threads/{message.thread_id}/").content.decode()
    with CaptureQueriesContext(connection) as part:
        letter = client.get(f"/threads/{message.thread_id}/", headers={"HX-Request": "true"}).content.decode()
    assert 'id="rows"' in page and 'id="rows"' not in letter and 'id="letter"' in letter
    assert len(part) < len(whole) <= 26


@pytest.mark.django_db
def test_a_thread_costs_the_same_queries_for_one_message_and_for_many(client: Client) -> None:
    account = EmailAccountFactory()
    message = MessageFactory(email_account=account, is_read=True)
    client.force_login(account.owner)
    client.get("/news/")  # the first request of a session writes down where it comes from
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/threads/{message.thread_id}/")
        costs.append(len(queries))
        for _number in range(30):
            MessageFactory(email_account=account, thread=message.thread, is_read=True)
        refresh([message.thread_id])
    assert costs[0] == costs[1]


@pytest.mark.django_db
def test_a_reader_gets_no_button_that_moves_mail(client: Client) -> None:
    account = EmailAccountFactory()
    MessageFactory(email_account=account)
    reader = UserFactory()
    account.shares.create(user=reader, level="see")
    client.force_login(reader)
    page = client.get("/").content.decode()
    assert 'data-mark="read"' in page and 'data-act="delete"' not in page
    client.force_login(account.owner)
    assert 'data-act="delete"' in client.get("/").content.decode()
    assert Message.objects.count() == 1
