"""Registered applications: which one signs a person in, and a secret that goes in and never comes out."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import serializers
from django.test import Client

from drivers.oauth.errors import ApplicationRefused
from providers.applications import application_for, service_of, set_secret
from providers.models import OAuthApplication
from tests.factories import ProviderFactory, UserFactory

pytestmark = pytest.mark.django_db
SECRET = "seeded-client-secret-55d0"
ADMIN = "/admin/providers/oauthapplication/"


def make(key: str, **more: object) -> OAuthApplication:
    values = {"key": key, "name": key, "kind": "microsoft", "client_id": "id"} | more
    return OAuthApplication.objects.create(**values)  # type: ignore[arg-type]


def test_a_domain_wins_over_a_provider_and_that_over_the_service() -> None:
    provider = ProviderFactory(allows_oauth=True, oauth_kind="microsoft")
    other = ProviderFactory(allows_oauth=True, oauth_kind="microsoft")
    assert application_for("kim@nordlys.example", provider) is None
    every = make("every")
    mine = make("mine", provider=provider)
    domain = make("domain", domains="nordlys.example\nsouth.example")
    make("google", kind="google")
    make("off", domains="nordlys.example", is_enabled=False)
    make("app", domains="nordlys.example", is_app_only=True)
    assert application_for("kim@nordlys.example", provider) == domain
    assert application_for("kim@elsewhere.example", provider) == mine
    assert application_for("kim@elsewhere.example", other) == every
    assert application_for("kim@nordlys.example", ProviderFactory(allows_oauth=False)) is None
    assert application_for("kim@nordlys.example", None) is None


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True))
    return client


def form(**more: str) -> dict[str, str]:
    return {
        "name": "Ours", "key": "microsoft", "kind": "microsoft", "client_id": "11-22", "new_secret": SECRET,
        "is_enabled": "on",
    } | more  # fmt: skip


def test_a_secret_goes_in_encrypted_and_comes_back_nowhere(manager: Client) -> None:
    response = manager.post(ADMIN + "add/", form(), follow=True)
    row = OAuthApplication.objects.get()
    assert row.secret_ciphertext and SECRET not in row.secret_ciphertext
    page = manager.get(f"{ADMIN}{row.pk}/change/").content.decode()
    history = manager.get(f"{ADMIN}{row.pk}/history/").content.decode()
    dump = serializers.serialize("json", [row])
    for text in (response.content.decode(), page, history, dump, repr(service_of(row)), repr(row)):
        assert SECRET not in text
    assert row.secret_ciphertext not in page and "/oauth/microsoft/callback/" in page
    manager.post(f"{ADMIN}{row.pk}/change/", form(new_secret="", name="Renamed"))
    kept = OAuthApplication.objects.get()
    assert kept.name == "Renamed" and kept.secret_ciphertext == row.secret_ciphertext


def test_a_wrong_form_says_what_is_missing_and_shows_no_secret(manager: Client) -> None:
    for more, said in (
        ({"kind": "oidc", "key": "a"}, "Where is the sign-in server?"),
        ({"kind": "google", "key": "b"}, "how long a sign-in lasts"),
        ({"is_app_only": "on", "key": "c"}, "Name the domains"),
        ({"issuer": "http://in.example", "key": "d"}, "by https only"),
    ):
        text = manager.post(ADMIN + "add/", form(**more)).content.decode()
        assert said in text and SECRET not in text
    assert not OAuthApplication.objects.exists()


def test_a_secret_of_another_row_or_key_opens_nothing() -> None:
    first, second = make("first"), make("second")
    set_secret(first, SECRET)
    second.secret_ciphertext = first.secret_ciphertext
    with pytest.raises(ApplicationRefused):
        service_of(second)


def test_the_test_button_says_what_answers_there(manager: Client, settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ()
    row = make("house", kind="oidc", issuer="https://127.0.0.1", mail_scopes="mail")
    text = manager.post(f"{ADMIN}{row.pk}/test/", follow=True).content.decode()
    row.refresh_from_db()
    assert row.test_problem == "blocked" and "This server address is not allowed" in text


def test_the_guide_names_the_addresses_and_scopes_to_paste(manager: Client) -> None:
    text = manager.get(ADMIN + "guide/?for=microsoft").content.decode()
    for word in ("/oauth/google/callback/", "/oauth/microsoft/callback/", "https://mail.google.com/", "IMAP.AccessAsUser.All",
                 "SMTP.Send", "Internal", "External", "IMAP.AccessAsApp"):  # fmt: skip
        assert word in text
