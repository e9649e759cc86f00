"""The admin shows states, never secrets nor mail."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import EmailAccount, Invitation, User
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


def _seen_person() -> User:
    """Somebody who signed in already."""
    person = UserFactory(email="greta@nordlys.example")
    Client().force_login(person)
    person.refresh_from_db()
    return person


def test_the_password_and_the_address_of_who_signed_in_already_are_theirs_alone(admin: Client) -> None:
    person = _seen_person()
    page = admin.get(reverse("admin:accounts_user_change", args=[person.pk])).content.decode()
    assert 'name="email"' not in page and 'name="username"' not in page and "../password/" not in page
    address = reverse("admin:auth_user_password_change", args=[person.pk])
    new = {"usable_password": "true", "password1": "fjord-lantern-77", "password2": "fjord-lantern-77"}
    assert admin.get(address).status_code == 403 and admin.post(address, new).status_code == 403
    person.refresh_from_db()
    assert not person.check_password("fjord-lantern-77")


def test_a_person_who_never_signed_in_can_be_given_a_password(admin: Client) -> None:
    person = UserFactory()
    address = reverse("admin:auth_user_password_change", args=[person.pk])
    new = {"usable_password": "true", "password1": "fjord-lantern-77", "password2": "fjord-lantern-77"}
    assert admin.post(address, new).status_code == 302
    person.refresh_from_db()
    assert person.check_password("fjord-lantern-77")


def test_an_administrator_sends_a_link_to_choose_a_new_password(admin: Client, mailoutbox: Any) -> None:
    person = _seen_person()
    chosen = {"action": "send_password_link", "_selected_action": [person.pk]}
    admin.post(reverse("admin:accounts_user_changelist"), chosen)
    assert [mail.to for mail in mailoutbox] == [["greta@nordlys.example"]]


def test_an_administrator_does_not_join_a_group_by_themselves(admin: Client) -> None:
    me = User.objects.get(is_superuser=True)
    page = admin.get(reverse("admin:accounts_user_change", args=[me.pk])).content.decode()
    assert 'name="groups"' not in page and 'name="email"' in page
