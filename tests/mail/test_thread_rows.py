"""A thread's row is made of its messages, in memory for a new one and from the rows for an old one: the same row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DataError, connection, transaction
from django.utils import timezone

from base.bulk import update_rows
from mail.models import Message, Thread
from mail.thread_rows import SHOWN, Shown, thread_row
from mail.threads import refresh
from tests.factories import MessageFactory, ThreadFactory
from tests.sync.conftest import World, mail, make_world

__all__ = ["make_world"]
AT = datetime(2026, 11, 20, 8, tzinfo=UTC)


def shown(number: int, **values: object) -> Shown:
    usual: dict[str, object] = {
        "thread": 1, "received_at": AT + timedelta(hours=number), "id": number, "subject": f"Mail {number}",
        "snippet": f"Snippet {number}", "from_name": "Ida", "from_address": "ida@customer.example", "is_outgoing": False,
        "is_draft": False, "is_read": False, "processed_at": None, "has_attachments": False, "is_flagged": False,
    }  # fmt: skip
    return Shown(**{**usual, **values})  # type: ignore[arg-type]


def row(*messages: Shown) -> dict[str, object]:
    return dict(zip(SHOWN, thread_row(messages), strict=True))


def test_the_first_names_it_and_the_last_speaks() -> None:
    made = row(shown(1), shown(2))
    assert (made["subject"], made["snippet"], made["last_received_at"]) == (
        "Mail 1", "Snippet 2", AT + timedelta(hours=2),
    )  # fmt: skip


def test_received_sent_and_drafts_are_counted_apart() -> None:
    made = row(
        shown(1),
        shown(2, is_read=True, processed_at=AT),
        shown(3, is_outgoing=True),
        shown(4, is_draft=True),
        shown(5, is_draft=True, is_outgoing=True),
    )
    names = ("message_count", "unread_count", "open_count", "sent_count", "draft_count")
    assert [made[name] for name in names] == [5, 1, 1, 1, 2]


def test_people_stand_once_each_oldest_first_and_eight_at_most() -> None:
    made = row(*(shown(n, from_address=f"p{n % 10}@customer.example", from_name=f"P{n}") for n in range(1, 25)))
    people = made["participants"]
    assert isinstance(people, list)
    assert [one[1] for one in people] == [f"p{n}@customer.example" for n in range(1, 9)]
    assert people[0] == ["P1", "p1@customer.example", False]


@pytest.mark.django_db
def test_what_was_made_in_memory_is_what_the_rows_make(make_world: Callable[..., World]) -> None:
    world = make_world()
    inbox = world.server.folders["INBOX"]
    for number in range(1, 30):
        parent = number // 3 if number % 3 else None
        flags = ("\\Seen",) if number % 2 else ("\\Flagged",)
        at = timezone.now() - timedelta(minutes=100 - number)
        inbox.add(mail(number, reply_to=parent or None), flags=flags, received_at=at)
    world.sync()
    before = list(Thread.objects.order_by("pk").values("pk", *SHOWN))
    assert len(before) > 5 and any(one["message_count"] > 2 for one in before)
    refresh([one["pk"] for one in before])
    assert list(Thread.objects.order_by("pk").values("pk", *SHOWN)) == before
    assert set(Message.objects.values_list("thread_id", flat=True)) == {one["pk"] for one in before}


@pytest.mark.django_db
def test_a_thread_whose_mail_is_all_in_the_trash_counts_none_and_keeps_its_name() -> None:
    thread = ThreadFactory(subject="Lanterns", message_count=1, unread_count=1)
    MessageFactory(thread=thread, email_account=thread.email_account, trashed_at=timezone.now())
    refresh([thread.pk])
    thread.refresh_from_db()
    assert (thread.subject, thread.message_count, thread.unread_count) == ("Lanterns", 0, 0)


@pytest.mark.django_db
def test_many_rows_are_updated_each_with_its_own_values() -> None:
    one, other, untouched = ThreadFactory(), ThreadFactory(), ThreadFactory(subject="as it was")
    people = [["Ida \\ \"'\n", "ida@customer.example", True]]
    update_rows(
        Thread,
        ("subject", "participants", "last_received_at", "message_count", "is_flagged"),
        [("Größe 🏮 %s", people, AT, 3, True, one.pk), ("", [], AT, 0, False, other.pk)],
    )
    one.refresh_from_db()
    other.refresh_from_db()
    untouched.refresh_from_db()
    assert (one.subject, one.participants, one.last_received_at) == ("Größe 🏮 %s", people, AT)
    assert (one.message_count, one.is_flagged, other.subject) == (3, True, "")
    assert untouched.subject == "as it was"


@pytest.mark.django_db
def test_what_does_not_fit_is_refused_and_never_cut() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite knows no lengths")
    thread = ThreadFactory(snippet="short")
    for value in ("x" * 251, "a\x00b"):
        with pytest.raises((DataError, ValueError)), transaction.atomic():
            update_rows(Thread, ("snippet",), [(value, thread.pk)])
    thread.refresh_from_db()
    assert thread.snippet == "short"
