"""Older emails on the settings page: how far they are, paused and resumed, the daily limit, the attachments."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AccountState, EmailAccount
from mail.models import Copy
from sync.models import Pace
from tests.factories import FolderFactory
from tests.panel.wizard_roles import House, build_house

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> House:
    made = build_house()
    EmailAccount.objects.update(state=AccountState.ACTIVE, answered_at=timezone.now())
    folder = FolderFactory(email_account=made.account, is_followed=True)
    for number, state in enumerate(["stored", "pending", "pending"]):
        at = timezone.now() - timedelta(days=30)
        Copy.objects.create(
            email_account=made.account, folder=folder, remote_key=str(number), state=state, received_at=at, size=1024**2
        )
    return made


def _url(house: House, name: str) -> str:
    return reverse(f"panel:{name}", args=[house.account.pk])


def test_how_far_it_is_and_pause_and_resume(house: House) -> None:
    client = house.clients["owner"]
    page = client.get(_url(house, "email_account")).content.decode()
    assert "1 of 3 downloaded" in page and "Pause history" in page
    assert client.post(_url(house, "email_account_history"), {"act": "pause"}).status_code == 302
    page = client.get(_url(house, "email_account")).content.decode()
    assert "Paused." in page and "Resume history" in page
    client.post(_url(house, "email_account_history"), {"act": "resume"})
    assert Pace.objects.get().history_paused_at is None


def test_the_limit_and_the_attachments_are_saved_and_nonsense_is_not(house: House) -> None:
    client = house.clients["owner"]
    client.post(_url(house, "email_account_pace"), {"daily_megabytes": "500", "attachments": "linked"})
    assert (Pace.objects.get().daily_megabytes, Pace.objects.get().attachments) == (500, "linked")
    page = client.get(_url(house, "email_account")).content.decode()
    assert 'value="500"' in page
    client.post(_url(house, "email_account_pace"), {"daily_megabytes": "-1", "attachments": "linked"})
    client.post(_url(house, "email_account_pace"), {"daily_megabytes": "1", "attachments": "everything"})
    assert (Pace.objects.get().daily_megabytes, Pace.objects.get().attachments) == (500, "linked")
    client.post(_url(house, "email_account_pace"), {"daily_megabytes": "", "attachments": "on_demand"})
    assert Pace.objects.get().daily_megabytes is None


def test_a_stranger_changes_nothing(house: House) -> None:
    client = house.clients["stranger"]
    for name in ("email_account_history", "email_account_pace"):
        assert client.post(_url(house, name), {"act": "pause", "attachments": "linked"}).status_code == 404
    assert not Pace.objects.exists()
