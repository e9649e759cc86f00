"""An undo takes back what the click changed, and nothing that was so before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mail.models import Message, Thread
from mail.threads import refresh
from tests.factories import EmailAccountFactory, MessageFactory, ThreadFactory, UserFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def thread(client: Client) -> Thread:
    """Four received messages of which three are read and processed."""
    user = UserFactory()
    client.force_login(user)
    account = EmailAccountFactory(owner=user)
    made = ThreadFactory(email_account=account)
    for number in range(4):
        done = None if number == 3 else timezone.now()
        MessageFactory(email_account=account, thread=made, is_read=number != 3, processed_at=done)
    refresh([made.pk])
    made.refresh_from_db()
    return made


def _undo(answer: Any) -> dict[str, str]:
    values = re.search(r"hx-vals='(\{[^']*\"quiet\"[^']*\})'", answer.content.decode())
    assert values
    return dict(re.findall(r'"(\w+)": "([^"]*)"', values[1]))


@pytest.mark.parametrize(("mark", "count"), [("processed", "open_count"), ("read", "unread_count")])
def test_an_undo_concerns_the_messages_that_the_click_changed(
    client: Client, thread: Thread, mark: str, count: str
) -> None:
    address = f"/threads/{thread.pk}/mark/"
    assert getattr(thread, count) == 1
    undo = _undo(client.post(address, {mark: "1"}, headers=HTMX))
    thread.refresh_from_db()
    assert getattr(thread, count) == 0
    client.post(address, undo, headers=HTMX)
    thread.refresh_from_db()
    assert getattr(thread, count) == 1


def test_a_click_that_changed_nothing_has_nothing_to_take_back(client: Client, thread: Thread) -> None:
    address = f"/threads/{thread.pk}/mark/"
    client.post(address, {"processed": "1"}, headers=HTMX)
    client.post(address, _undo(client.post(address, {"processed": "1"}, headers=HTMX)), headers=HTMX)
    thread.refresh_from_db()
    assert thread.open_count == 0


def test_an_undo_reaches_no_message_of_another_thread(client: Client, thread: Thread) -> None:
    other = MessageFactory(email_account=thread.email_account, processed_at=timezone.now())
    said = {"processed": "0", "only": f"{other.pk},x,{'9' * 30},²"}
    assert client.post(f"/threads/{thread.pk}/mark/", said, headers=HTMX).status_code == 200
    assert Message.objects.get(pk=other.pk).processed_at is not None
