"""The Email tab and a letter: what they show, what a mark changes, how much they ask the database."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone

from accounts.models import EmailAccount, User
from mail.models import Change, Message, Thread
from mail.threads import refresh
from tests.factories import FolderFactory, MessageFactory, PartFactory, ShareFactory, UserFactory
from tests.panel.demo import believable

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def mailbox(client: Client) -> tuple[User, EmailAccount]:
    user, account = believable()
    client.force_login(user)
    return user, account


def _text(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_groups_by_day_and_names_the_filters(client: Client, mailbox: Any) -> None:
    page = _text(client.get("/"))
    for words in (
        "Yesterday",
        "Not processed",
        "Casa Azulejos",
        "sales@nordlys.example is connected.",
        "Synchronize email",
    ):
        assert words in page
    assert "(4) Email" in page


def test_a_newcomer_is_shown_the_one_button(client: Client) -> None:
    client.force_login(UserFactory())
    page = _text(client.get("/"))
    assert "Your mail, beside your customers" in page
    assert "/email-accounts/new/" in page


def test_a_page_costs_the_same_queries_for_ten_rows_and_for_fifty(
    client: Client, mailbox: Any, django_assert_max_num_queries: Any
) -> None:
    _user, account = mailbox
    with django_assert_max_num_queries(22):
        client.get("/")
    for _ in range(60):
        MessageFactory(email_account=account)
    with django_assert_max_num_queries(22):
        client.get("/")


def test_the_next_page_goes_on_under_the_same_day(client: Client, mailbox: Any) -> None:
    _user, account = mailbox
    for _ in range(60):
        MessageFactory(email_account=account)
    page = _text(client.get("/"))
    after = page.partition("after=")[2].partition('"')[0]
    more = _text(client.get("/", {"after": after}, headers=HTMX))
    assert more.count('id="row-') == Thread.objects.count() - 50
    assert '<h2 class="group">Today' not in more.partition("</ul>")[0]


def test_the_list_beside_an_opened_thread_begins_shorter_and_goes_on_where_it_ends(
    client: Client, mailbox: Any
) -> None:
    _user, account = mailbox
    for _ in range(60):
        MessageFactory(email_account=account)
    page = _text(client.get(f"/threads/{Thread.objects.order_by('last_received_at')[0].pk}/"))
    assert page.count('id="row-') == 20
    after = page.partition("after=")[2].partition('"')[0]
    more = _text(client.get("/", {"after": after}, headers=HTMX))
    shown = re.findall(r'id="(row-\d+)"', page) + re.findall(r'id="(row-\d+)"', more)
    assert shown == [f"row-{one.pk}" for one in Thread.objects.order_by("-last_received_at", "-pk")[:70]]


def test_a_letter_says_what_is_doubtful(client: Client, mailbox: Any) -> None:
    thread = Thread.objects.get(subject__startswith="Updated bank")
    page = _text(client.get(f"/threads/{thread.pk}/"))
    assert "We cannot confirm who sent this." in page
    assert "a.berg@fastpay.example" in page
    assert "3 remote images are blocked" in page


def test_a_name_that_shows_another_address_is_called_out(client: Client, mailbox: Any) -> None:
    _user, account = mailbox
    message = MessageFactory(
        email_account=account, from_name="boss@nordlys.example", from_address="x@elsewhere.example"
    )
    page = _text(client.get(f"/threads/{message.thread_id}/"))
    assert "The name shows another address than the one it came from." in page
    assert "x@elsewhere.example" in page


def test_hostile_words_are_escaped_everywhere(client: Client, mailbox: Any) -> None:
    _user, account = mailbox
    bad = "<script>alert(1)</script>\"'"
    message = MessageFactory(
        email_account=account, subject=bad, from_name=bad, text=bad, has_attachments=True, to=[(bad, "a@b.example")]
    )
    PartFactory(message=message, file_name=bad, content_type=bad)
    for path in ("/", f"/threads/{message.thread_id}/", f"/messages/{message.pk}/", f"/messages/{message.pk}/body/"):
        assert "<script>alert" not in _text(client.get(path))


def test_a_gone_message_says_so(client: Client, mailbox: Any) -> None:
    message = Message.objects.get(subject__startswith="Lagos")
    Message.objects.filter(pk=message.pk).update(gone_at=timezone.now())
    assert "No longer on the server." in _text(client.get(f"/threads/{message.thread_id}/"))


def test_opening_changes_nothing_and_the_mark_makes_it_read_and_pushes(client: Client, mailbox: Any) -> None:
    thread = Thread.objects.get(subject__startswith="Updated bank")
    client.get(f"/threads/{thread.pk}/")
    assert Thread.objects.get(pk=thread.pk).unread_count == 1
    page = _text(client.post(f"/threads/{thread.pk}/mark/", {"read": "1"}, headers=HTMX))
    assert Thread.objects.get(pk=thread.pk).unread_count == 0
    assert Change.objects.filter(message__thread=thread, add=["\\Seen"]).count() == 1
    assert f'id="row-{thread.pk}"' in page and 'id="rail"' in page and "Undo" in page


def test_processing_is_undone_by_the_opposite(client: Client, mailbox: Any) -> None:
    user, _account = mailbox
    thread = Thread.objects.get(subject__startswith="Updated bank")
    client.post(f"/threads/{thread.pk}/mark/", {"processed": "1"})
    message = Message.objects.get(thread=thread)
    assert (message.processed_by, Thread.objects.get(pk=thread.pk).open_count) == (user, 0)
    client.post(f"/threads/{thread.pk}/mark/", {"processed": "0"})
    assert Thread.objects.get(pk=thread.pk).open_count == 1


def test_a_colleague_may_mark_what_is_shared_and_a_stranger_may_not(client: Client) -> None:
    share = ShareFactory()
    message = MessageFactory(email_account=share.email_account)
    client.force_login(share.user)
    assert client.post(f"/threads/{message.thread_id}/mark/", {"processed": "1"}).status_code == 302
    client.force_login(UserFactory())
    assert client.post(f"/threads/{message.thread_id}/mark/", {"processed": "0"}).status_code == 404
    assert Message.objects.get().processed_at is not None


def test_news_are_quiet_until_something_changes_and_end_with_the_share(client: Client) -> None:
    share = ShareFactory()
    client.force_login(share.user)
    state = client.get("/news/").json()["state"]
    assert client.get("/news/", {"after": state}).status_code == 204
    message = MessageFactory(email_account=share.email_account)
    refresh([message.thread_id])
    told = client.get("/news/", {"after": state}).json()
    assert told["unread"] == 1
    share.delete()
    assert client.get("/news/", {"after": told["state"]}).json()["unread"] == 0


def test_a_running_download_is_shown_with_its_count(client: Client, mailbox: Any) -> None:
    _user, account = mailbox
    folder = FolderFactory(email_account=account)
    folder.on_server = 8400
    folder.save()
    folder.copies.create(email_account=account, epoch=1, remote_key="p1", state="pending")
    page = _text(client.get("/"))
    assert "8,399 of 8,400 emails" in page


def test_an_attachment_is_a_download_whatever_its_type_says(client: Client) -> None:
    part = PartFactory(content_type="text/html", file_name="a.html")
    part.stored = storages["mail"].save("parts/a", ContentFile(b"<script>alert(1)</script>"))
    part.save()
    client.force_login(part.message.email_account.owner)
    response = client.get(f"/parts/{part.pk}/")
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == 'attachment; filename="a.html"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_an_attachment_that_is_gone_is_said_and_not_raised(client: Client) -> None:
    part = PartFactory()
    client.force_login(part.message.email_account.owner)
    response = client.get(f"/parts/{part.pk}/")
    assert response.status_code == 503
    assert "was not downloaded before the email was deleted" in response.content.decode()


def test_a_picture_that_is_none_is_not_shown(client: Client) -> None:
    part = PartFactory(content_type="image/png", file_name="a.png", size=30)
    part.stored = storages["mail"].save("parts/b", ContentFile(b"<svg onload=alert(1)></svg>"))
    part.save()
    client.force_login(part.message.email_account.owner)
    assert client.get(f"/parts/{part.pk}/preview/").status_code == 404


def test_quoted_text_and_signature_are_folded_in_the_body(client: Client, mailbox: Any) -> None:
    message = Message.objects.get(subject__startswith="Framework")
    page = _text(client.get(f"/messages/{message.pk}/body/"))
    assert '<details class="quoted"><summary>··· Signature, 3 lines' in page
