"""The list of sessions is kept up to date without a write at each click."""

from __future__ import annotations

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts import activity
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def _touched(client: Client, **headers: str) -> UserSession:
    assert client.get("/keys/", **headers).status_code == 200
    return UserSession.objects.get(session_key=client.session.session_key)


def test_the_first_click_writes_and_the_next_ones_do_not(client: Client) -> None:
    client.force_login(UserFactory())
    _touched(client, HTTP_USER_AGENT="Firefox")
    UserSession.objects.update(ip="192.0.2.1")
    assert _touched(client, HTTP_USER_AGENT="Firefox").ip == "192.0.2.1"


def test_another_browser_or_address_is_written_at_once(client: Client) -> None:
    client.force_login(UserFactory())
    _touched(client, HTTP_USER_AGENT="Firefox")
    assert _touched(client, HTTP_USER_AGENT="Chromium").user_agent == "Chromium"
    assert _touched(client, HTTP_USER_AGENT="Chromium", REMOTE_ADDR="127.0.0.9").ip == "127.0.0.9"


def test_after_a_minute_it_is_written_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(UserFactory())
    _touched(client)
    UserSession.objects.update(ip="192.0.2.1")
    monkeypatch.setattr(activity, "EVERY", 0.0)
    assert _touched(client).ip == "127.0.0.1"
