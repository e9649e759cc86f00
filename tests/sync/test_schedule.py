"""The tick re-derives all due work from rows: a lost doorbell costs seconds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import AccountState, EmailAccount
from contacts.models import ContactAddress
from linking.past import note_past_mail
from mail.changes import set_read
from mail.models import Change, Copy, CopyState, Message
from sync import claims, schedule, tasks
from sync.leases import acquire
from sync.models import Heartbeat, Lease
from tests.conftest import Doorbell
from tests.factories import ContactFactory
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
    assert not schedule.is_time_to_index()


def test_the_index_waits_for_a_download_but_not_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "BIG", 3)
    world.deliver(6)
    world.sync()
    assert schedule.is_time_to_index()
    Copy.objects.filter(pk__in=Copy.objects.values_list("pk", flat=True)[:4]).update(state=CopyState.PENDING)
    assert schedule.is_time_to_index()  # nobody fetches: a paused mailbox, or one whose worker died
    claims.claim(world.account.pk, "reader", 1)
    assert not schedule.is_time_to_index()
    assert schedule.index_while_it_is_time() == 0
    Message.objects.update(created_at=timezone.now() - schedule.INDEX_WAITS)
    assert schedule.is_time_to_index()
    Message.objects.update(created_at=timezone.now())
    assert not schedule.is_time_to_index()
    claims.give_back("reader")
    assert schedule.index_while_it_is_time() == 6


def test_a_change_whose_doorbell_was_lost_is_rung_again(world: World, doorbell: Doorbell) -> None:
    keys = world.deliver(1)
    world.sync()
    set_read(Message.objects.values_list("pk", flat=True), is_read=True)
    Change.objects.update(created_at=timezone.now() - timedelta(seconds=30))
    call_command("tick", "--once")
    doorbell.answer()
    assert "\\seen" in world.server.folders["INBOX"].copies[int(keys[0])].flags


def test_a_worker_answers_the_tick(world: World, doorbell: Doorbell) -> None:
    call_command("tick", "--once")
    assert not Heartbeat.objects.filter(name="worker").exists()
    doorbell.answer()
    assert Heartbeat.objects.get(name="worker").at


def test_mail_of_the_past_is_linked_though_its_doorbell_was_lost(world: World, doorbell: Doorbell) -> None:
    world.deliver(2)
    world.sync()
    contact = ContactFactory()
    ContactAddress.objects.create(contact=contact, address="ida@customer.example")
    note_past_mail(addresses=["ida@customer.example"])
    call_command("tick", "--once")
    doorbell.answer()
    assert contact.links.count() == 2


def test_a_queue_that_is_away_does_not_end_the_tick(world: World, monkeypatch) -> None:
    def away(*args: object, **options: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(tasks.show_life, "delay", away)
    call_command("tick", "--once")
    assert Heartbeat.objects.get(name="tick").at


def test_a_run_whose_worker_died_is_rung_again_at_once(world: World) -> None:
    schedule.due_email_accounts()
    acquire(world.account.pk, Lease.Role.ENUMERATE, "elsewhere:1:x")
    assert schedule.due_email_accounts() == [], "it may still be at work"
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert schedule.due_email_accounts() == [world.account.pk]
    assert schedule.due_email_accounts() == []


def test_what_others_are_fetching_is_looked_at_in_a_moment_not_at_once(world: World) -> None:
    world.deliver(3)
    world.sync()
    schedule.due_email_accounts()
    Copy.objects.filter(remote_key="1").update(
        state="pending", claimed_by="elsewhere:1:x", claimed_until=timezone.now() + timedelta(seconds=20)
    )
    assert schedule.has_work(world.account.pk) is False
    world.account.refresh_from_db()
    assert world.account.next_sync_at < timezone.now() + timedelta(seconds=5)
    Copy.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert schedule.has_work(world.account.pk) is True


def test_a_queue_that_is_away_does_not_end_a_download(world: World, monkeypatch) -> None:
    def away(*args: object, **options: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(tasks.sync_email_account, "delay", away)
    monkeypatch.setattr("sync.pipeline.HELP_ABOVE", 1)
    world.deliver(60)
    tasks.sync_email_account.run(world.account.pk)
    assert Message.objects.count() == 60
