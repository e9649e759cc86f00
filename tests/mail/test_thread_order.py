"""The order of lists over many mailboxes: the same threads, however they are found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from mail import thread_order
from mail.models import Thread
from mail.queries import Cursor, ThreadFilter, View, neighbours, thread_page
from tests.factories import EmailAccountFactory, ShareFactory, ThreadFactory, UserFactory

pytestmark = pytest.mark.django_db
MAILBOXES = 13  # more than thread_order.MANY


@pytest.fixture
def reader() -> object:
    """Somebody who sees thirteen mailboxes of fifteen; every third thread is unread, some came in the same second."""
    user, noon = UserFactory(), timezone.now().replace(microsecond=0)
    accounts = [ShareFactory(user=user).email_account for _ in range(MAILBOXES)] + [EmailAccountFactory() for _ in "ab"]
    for number in range(60):
        ThreadFactory(
            email_account=accounts[number % len(accounts)],
            last_received_at=noon - timedelta(minutes=number // 2),
            message_count=0 if number == 7 else 1,
            unread_count=1 if number % 3 == 0 else 0,
        )
    return user


def expected(user: object, view: View) -> list[int]:
    rows = Thread.objects.filter(email_account__shares__user=user, message_count__gt=0)
    rows = rows.filter(unread_count__gt=0) if view == "unread" else rows
    return list(rows.order_by("-last_received_at", "-pk").values_list("pk", flat=True))


@pytest.mark.parametrize("window", [5, 12, 400])
@pytest.mark.parametrize("view", ["all", "unread"])
def test_pages_hold_every_thread_once_in_order_whatever_the_window(
    reader: object, view: View, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_order, "WINDOW", window)
    found: list[int] = []
    cursor: Cursor | None = None
    for _page in range(20):
        page = thread_page(reader, ThreadFilter(view), cursor, limit=4)
        found += [one.pk for one in page.threads]
        cursor = page.next
        if cursor is None:
            break
    assert found == expected(reader, view)


@pytest.mark.parametrize("window", [1, 400])
def test_neighbours_are_those_of_the_list(reader: object, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_order, "WINDOW", window)
    order: list[int | None] = [None, *expected(reader, "unread"), None]
    for newer, here, older in zip(order, order[1:], order[2:], strict=False):
        assert neighbours(reader, ThreadFilter("unread"), Thread.objects.get(pk=here)) == (newer, older)
