"""The tick re-derives all due work from rows: a lost doorbell costs seconds."""

from __future__ import annotations

from datetime import timedelta

from django.core.management import call_command
from django.utils import timezone

from accounts.models import AccountState, EmailAccount
from mail.changes import set_read
from mail.models import Change, Message
from sync import schedule
from sync.models import Heartbeat
from tests.conftest import Doorbell
from tests.sync.conftest import World


def test_a_due_mailbox_is_rung_once_and_again_when_its_time_comes(world: World) -> None:
    assert schedule.due_email_accounts() == [world.account.pk]
    assert schedule.due_email_accounts() == []
    EmailAccount.objects.update(next_sync_at=timezone.now() - timedelta(seconds=1))
    assert schedule.due_email_accounts() == [world.account.pk]


def test_only_active_mailboxes_with_automatic_download_are_rung(make_world) -> None:
    make_world("a@example.com", state=AccountState.PAUSED)
    make_world("b@example.com", state=AccountState.CONNECTED)
    make_world("c@example.com", auto_download=False)
    assert schedule.due_email_accounts() == []
    EmailAccount.objects.filter(address="c@example.com").update(sync_requested_at=timezone.now())
    assert schedule.due_email_accounts() == [EmailAccount.objects.get(address="c@example.com").pk]


def test_the_tick_beats_and_its_doorbells_do_the_work(world: World, doorbell: Doorbell) -> None:
    world.deliver(3)
    call_command("tick", "--once")
    assert Heartbeat.objects.get(name="tick").at
    doorbell.answer()
    assert Message.objects.count() == 3
    call_command("tick", "--once")
    doorbell.answer()
    assert not schedule.is_unindexed()


def test_a_change_whose_doorbell_was_lost_is_rung_again(world: World, doorbell: Doorbell) -> None:
    keys = world.deliver(1)
    world.sync()
    set_read(Message.objects.values_list("pk", flat=True), is_read=True)
    Change.objects.update(created_at=timezone.now() - timedelta(seconds=30))
    call_command("tick", "--once")
    doorbell.answer()
    assert "\\seen" in world.server.folders["INBOX"].copies[int(keys[0])].flags
