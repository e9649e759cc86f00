"""The page *Why isn't this email here?*: for those who may see the mailbox, and for nobody else."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from accounts.models import ShareLevel
from mail.models import Copy, CopyState, Message
from tests.conftest import Doorbell
from tests.factories import PASSWORD, ShareFactory, UserFactory
from tests.sync.conftest import World, mail


def _client(user: object) -> Client:
    client = Client()
    assert client.login(username=user.username, password=PASSWORD)
    return client


def test_the_answer_names_the_reason_and_the_import_opens_the_email(world: World) -> None:
    world.server.folders["Junk"].add(mail(5, subject="Offer <b>lost</b>"))
    world.sync()
    client = _client(world.account.owner)
    url = reverse("panel:why", args=[world.account.pk])
    assert "Ask the server" in client.get(url, {"q": "Offer"}).content.decode()
    page = client.get(url, {"q": "Offer", "server": "1"}).content.decode()
    assert "It lies in Junk, which is not downloaded." in page
    assert "Offer &lt;b&gt;lost" in page and "<b>lost</b>" not in page
    junk = world.account.folders.get(remote_id="Junk")
    answer = client.post(reverse("panel:why_import", args=[world.account.pk]), {"folder": junk.pk, "key": "1"})
    message = Message.objects.get(subject="Offer <b>lost</b>")
    assert answer.url == reverse("panel:thread", args=[message.thread_id])


def test_unreadable_emails_are_listed_and_tried_again(world: World, doorbell: Doorbell) -> None:
    world.deliver(1)
    world.sync()
    Copy.objects.update(state=CopyState.FAILED, reason="takes <too> long", message=None)
    client = _client(world.account.owner)
    page = client.get(reverse("panel:why", args=[world.account.pk])).content.decode()
    assert "takes &lt;too&gt; long" in page
    client.post(reverse("panel:why_try_again", args=[world.account.pk]))
    assert Copy.objects.get().state == CopyState.PENDING


def test_a_server_that_is_away_is_said_and_the_ledger_still_answers(world: World) -> None:
    world.deliver(1)
    world.sync()
    world.server.password = "changed"
    page = _client(world.account.owner).get(
        reverse("panel:why", args=[world.account.pk]), {"q": "Mail 1", "server": "1"}
    )
    assert "The mail server does not answer." in page.content.decode() and "Mail 1" in page.content.decode()


def test_who_may_see_may_ask_and_a_stranger_finds_nothing(world: World) -> None:
    share = ShareFactory(email_account=world.account, level=ShareLevel.SEE)
    strangers = [UserFactory(), UserFactory(is_mail_administrator=True), UserFactory(is_staff=True, is_superuser=True)]
    names = {"why": "get", "why_import": "post", "why_try_again": "post"}
    for name, method in names.items():
        url = reverse(f"panel:{name}", args=[world.account.pk])
        for user in strangers:
            assert getattr(_client(user), method)(url, {"folder": "1", "key": "1"}).status_code == 404
        assert getattr(Client(), method)(url).status_code == 302
    assert _client(share.user).get(reverse("panel:why", args=[world.account.pk])).status_code == 200
