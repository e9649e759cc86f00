"""Users join by a one-time link; only administrators give rights."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invitations
from accounts.models import Invitation, User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "a-good-Long-one-42"  # noqa: S105


def test_the_link_arrives_by_mail_and_makes_the_user(client: Client, mailoutbox: Any) -> None:
    admin = UserFactory(is_staff=True, name="Boss Example")
    client.force_login(admin)
    values = {"email": "Inger@Nordlys.example", "is_mail_administrator": "on"}
    assert client.post(reverse("panel:settings_people"), values).status_code == 302
    mail = mailoutbox[0]
    assert mail.to == ["inger@nordlys.example"] and "Boss Example invites you" in mail.body
    path = re.search(r"/invitation/\S+/", mail.body)
    assert path
    guest = Client()
    assert "Join CRM Mail" in guest.get(path[0]).content.decode()
    response = guest.post(path[0], {"name": "Inger Example", "password": PASSWORD})
    assert response.status_code == 302
    user = User.objects.get(email="inger@nordlys.example")
    assert user.check_password(PASSWORD) and user.is_mail_administrator and not user.is_staff
    assert guest.get(reverse("panel:settings")).status_code == 200
    assert Client().get(path[0]).status_code == 404


def test_only_the_hash_of_the_token_is_kept() -> None:
    _row, token = invitations.invite(email="kim@nordlys.example", by=UserFactory(is_staff=True))
    assert token not in str(list(Invitation.objects.values()))
    assert invitations.find(token) is not None


def test_a_link_dies_after_seven_days() -> None:
    _row, token = invitations.invite(email="kim@nordlys.example", by=UserFactory(is_staff=True))
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert invitations.find(token) is None
    with pytest.raises(ValidationError):
        invitations.accept(token=token, name="Kim", password=PASSWORD)


def test_a_second_invitation_ends_the_first() -> None:
    admin = UserFactory(is_staff=True)
    _row, first = invitations.invite(email="kim@nordlys.example", by=admin)
    _row, second = invitations.invite(email="kim@nordlys.example", by=admin)
    assert invitations.find(first) is None and invitations.find(second) is not None


def test_a_mail_administrator_invites_but_gives_no_rights() -> None:
    by = UserFactory(is_mail_administrator=True)
    invitations.invite(email="kim@nordlys.example", by=by)
    for right in ({"is_staff": True}, {"is_mail_administrator": True}):
        with pytest.raises(PermissionDenied):
            invitations.invite(email="eve@nordlys.example", by=by, **right)
    with pytest.raises(PermissionDenied):
        invitations.invite(email="eve@nordlys.example", by=UserFactory())


def test_somebody_who_is_here_is_not_invited(client: Client, mailoutbox: Any) -> None:
    client.force_login(UserFactory(is_staff=True))
    UserFactory(email="kim@nordlys.example")
    text = client.post(reverse("panel:settings_people"), {"email": "KIM@nordlys.example"}).content.decode()
    assert "Somebody with this address is here already." in text
    assert mailoutbox == []


def test_a_weak_password_is_refused_and_the_link_stays() -> None:
    _row, token = invitations.invite(email="kim@nordlys.example", by=UserFactory(is_staff=True))
    text = (
        Client().post(reverse("panel:invitation", args=[token]), {"name": "Kim", "password": "short"}).content.decode()
    )
    assert "too short" in text and "short" not in re.findall(r'value="([^"]*)"', text)
    assert invitations.find(token) is not None


def test_where_the_mail_fails_the_link_is_shown_once(client: Client, monkeypatch: Any) -> None:
    client.force_login(UserFactory(is_staff=True))
    monkeypatch.setattr(invitations, "send_mail", _refuse)
    text = client.post(reverse("panel:settings_people"), {"email": "kim@nordlys.example"}).content.decode()
    assert "could not be sent" in text and "/invitation/" in text


def _refuse(*_args: Any, **_more: Any) -> None:
    raise ConnectionRefusedError
