"""The admin shows states, never secrets nor mail."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import EmailAccount, Invitation
from accounts.vault import store_secret
from tests.factories import EmailAccountFactory, EmailAccountServerFactory, MessageFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def test_an_email_account_is_seen_without_secret_and_mail(admin: Client) -> None:
    account = EmailAccountFactory(last_error_said="SECRET-FROM-SERVER")
    EmailAccountServerFactory(email_account=account)
    credential = store_secret("s3cret-Fjord", email_account=account)
    MessageFactory(email_account=account, subject="Very private offer")
    for url in (
        reverse("admin:accounts_emailaccount_changelist"),
        reverse("admin:accounts_emailaccount_change", args=[account.pk]),
    ):
        text = admin.get(url).content.decode()
        assert account.address in text
        for hidden in ("s3cret-Fjord", credential.ciphertext, "Very private offer", "SECRET-FROM-SERVER"):
            assert hidden not in text


def test_an_administrator_neither_adds_nor_changes_nor_deletes_an_email_account(admin: Client) -> None:
    account = EmailAccountFactory()
    assert admin.get(reverse("admin:accounts_emailaccount_add")).status_code == 403
    assert (
        admin.post(reverse("admin:accounts_emailaccount_change", args=[account.pk]), {"owner": "1"}).status_code == 403
    )
    assert admin.post(reverse("admin:accounts_emailaccount_delete", args=[account.pk])).status_code == 403
    assert EmailAccount.objects.count() == 1


def test_adding_an_invitation_sends_it(admin: Client, mailoutbox: Any) -> None:
    admin.post(reverse("admin:accounts_invitation_add"), {"email": "kim@nordlys.example"})
    assert Invitation.objects.get().email == "kim@nordlys.example"
    assert len(mailoutbox) == 1


def test_secrets_have_no_page(admin: Client) -> None:
    assert "credential" not in admin.get(reverse("admin:index")).content.decode().lower()


def test_users_are_listed(admin: Client) -> None:
    user = UserFactory()
    assert user.email in admin.get(reverse("admin:accounts_user_changelist")).content.decode()
    assert admin.get(reverse("admin:accounts_user_change", args=[user.pk])).status_code == 200


def test_a_mail_administrator_manages_providers_and_nothing_else(client: Client) -> None:
    client.force_login(UserFactory(is_mail_administrator=True))
    assert client.get(reverse("admin:providers_provider_changelist")).status_code == 200
    for name in ("accounts_user", "accounts_emailaccount", "accounts_invitation"):
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403
    assert "/admin/" in client.get(reverse("panel:settings")).content.decode()


def test_others_do_not_enter(client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get(reverse("admin:index")).status_code in (302, 403)
    assert client.get(reverse("admin:providers_provider_changelist")).status_code in (302, 403)
    assert "/admin/" not in client.get(reverse("panel:settings")).content.decode()


def test_no_mail_is_registered_in_the_admin() -> None:
    names = {model._meta.label for model in django_admin.site._registry}
    assert not names & {"mail.Message", "mail.MessageContent", "mail.Part", "mail.Thread", "accounts.Credential"}
