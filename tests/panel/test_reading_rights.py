"""Only the owner and those it is shared with read a mailbox's mail; a list's page is cheap and exact."""

from __future__ import annotations

import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mail.queries import (
    Cursor,
    ThreadFilter,
    mail_counts,
    neighbours,
    newer_threads,
    open_thread,
    thread_page,
    visible_messages,
    visible_parts,
    visible_threads,
)
from tests.factories import EmailAccountFactory, FolderFactory, MessageFactory, PartFactory, ShareFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_stranger_and_an_administrator_see_nothing() -> None:
    part = PartFactory()
    for user in (UserFactory(), UserFactory(is_staff=True, is_superuser=True), UserFactory(is_mail_administrator=True)):
        assert not visible_messages(user).exists()
        assert not visible_threads(user).exists()
        assert not visible_parts(user).exists()
        assert open_thread(user, part.message.thread_id) is None
        assert thread_page(user, ThreadFilter()).threads == []


def test_the_owner_and_a_colleague_it_is_shared_with_see_it() -> None:
    share = ShareFactory()
    message = MessageFactory(email_account=share.email_account)
    for user in (share.user, share.email_account.owner):
        assert list(visible_messages(user)) == [message]
        assert [one.pk for one in thread_page(user, ThreadFilter()).threads] == [message.thread_id]


def test_trashed_mail_is_not_shown() -> None:
    message = MessageFactory(trashed_at=timezone.now())
    assert not visible_messages(message.email_account.owner).exists()


@pytest.mark.parametrize("mailboxes", [1, 3])
def test_pages_follow_each_other_without_gap_or_repetition(mailboxes: int) -> None:
    owner = UserFactory()
    accounts = [EmailAccountFactory(owner=owner) for _ in range(mailboxes)]
    moment = timezone.now()
    expected = [
        MessageFactory(
            email_account=accounts[number % mailboxes], received_at=moment - datetime.timedelta(seconds=number // 4)
        ).thread_id
        for number in range(30)
    ]
    seen, cursor = [], None
    while True:
        page = thread_page(owner, ThreadFilter(), cursor, limit=7)
        seen += [(-thread.last_received_at.timestamp(), -thread.pk) for thread in page.threads]
        cursor = page.next
        if cursor is None:
            break
    assert seen == sorted(seen)
    assert sorted(-pk for _, pk in seen) == sorted(expected)


def test_a_page_costs_the_same_queries_for_one_row_and_for_fifty() -> None:
    owner = UserFactory()
    accounts = [EmailAccountFactory(owner=owner) for _ in range(3)]
    MessageFactory(email_account=accounts[0])
    with CaptureQueriesContext(connection) as for_one:
        assert len(thread_page(owner, ThreadFilter()).threads) == 1
    for number in range(60):
        MessageFactory(email_account=accounts[number % 3])
    with CaptureQueriesContext(connection) as for_fifty:
        assert len(thread_page(owner, ThreadFilter()).threads) == 50
    asked = 3 if connection.vendor == "postgresql" else 4  # there one statement looks into each mailbox
    assert (len(for_one), len(for_fifty)) == (asked, asked)


def test_the_views_choose_by_their_counters() -> None:
    owner = UserFactory()
    account = EmailAccountFactory(owner=owner)
    unread = MessageFactory(email_account=account)
    read = MessageFactory(email_account=account, is_read=True)
    done = MessageFactory(email_account=account, is_read=True, processed_at=timezone.now())
    sent = MessageFactory(email_account=account, is_outgoing=True, is_read=True)

    def shown(view: str) -> set[int]:
        return {thread.pk for thread in thread_page(owner, ThreadFilter(view)).threads}  # type: ignore[arg-type]

    assert shown("all") == {unread.thread_id, read.thread_id, done.thread_id, sent.thread_id}
    assert shown("unread") == {unread.thread_id}
    assert shown("open") == {unread.thread_id, read.thread_id}
    assert shown("sent") == {sent.thread_id}
    assert shown("drafts") == set()
    counts = mail_counts([account.pk])[account.pk]
    assert (counts.unread, counts.open, counts.drafts) == (1, 2, 0)


def test_a_folder_shows_each_thread_once_at_its_newest_mail_there() -> None:
    owner = UserFactory()
    account = EmailAccountFactory(owner=owner)
    inbox, other = FolderFactory(email_account=account), FolderFactory(email_account=account, remote_id="Tenders")
    now = timezone.now()
    old = MessageFactory(email_account=account, folder=inbox, received_at=now - datetime.timedelta(days=2))
    MessageFactory(email_account=account, folder=inbox, thread=old.thread, received_at=now)
    middle = MessageFactory(email_account=account, folder=inbox, received_at=now - datetime.timedelta(days=1))
    MessageFactory(email_account=account, folder=other)
    filters = ThreadFilter(folder_id=inbox.pk)
    first = thread_page(owner, filters, limit=1)
    assert [one.pk for one in first.threads] == [old.thread_id]
    rest = thread_page(owner, filters, first.next)
    assert [one.pk for one in rest.threads] == [middle.thread_id]
    assert thread_page(UserFactory(), filters).threads == []


def test_the_first_page_grows_by_what_arrived_and_keeps_its_end() -> None:
    owner = UserFactory()
    account = EmailAccountFactory(owner=owner)
    first = [MessageFactory(email_account=account).thread_id for _ in range(3)]
    page = thread_page(owner, ThreadFilter(), limit=2)
    arrived = MessageFactory(email_account=account).thread_id
    grown = newer_threads(owner, ThreadFilter(), page.last)
    assert [one.pk for one in grown.threads] == [arrived, first[2], first[1]]


def test_neighbours_are_the_rows_above_and_below() -> None:
    owner = UserFactory()
    accounts = [EmailAccountFactory(owner=owner) for _ in range(2)]
    threads = [MessageFactory(email_account=accounts[number % 2]).thread for number in range(3)]
    assert neighbours(owner, ThreadFilter(), threads[1]) == (threads[2].pk, threads[0].pk)
    assert neighbours(owner, ThreadFilter(), threads[2]) == (None, threads[1].pk)


@pytest.mark.parametrize("text", ["", "x", "1", "1.x", "9" * 50 + ".1", "1." + "9" * 30, "1.1.1", "-5.3"])
def test_a_cursor_takes_any_text(text: str) -> None:
    cursor = Cursor.read(text)
    assert cursor is None or Cursor.read(str(cursor)) == cursor
