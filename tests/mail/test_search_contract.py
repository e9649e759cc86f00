"""The contract of both search engines: SQLite's FTS5 and PostgreSQL's GIN find the same.

Run on both: TEST_DATABASE=postgres runs the same tests there.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.models import Message, MessageContent
from mail.search import Position, index_messages, index_pending, remove, search
from mail.search_query import Filter
from tests.factories import EmailAccountFactory, FolderFactory, MessageFactory, PartFactory

pytestmark = pytest.mark.django_db

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture
def account() -> Any:
    """A mailbox."""
    return EmailAccountFactory(address="maren@nordlys.example", display_name="Nordlys sales")


def _message(account: Any, text: str = "", *, minutes: int = 0, index: bool = True, **fields: Any) -> int:
    fields.setdefault("subject", "Nothing special")
    message = MessageFactory(
        email_account=account, text=text, received_at=NOW - datetime.timedelta(minutes=minutes), **fields
    )
    if index:
        index_messages([message.pk])
    return int(message.pk)


def _count_of_rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mail_search")
        return int(cursor.fetchone()[0])


def test_a_word_is_found_in_subject_body_names_addresses_and_file_names(account: Any) -> None:
    found = {
        "body": _message(account, "The zebrafish arrived"),
        "subject": _message(account, subject="About zebrafish"),
        "name": _message(account, from_name="Zebrafish Limited"),
        "address": _message(account, from_address="info@zebrafish.example"),
        "to": _message(account, to=[("", "zebrafish@crm.example")]),
    }
    part = PartFactory(
        message=MessageFactory(email_account=account, received_at=NOW, has_attachments=True), file_name="zebrafish.pdf"
    )
    index_messages([part.message_id])
    assert set(search([account.pk], "zebrafish")) == {*found.values(), part.message_id}


def test_results_are_newest_first_and_paged_without_gaps(account: Any) -> None:
    ids = [_message(account, "offer", minutes=minute) for minute in (3, 1, 2, 0, 5, 4)]
    newest = [ids[index] for index in (3, 1, 2, 0, 5, 4)]
    assert search([account.pk], "offer") == newest
    pages, before = [], None
    while page := search([account.pk], "offer", limit=2, before=before):
        pages.append(page)
        last = Message.objects.get(pk=page[-1])
        before = Position(last.received_at, last.pk)
    assert pages == [newest[:2], newest[2:4], newest[4:]]


def test_messages_of_the_same_second_are_paged_without_gaps(account: Any) -> None:
    ids = [_message(account, "offer") for _ in range(5)]
    first = search([account.pk], "offer", limit=3)
    last = Message.objects.get(pk=first[-1])
    assert first + search([account.pk], "offer", before=Position(last.received_at, last.pk)) == ids[::-1]


@pytest.mark.parametrize(
    ("text", "query", "is_found"),
    [
        ("Réunion à l'École", "reunion ecole", True),
        ("reunion", "RÉUNION", True),
        ("Straße nach Łódź", "strasse lodz", True),
        ("ﬁnal ＯＦＦＥＲ", "final offer", True),
        ("請到東京都開會", "東京", True),
        ("請到東京都開會", "東京都", True),
        ("請到東京都開會", "京東", False),
        ("請到東京都開會", "東", True),
        ("한국어 메일", "한국", True),
        ("приложение к Договору", "договору", True),
        ("สวัสดีครับ", "สวัสดี", True),
        ("the final draft", '"final draft"', True),
        ("the final draft", '"draft final"', False),
        ("final or first draft", '"final draft"', False),
        ("final or first draft", "draft final", True),
        ("invoices attached", "invoi*", True),
        ("invoices attached", "invoi", False),
        ("invoices attached", '"invoices att"*', True),
        ("see https://shop.example/a-b?c=1", "shop.example/a-b", True),
        ("write to ida.lind@corp.example", "ida.lind@corp.example", True),
        ("write to ida.lind@corp.example", "lind.ida@corp.example", False),
        ("offer for Ida", "offer -ida", False),
        ("offer for Ida", "offer -jonas", True),
        ("offer for Ida", '-"for ida"', False),
        ("offer for Ida", "-jonas", True),
        ("C++ and 100% (really) O'Brien", "c++ 100% o'brien", True),
        ("version 2.0.1", '"2.0.1"', True),
    ],
)
def test_both_engines_find_the_same_words(account: Any, text: str, query: str, is_found: bool) -> None:
    message = _message(account, text, from_name="Somebody", from_address="somebody@else.example")
    _message(EmailAccountFactory(), text)
    assert search([account.pk], query) == ([message] if is_found else [])


def test_a_phrase_never_spans_subject_people_and_body(account: Any) -> None:
    _message(account, "beta", subject="alpha", from_name="gamma", to=[("delta", "epsilon@crm.example")])
    for phrase in ('"alpha gamma"', '"alpha beta"', '"delta epsilon"', '"gamma delta"', '"example beta"'):
        assert search([account.pk], phrase) == [], phrase
    assert len(search([account.pk], '"epsilon crm example" beta')) == 1


def test_from_to_cc_and_subject_look_only_there(account: Any) -> None:
    ida = _message(account, "jonas", from_name="Ida Lindqvist", from_address="ida@customer.example", subject="Plan")
    jonas = _message(
        account,
        "ida plan",
        from_name="Jonas Berg",
        from_address="jonas@other.example",
        to=[("Ida", "ida@customer.example")],
    )

    def find(query: str) -> list[int]:
        return search([account.pk], query)

    assert (
        find("from:ida")
        == find("from:lindq")
        == find("from:ida@customer.example")
        == find("from:customer.exam")
        == [ida]
    )
    assert find('from:"Ida Lindqvist"') == [ida]
    assert find("to:ida") == find("to:customer.example") == [jonas]
    assert find("subject:plan") == find("-from:jonas") == [ida]
    assert find("-subject:plan") == [jonas]
    assert find("from:nobody") == find("cc:ida") == []
    assert set(find("contact:ida")) == {ida, jonas}


def test_states_folders_files_and_dates_narrow_the_words(account: Any) -> None:
    sent = FolderFactory(email_account=account, remote_id="Sent Items", role="sent")
    below = FolderFactory(email_account=account, remote_id="Clients/Nordlys")
    old = _message(account, "offer", minutes=60 * 24 * 40, is_read=True, is_flagged=True, folder=below)
    new = _message(account, "offer", has_attachments=True, folder=FolderFactory(email_account=account))
    mine = _message(account, "offer", minutes=5, is_outgoing=True, is_read=True, folder=sent)

    def find(query: str) -> list[int]:
        assert search([account.pk], query) == search([account.pk], f"offer {query}")
        return search([account.pk], query)

    assert find("is:unread") == [new]
    assert find("-is:unread") == [mine, old]
    assert find("is:flagged") == [old]
    assert find("is:sent") == find("in:sent") == find('in:"sent items"') == [mine]
    assert find("in:clients") == find("in:nordlys") == find("in:clients/nordlys") == [old]
    assert find("in:inbox is:read") == find("in:nowhere") == []
    assert find("has:attachment") == [new]
    assert find("-has:attachment") == [mine, old]
    assert find("before:2026-11-01") == [old]
    assert find("after:2026-11-20") == [new, mine]
    assert find("after:2026-11-21") == []
    assert find("after:2026-10 before:2026-11") == [old]


def test_account_narrows_to_a_mailbox_by_address_or_name(account: Any) -> None:
    other = EmailAccountFactory(address="support@nordlys.example")
    here, there = _message(account, "offer"), _message(other, "offer", minutes=1)
    both = [account.pk, other.pk]
    assert search(both, "offer") == [here, there]
    assert search(both, "offer account:support") == search(both, "account:support@nordlys.example") == [there]
    assert search(both, "offer account:sales") == search(both, "offer -account:support") == [here]
    assert search(both, "offer account:nobody") == []


def test_contact_and_company_are_what_the_caller_says(account: Any) -> None:
    first, second = _message(account, "offer"), _message(account, "offer", minutes=1)
    asked: list[Filter] = []

    def resolve(one: Filter) -> Q:
        asked.append(one)
        return Q(pk__in=[second])

    assert search([account.pk], "offer contact:ida", resolve=resolve) == [second]
    assert search([account.pk], "-company:nordlys", resolve=resolve) == [first]
    assert [one.kind for one in asked] == ["contact", "company"]


@pytest.mark.parametrize("extra", [0, 30])
def test_nothing_of_a_mailbox_that_was_not_asked_for_is_ever_found(account: Any, extra: int) -> None:
    mine = _message(account, "secret offer")
    strangers = EmailAccountFactory()
    _message(strangers, "secret offer", has_attachments=True)
    asked = [account.pk, *(one.pk for one in EmailAccountFactory.create_batch(extra))]
    for query in ("secret", "offer -nothing", "-nothing", "has:attachment", "is:unread", '"secret offer"', "sec*"):
        assert set(search(asked, query)) <= {mine}, query
    for query in (f"§a{strangers.pk}", f"a{strangers.pk}", f'"§a{strangers.pk}"', f"-§a{account.pk}"):
        assert set(search(asked, query)) <= {mine}, query
    assert search([], "secret") == []


def test_an_empty_query_finds_nothing(account: Any) -> None:
    _message(account, "offer")
    for query in ("", "  ", "!!!", '""', "-"):
        assert search([account.pk], query) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=120),
        st.lists(
            st.sampled_from(
                [
                    '"',
                    "'",
                    "-",
                    "*",
                    ":",
                    "(",
                    ")",
                    " ",
                    "from:",
                    "in:",
                    "is:unread",
                    "before:2026",
                    "NEAR(",
                    " AND ",
                    " OR ",
                ]
                + [
                    " NOT ",
                    "\\",
                    "&",
                    "|",
                    "!",
                    "<->",
                    "offer",
                    "é",
                    "日",
                    "§",
                    "§a1",
                    "^",
                    "{",
                    "%s",
                    "%",
                    ";--",
                    "\x00",
                ]
            ),
            max_size=25,
        ).map("".join),
    )
)
def test_no_query_makes_an_engine_fail_or_show_a_stranger(text: str) -> None:
    account = EmailAccountFactory(address="hostile@nordlys.example") if not Message.objects.exists() else None
    if account is not None:
        _message(account, "offer")
        _message(EmailAccountFactory(), "offer")
    mine = Message.objects.earliest("pk")
    assert set(search([mine.email_account_id], text)) <= {mine.pk}


def test_pending_messages_are_indexed_newest_first(account: Any) -> None:
    ids = [_message(account, "offer", minutes=minute, index=False) for minute in (2, 0, 1)]
    assert search([account.pk], "offer") == []
    assert index_pending(limit=2) == 2
    assert search([account.pk], "offer") == [ids[1], ids[2]]
    assert index_pending() == 1
    assert index_pending() == 0
    assert search([account.pk], "offer") == [ids[1], ids[2], ids[0]]


def test_indexing_again_replaces_and_makes_nothing_twice(account: Any) -> None:
    message = _message(account, "before")
    MessageContent.objects.filter(pk=message).update(text="afterwards")
    index_messages([message, message])
    assert search([account.pk], "before") == []
    assert search([account.pk], "afterwards") == [message]
    assert _count_of_rows() == 1


def test_a_deleted_message_leaves_the_index_and_a_trashed_one_is_not_found(account: Any) -> None:
    gone, trashed, kept = (_message(account, "offer", minutes=minute) for minute in range(3))
    Message.objects.filter(pk=gone).delete()
    assert _count_of_rows() == 2
    Message.objects.filter(pk=trashed).update(trashed_at=timezone.now())
    assert search([account.pk], "offer", limit=1) == [kept]
    remove([kept])
    assert search([account.pk], "offer") == []
    assert index_pending() == 0


@pytest.mark.parametrize(
    "moment", ["1969-12-31T23:59:59.999999+00:00", "2026-01-01T00:00:00.999999+00:00", "2150-01-01T00:00:00+00:00"]
)
def test_any_time_of_receipt_is_indexed_and_deleted(account: Any, moment: str) -> None:
    message = MessageFactory(email_account=account, text="offer", received_at=datetime.datetime.fromisoformat(moment))
    assert index_pending() == 1
    assert search([account.pk], "offer") == [message.pk]
    message.delete()
    assert _count_of_rows() == 0


def test_quoted_lines_of_a_reply_are_left_out_and_those_of_a_first_mail_are_not(account: Any) -> None:
    text = "New words\n\n> quoted zebra\n>> older lion\n"
    reply = MessageFactory(email_account=account, text=text, received_at=NOW)
    MessageContent.objects.filter(pk=reply.pk).update(in_reply_to="a@b")
    first = MessageFactory(email_account=account, text=text, received_at=NOW - datetime.timedelta(minutes=1))
    index_pending()
    assert search([account.pk], "zebra") == [first.pk]
    assert search([account.pk], "new words") == [reply.pk, first.pk]


def test_an_enormous_message_is_indexed_and_still_found_by_its_beginning_and_far_words(account: Any) -> None:
    words = " ".join(f"word{number}" for number in range(200_000))
    message = _message(account, f"needle {words}", subject="x" * 900)
    assert search([account.pk], "needle word1") == [message]
    assert search([account.pk], "word20000") == [message]
    many = _message(account, "again " * 100_000 + "rare")
    assert search([account.pk], "again -needle") == [many]


def test_a_message_without_content_and_with_broken_people_is_indexed(account: Any) -> None:
    message = MessageFactory(email_account=account, received_at=NOW, subject="Lonely offer")
    MessageContent.objects.filter(pk=message.pk).delete()
    broken = MessageFactory(email_account=account, received_at=NOW)
    MessageContent.objects.filter(pk=broken.pk).update(recipients={"from": [["It's \\ a 'trap'", ""]]})
    assert index_pending() == 2
    assert search([account.pk], "lonely") == [message.pk]
    assert search([account.pk], 'from:"a trap"') == [broken.pk]


def test_results_come_in_order_over_years_and_mailboxes(account: Any) -> None:
    other = EmailAccountFactory()
    ids = [
        _message(one, "offer", minutes=60 * 24 * days) for days in (1, 20, 90, 500, 2000) for one in (account, other)
    ]
    both = [account.pk, other.pk]
    for limit in range(1, 12):
        assert [Message.objects.get(pk=pk).received_at for pk in search(both, "offer", limit=limit)] == [
            Message.objects.get(pk=pk).received_at for pk in ids[:limit]
        ]
        assert set(search(both, "is:unread", limit=limit)[:-1]) <= set(ids[:limit])
    assert len(search(both, "offer before:2025-11")) == 4
    assert search([account.pk], "offer before:2025-11") == [ids[6], ids[8]]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_row_that_the_database_itself_refuses_keeps_no_other_waiting(account: Any) -> None:
    good, bad = (_message(account, text, index=False) for text in ("beeswax", "poisonwords"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mail_search ADD CONSTRAINT no_poison CHECK (vector::text NOT LIKE '%poisonwords%')")
    try:
        index_pending()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE mail_search DROP CONSTRAINT no_poison")
    assert search([account.pk], "beeswax") == [good] and search([account.pk], "poisonwords") == []
    assert not Message.objects.filter(is_indexed=False, pk__in=[good, bad]).exists()
