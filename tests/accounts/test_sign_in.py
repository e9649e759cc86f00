"""Sign-in of the application's own users: closed sign-up, limits, the second step encrypted, the admin behind it."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client
from django.urls import reverse

from accounts.adapter import MfaAdapter, client_ip
from accounts.second_step import rotate_second_steps
from accounts.vault import key_ring
from base.crypto import KeyRing, generate_key
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXP"  # noqa: S105


def code() -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(SECRET, counter))


def sign_in(client: Client, user: Any, password: str = PASSWORD) -> Any:
    return client.post(reverse("account_login"), {"login": user.email, "password": password})


def test_one_signs_in_by_address_or_by_name(client: Client) -> None:
    user = UserFactory()
    assert sign_in(client, user).url == "/"
    other = Client()
    assert other.post(reverse("account_login"), {"login": user.username, "password": PASSWORD}).url == "/"


def test_nobody_signs_up(client: Client) -> None:
    response = client.post(
        reverse("account_signup"), {"email": "x@y.example", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert "by invitation" in response.content.decode()


def test_an_unknown_address_and_a_wrong_password_look_the_same(client: Client) -> None:
    user = UserFactory()
    wrong = sign_in(client, user, "not-the-Password-1").content.decode()
    unknown = client.post(reverse("account_login"), {"login": "nobody@crm.example", "password": "x"}).content.decode()
    assert "not correct" in wrong and "not correct" in unknown
    assert "not-the-Password-1" not in wrong


def test_guessing_is_limited(client: Client) -> None:
    user = UserFactory()
    for _ in range(5):
        sign_in(client, user, "wrong")
    text = sign_in(client, user).content.decode()
    assert "Too many failed login attempts" in text


def test_the_second_step_is_asked_for_and_its_secret_is_encrypted(client: Client) -> None:
    user = UserFactory()
    TOTP.activate(user, SECRET)
    kept = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert SECRET not in kept and kept.startswith("v1.")
    response = sign_in(client, user)
    assert response.url == reverse("mfa_authenticate")
    assert client.get("/settings/").status_code == 302
    assert "Two-step verification" in client.get(response.url).content.decode()
    assert client.post(response.url, {"code": "000000"}).status_code == 200
    assert client.post(response.url, {"code": code()}).status_code == 302
    assert client.get("/settings/").status_code == 200


def test_recovery_codes_are_encrypted_and_work_once() -> None:
    user = UserFactory()
    TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    row = Authenticator.objects.get(user=user, type="recovery_codes")
    assert row.data["seed"].startswith("v1.")
    codes = row.wrap().get_unused_codes()
    for expected in (302, 200):
        fresh = Client()
        page = sign_in(fresh, user).url
        assert fresh.post(page, {"code": codes[0]}).status_code == expected


def test_a_secret_that_no_key_opens_lets_nobody_in(client: Client, monkeypatch: Any) -> None:
    user = UserFactory()
    TOTP.activate(user, SECRET)
    monkeypatch.setattr("accounts.adapter.key_ring", lambda: KeyRing([generate_key()]))
    page = sign_in(client, user).url
    assert client.post(page, {"code": code()}).status_code == 200
    assert MfaAdapter().decrypt("nonsense") != MfaAdapter().decrypt("nonsense")
    assert key_ring()


def test_the_admin_has_no_side_door_around_the_second_step(client: Client) -> None:
    response = client.get("/admin/login/")
    assert response.status_code == 302 and response.url.startswith("/accounts/login/")


def test_a_reset_link_leads_to_a_new_password(client: Client, mailoutbox: Any) -> None:
    user = UserFactory()
    assert (
        "Look into your mail"
        in client.post(reverse("account_reset_password"), {"email": user.email}, follow=True).content.decode()
    )
    assert "/accounts/password/reset/key/" in mailoutbox[0].body
    client.post(reverse("account_reset_password"), {"email": "nobody@crm.example"})
    assert "no user of CRM Mail has it" in mailoutbox[1].body


@pytest.mark.parametrize(
    "name",
    [
        "account_login",
        "account_reset_password",
        "account_change_password",
        "mfa_index",
        "usersessions_list",
        "account_email",
    ],
)
def test_the_pages_have_our_look(client: Client, name: str) -> None:
    if name not in ("account_login", "account_reset_password"):
        client.force_login(UserFactory())
    text = client.get(reverse(name), follow=True).content.decode()
    assert 'class="desk-page"' in text and "style=" not in text


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", [], "203.0.113.9"),
        ("10.0.0.2", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.1, 10.0.0.3", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", "garbage", ["10.0.0.0/8"], "10.0.0.2"),
        ("", "", [], "0.0.0.0"),
    ],
)
def test_the_address_for_limits_cannot_be_forged(
    remote: str, forwarded: str, trusted: list[str], expected: str
) -> None:
    assert client_ip(remote, forwarded, trusted) == expected


def test_the_second_step_survives_a_rotation_of_keys(monkeypatch: Any) -> None:
    old, new = generate_key(), generate_key()
    monkeypatch.setattr("accounts.adapter.key_ring", lambda: KeyRing([old]))
    user = UserFactory()
    TOTP.activate(user, SECRET)
    for module in ("adapter", "second_step"):
        monkeypatch.setattr(f"accounts.{module}.key_ring", lambda: KeyRing([new, old]))
    assert rotate_second_steps() == 1 and rotate_second_steps() == 0
    monkeypatch.setattr("accounts.adapter.key_ring", lambda: KeyRing([new]))
    assert MfaAdapter().decrypt(Authenticator.objects.get(user=user).data["secret"]) == SECRET
