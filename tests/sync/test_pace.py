"""The past at its own pace: paused, within a daily budget, attachments last; new mail never waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from drivers.errors import MessageGone
from linking.models import MessageLink, Reason
from mail.models import Copy, CopyState, Message, Part
from sync import attachments, claims, pace, tasks
from sync.models import Attachments, Pace
from tests.drivers.contract import mail_with_attachment
from tests.factories import ContactFactory
from tests.sync.conftest import NOW, World, mail


def _old(world: World, count: int, *, size: int = 0, start: int = 1) -> None:
    for number in range(count):
        raw = mail(start + number, body="x" * size)
        world.server.folders["INBOX"].add(raw, received_at=NOW - timedelta(days=30, minutes=-number))


def _new(world: World, number: int) -> None:
    world.server.folders["INBOX"].add(mail(number), received_at=timezone.now() + timedelta(seconds=1))


@pytest.fixture
def answered(world: World) -> World:
    world.account.answered_at = timezone.now()
    world.account.save()
    return world


def test_history_that_is_paused_waits_and_new_mail_comes(answered: World) -> None:
    world = answered
    _old(world, 5)
    pace.set_history_paused(world.account, is_paused=True)
    _new(world, 50)
    assert world.sync() is True, "a mailbox whose history is paused is up to date"
    assert world.subjects() == ["Mail 50"]
    assert not claims.is_free(world.account.pk)
    past = pace.history(world.account)
    assert (past.state, past.waiting, past.total, past.stored) == ("paused", 5, 5, 0)
    assert world.ledger().pending == 5 and world.ledger().adds_up
    pace.set_history_paused(world.account, is_paused=False)
    assert world.sync() is True
    assert len(world.subjects()) == 6
    assert pace.history(world.account).state == "done"


def test_the_newest_comes_first_and_new_mail_before_history(answered: World) -> None:
    world = answered
    _old(world, 3)
    _new(world, 50)
    world.sync()
    assert world.subjects() == ["Mail 50", "Mail 3", "Mail 2", "Mail 1"] or world.subjects()[0] == "Mail 50"
    assert Message.objects.order_by("pk").first().subject in ("Mail 50",)  # type: ignore[union-attr]


def test_a_daily_budget_stops_history_until_the_next_day(answered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = answered
    monkeypatch.setattr(pace, "MEGABYTE", 10_000)
    _old(world, 10, size=4000)
    pace.change_pace(world.account, daily_megabytes=1, attachments=Attachments.ON_DEMAND)
    world.sync()
    assert 2 <= len(world.subjects()) <= 3, "what is over 10,000 bytes waits"
    _new(world, 50)
    world.sync()
    assert "Mail 50" in world.subjects()
    past = pace.history(world.account)
    assert past.state == "spent" and past.seconds and 2 * 86_400 < past.seconds < 3 * 86_400
    before = len(world.subjects())
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True):
        world.sync()
    assert before + 2 <= len(world.subjects()) <= before + 3


def test_an_estimate_comes_of_the_speed_of_the_download(answered: World) -> None:
    world = answered
    now = timezone.now()
    _old(world, 1)
    world.sync()
    Copy.objects.update(state=CopyState.PENDING, message=None, size=4_000_000)
    Pace.objects.update(began_at=now - timedelta(seconds=20), last_at=now, went_bytes=2_000_000)
    assert pace.history(world.account).seconds == pytest.approx(40)


@pytest.mark.parametrize(
    ("choice", "kept"), [(Attachments.ON_DEMAND, 0), (Attachments.LINKED, 1), (Attachments.AFTERWARDS, 2)]
)
def test_attachments_are_kept_by_choice_and_after_the_emails(answered: World, choice: str, kept: int) -> None:
    world = answered
    for number in range(2):
        raw = mail_with_attachment().replace(b"Message-ID: <", b"Message-ID: <%d" % number)
        world.server.folders["INBOX"].add(raw, received_at=NOW)
    pace.change_pace(world.account, daily_megabytes=None, attachments=choice)
    world.sync()
    first = Message.objects.order_by("pk").first()
    assert first is not None
    MessageLink.objects.all().delete()
    MessageLink.objects.create(message=first, contact=ContactFactory(), reason=Reason.BY_HAND)
    assert not Part.objects.exclude(stored="").exists()
    tasks.sync_email_account.run(world.account.pk)
    assert Part.objects.exclude(stored="").values("message").distinct().count() == kept


def test_an_attachment_that_cannot_be_had_is_not_asked_for_again_and_again(
    answered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = answered
    world.server.folders["INBOX"].add(mail_with_attachment(), received_at=NOW)
    pace.change_pace(world.account, daily_megabytes=None, attachments=Attachments.AFTERWARDS)
    world.sync()

    def gone(*args: object) -> None:
        raise MessageGone("it has no such part")

    monkeypatch.setattr("sync.parts._from_server", gone)
    assert attachments.fetch_some(world.account.pk) == 0
    assert not attachments.is_wanted(world.account.pk)
