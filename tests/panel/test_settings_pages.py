"""What the settings of an email account do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AccountState, Credential, EmailAccount
from accounts.vault import store_secret
from mail.erase import erase_mail
from mail.models import Copy, Message, Thread
from notifications.models import Notification
from tests.factories import (
    CopyFactory,
    EmailAccountFactory,
    EmailAccountServerFactory,
    FolderFactory,
    MessageFactory,
    PartFactory,
    UserFactory,
)
from tests.panel.wizard_roles import House, build_house

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> House:
    return build_house()


def page(house: House, name: str = "email_account", *more: int) -> str:
    return reverse(f"panel:{name}", args=[house.account.pk, *more])


def save(house: House, **changes: Any) -> EmailAccount:
    values = {"display_name": "Maren", "period": "week", "auto_download": "on", "can_send": "on"} | changes
    response = house.clients["owner"].post(page(house), values)
    assert response.status_code == 302
    return EmailAccount.objects.get()


def test_the_ledger_stands_on_the_page(house: House) -> None:
    folder = house.account.folders.get()
    folder.on_server, folder.on_server_at = 3, timezone.now()
    folder.save()
    for state in ("stored", "failed", "pending"):
        CopyFactory(folder=folder, state=state)
    text = house.clients["owner"].get(page(house)).content.decode()
    assert "Every email accounted for" in text
    assert "1 of 3 stored, 1 failed" in text


def test_a_wider_period_moves_the_first_day_and_asks_for_a_sync(house: House, with_tasks: Any, doorbell: Any) -> None:
    account = save(house, period="month")
    assert account.period == "month"
    assert account.since == timezone.localdate() - timedelta(days=31)
    assert account.sync_requested_at is not None


def test_the_first_day_stays_when_the_period_is_saved_unchanged(house: House) -> None:
    EmailAccount.objects.update(since="2026-01-02", period="week")
    assert str(save(house).since) == "2026-01-02"


def test_a_signature_is_cleaned(house: House) -> None:
    dirty = '<b>Nordlys</b><script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>'
    account = save(house, signature_html=dirty)
    assert account.signature_html == '<b>Nordlys</b><a rel="noopener noreferrer">x</a>'


def test_there_is_one_default_sender(house: House) -> None:
    first = house.account
    first.is_default_sender = True
    first.save()
    other = second_account(first.owner)
    house.clients["owner"].post(
        reverse("panel:email_account", args=[other.pk]), {"period": "week", "can_send": "on", "is_default_sender": "on"}
    )
    assert list(EmailAccount.objects.filter(is_default_sender=True)) == [other]


def second_account(owner: Any) -> EmailAccount:
    account = EmailAccountFactory(owner=owner)
    EmailAccountServerFactory(email_account=account, protocol="smtp")
    return account


def test_folders_of_another_mailbox_cannot_be_named(house: House) -> None:
    foreign = FolderFactory(is_followed=False)
    response = house.clients["owner"].post(
        page(house), {"period": "week", "has_folders": "on", "folders": [foreign.pk]}
    )
    assert response.status_code == 200
    foreign.refresh_from_db()
    assert not foreign.is_followed


def test_a_folder_is_no_longer_followed(house: House) -> None:
    save(house, has_folders="on")
    assert not house.account.folders.get().is_followed
    assert EmailAccount.objects.get().folders_chosen_at is not None


def test_change_settings_answers_the_first_question(
    house: House, with_tasks: Any, monkeypatch: Any, doorbell: Any
) -> None:
    EmailAccount.objects.update(state=AccountState.CONNECTED, answered_at=None)
    save(house)
    assert EmailAccount.objects.get().state == AccountState.CONNECTED
    account = save(house, period="quarter", download="1")
    assert account.state == AccountState.ACTIVE and account.answered_at is not None
    assert account.since == timezone.localdate() - timedelta(days=92)


def test_no_means_only_new_mail(house: House) -> None:
    EmailAccount.objects.update(state=AccountState.CONNECTED, answered_at=None)
    house.clients["owner"].post(page(house, "answer_download"), {"answer": "no"})
    account = EmailAccount.objects.get()
    assert (account.state, account.since) == (AccountState.ACTIVE, timezone.localdate())


def test_pause_resume_and_sync_now(house: House, doorbell: Any, django_capture_on_commit_callbacks: Any) -> None:
    client = house.clients["owner"]
    client.post(page(house, "email_account_pause"))
    assert EmailAccount.objects.get().state == AccountState.PAUSED
    client.post(page(house, "email_account_sync"))
    assert EmailAccount.objects.get().sync_requested_at is None
    with django_capture_on_commit_callbacks(execute=True):
        client.post(page(house, "email_account_resume"))
    assert EmailAccount.objects.get().state == AccountState.ACTIVE
    assert doorbell.names() == ["sync.tasks.sync_email_account"]


def test_trouble_is_told_with_its_mend_and_the_servers_words_escaped(house: House) -> None:
    EmailAccount.objects.update(
        state=AccountState.NEEDS_SIGN_IN,
        failures=4,
        last_error_kind="password",
        last_error_said="<script>alert(1)</script>",
        last_error_at=timezone.now(),
    )
    text = house.clients["owner"].get(page(house)).content.decode()
    assert "no longer accepts the password" in text and "Nothing was lost" in text
    assert reverse("panel:sign_in_again", args=[house.account.pk]) in text
    assert "<script>alert" not in text


def test_sharing_tells_the_person(house: House) -> None:
    friend = UserFactory(name="Ravi Chandrasekaran")
    house.clients["owner"].post(page(house, "sharing"), {"who": f"user:{friend.pk}", "level": "send"})
    assert house.account.shares.get(user=friend).level == "send"
    assert Notification.objects.get(user=friend).kind == "shared_with_you"
    share = house.account.shares.get(user=friend)
    house.clients["owner"].post(page(house, "sharing_remove", share.pk))
    assert not house.account.shares.filter(user=friend).exists()


def test_the_owner_is_no_target_of_sharing(house: House) -> None:
    response = house.clients["owner"].post(
        page(house, "sharing"), {"who": f"user:{house.account.owner_id}", "level": "see"}
    )
    assert response.status_code == 404


def test_stopping_keeps_the_mail_and_forgets_the_password(house: House) -> None:
    store_secret("x", email_account=house.account)
    MessageFactory(email_account=house.account)
    house.clients["owner"].post(page(house, "email_account_remove"), {"act": "keep"})
    assert EmailAccount.objects.get().state == AccountState.REMOVED
    assert not Credential.objects.exists() and Message.objects.count() == 1
    assert "stopped" in house.clients["owner"].get(page(house)).content.decode()


def test_the_dialog_names_the_act_and_the_number(house: House) -> None:
    MessageFactory(email_account=house.account)
    text = house.clients["owner"].get(page(house, "email_account_remove")).content.decode()
    assert "Erase 1 email" in text and "Stop and keep the mail" in text


def test_erasing_takes_everything_of_this_mailbox_only(
    house: House, doorbell: Any, django_capture_on_commit_callbacks: Any
) -> None:
    message = MessageFactory(email_account=house.account)
    PartFactory(message=message)
    CopyFactory(folder=house.account.folders.get(), message=message)
    kept = MessageFactory()
    with django_capture_on_commit_callbacks(execute=True):
        house.clients["owner"].post(page(house, "email_account_remove"), {"act": "erase"})
    assert house.clients["owner"].get(page(house)).status_code == 404
    doorbell.answer()
    assert list(Message.objects.all()) == [kept]
    assert not EmailAccount.objects.filter(pk=house.account.pk).exists()
    assert not Copy.objects.filter(email_account=house.account.pk).exists()
    assert Thread.objects.count() == 1


def test_an_active_mailbox_is_never_erased(house: House) -> None:
    MessageFactory(email_account=house.account)
    erase_mail(house.account.pk)
    assert Message.objects.count() == 1


def test_profile_and_look_are_kept(client: Client) -> None:
    user = UserFactory()
    client.force_login(user)
    client.post(reverse("panel:settings"), {"name": "Maren Solheim", "time_zone": "Europe/Oslo"})
    client.post(reverse("panel:settings_look"), {"theme": "dark", "density": "compact"})
    client.post(reverse("panel:settings_look"), {"theme": "pink", "density": "compact"})
    user.refresh_from_db()
    assert (user.name, user.time_zone, user.theme, user.density) == ("Maren Solheim", "Europe/Oslo", "dark", "compact")
    assert 'data-theme="dark"' in client.get(reverse("panel:settings")).content.decode()


def test_the_page_costs_the_same_with_many_mailboxes(house: House) -> None:
    house.clients["owner"].get(page(house))  # the first request of a session writes it
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            house.clients["owner"].get(page(house))
        costs.append(len(queries))
        for _ in range(5):
            second_account(house.account.owner)
            FolderFactory(email_account=house.account, remote_id=f"F{EmailAccount.objects.count()}")
    assert costs[0] == costs[1] <= 40
