"""The ledger in view: each folder's figures with their reasons, and what reconciliation cannot mend is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from crm_mail import metrics
from drivers.fake.driver import FakeDriver
from drivers.types import RemoteCopy
from mail.models import Copy, CopyState, Folder
from notifications.models import Kind, Notification
from tests.factories import UserFactory
from tests.sync.conftest import World


def _json(world: World) -> dict:
    out = StringIO()
    call_command("mailbox_status", world.account.address, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_every_folder_says_what_became_of_its_mail_and_why(world: World) -> None:
    world.deliver(8)
    world.sync()
    Copy.objects.filter(remote_key__in=["1", "2"]).update(state=CopyState.FAILED, reason="not done within 30 s")
    Copy.objects.filter(remote_key="3").update(state=CopyState.FILTERED, reason="newsletters")
    Copy.objects.filter(remote_key="4").update(missing_since=timezone.now())
    Folder.objects.filter(role="inbox").update(on_server=7)
    figures = _json(world)
    inbox = figures["folders"][0]
    assert (inbox["on_server"], inbox["stored"], inbox["failed"], inbox["filtered"], inbox["missing"]) == (
        7,
        4,
        2,
        1,
        1,
    )
    assert inbox["counted_at"] and inbox["unaccounted"] == figures["unaccounted"] == 0
    assert inbox["reasons"] == [
        {"state": "failed", "reason": "not done within 30 s", "count": 2},
        {"state": "filtered", "reason": "newsletters", "count": 1},
    ]


def test_the_numbers_of_each_folder_are_in_the_metrics_and_no_address_is(world: World) -> None:
    world.deliver(3)
    world.sync()
    text = metrics.as_text().decode()
    inbox = Folder.objects.get(role="inbox")
    labels = f'folder="{inbox.pk}",mailbox="{world.account.pk}"'
    assert f'crm_mail_folder_copies{{{labels},state="stored"}} 3.0' in text
    assert f"crm_mail_folder_on_server{{{labels}}} 3.0" in text
    assert f"crm_mail_folder_unaccounted{{{labels}}} 0.0" in text
    assert world.account.address not in text and "INBOX" not in text


@pytest.fixture
def ghost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys that the server lists and never gives out."""
    keys: list[str] = []
    original = FakeDriver.list_ids

    def list_ids(self: FakeDriver, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
        yield from original(self, folder_id, since=since)
        if folder_id == "INBOX":
            yield from (RemoteCopy(key, int(key)) for key in keys)

    monkeypatch.setattr(FakeDriver, "list_ids", list_ids)
    return keys


def test_a_difference_that_cannot_be_mended_is_told_to_the_operators_until_it_is_gone(
    world: World, ghost: list[str]
) -> None:
    operator, other = UserFactory(is_mail_administrator=True), UserFactory()
    world.deliver(3)
    ghost.append("999")
    world.sync(compare_all=True)
    notice = Notification.objects.get(kind=Kind.LEDGER_DIFFERS, closed_at=None)
    assert (notice.user, notice.data["count"]) == (operator, 1)
    assert not Notification.objects.filter(user=other).exists()
    assert _json(world)["unaccounted"] == 1, "it shows, and is not hidden"
    world.sync(compare_all=True)
    assert Notification.objects.filter(kind=Kind.LEDGER_DIFFERS).count() == 1
    ghost.clear()
    world.sync(compare_all=True)
    notice.refresh_from_db()
    assert notice.closed_at is not None
