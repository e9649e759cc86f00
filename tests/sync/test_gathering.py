"""What a run has fetched waits for the mailbox's lock without holding up the fetching."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone

from drivers.errors import ServerUnreachable
from drivers.fake.driver import FakeDriver
from drivers.types import RemoteCopy, RemoteMessage
from intake.take_in import Fetched
from mail.models import Copy, CopyState, Message
from mail.store import is_locked, lock_mailbox
from sync import fetch, gathering
from sync.gathering import Gathered
from sync.pipeline import describe_mailbox
from tests.sync.conftest import World


@contextmanager
def another_writes(email_account_id: int) -> Iterator[None]:
    """Somebody else holds the mailbox's lock, in a connection of their own."""
    has_it, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                lock_mailbox(email_account_id)
                has_it.set()
                may_end.wait(60)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(60)
    try:
        yield
    finally:
        may_end.set()
        thread.join()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages are worth a transaction, one is parsed at once."""
    monkeypatch.setattr(gathering, "ENOUGH_COUNT", 2)
    monkeypatch.setattr(fetch, "BATCH_COUNT", 1)


def stored_after_each_fetch(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages are in the database each time the server has given one more."""
    seen: list[int] = []
    original = FakeDriver.fetch_messages

    def watched(self: FakeDriver, *args: object, **options: object) -> Iterator[object]:
        for message in original(self, *args, **options):  # type: ignore[arg-type]
            seen.append(Message.objects.count())
            yield message

    monkeypatch.setattr(FakeDriver, "fetch_messages", watched)
    return seen


def test_with_nobody_else_there_it_is_stored_as_soon_as_there_is_enough(
    world: World, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = stored_after_each_fetch(world, monkeypatch)
    world.deliver(6)
    assert world.sync() is True
    assert seen == [0, 0, 2, 2, 4, 4]
    assert len(world.subjects()) == 6


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_while_another_worker_writes_more_is_fetched_and_then_all_is_stored_at_once(
    world: World, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = stored_after_each_fetch(world, monkeypatch)
    world.deliver(4)
    opened = FakeDriver.fetch_messages

    def held(self: FakeDriver, *args: object, **options: object) -> Iterator[object]:
        with another_writes(world.account.pk):
            for number, message in enumerate(opened(self, *args, **options)):  # type: ignore[arg-type]
                if number == 3:  # one less than must not wait any longer
                    break
                yield message
        yield message

    monkeypatch.setattr(FakeDriver, "fetch_messages", held)
    assert world.sync() is True
    assert seen == [0] * 4
    assert len(world.subjects()) == 4 and world.ledger().unaccounted == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_near_the_end_where_little_is_enough_nobody_waits_for_the_lock_either(world: World) -> None:
    world.deliver(1)
    world.sync()
    folder = Copy.objects.get().folder
    keys = [str(number) for number in range(100, 105)]
    copies = [
        Copy.objects.create(email_account=world.account, folder=folder, epoch=folder.epoch, remote_key=key)
        for key in keys
    ]
    gathered = Gathered(describe_mailbox(world.account))
    gathered.enough = 1
    with another_writes(world.account.pk):
        for copy in copies:
            remote = RemoteCopy(copy.remote_key, int(copy.remote_key), timezone.now(), 30, frozenset())
            raw = f"Message-ID: <{copy.remote_key}@a.example>\r\n\r\nText".encode()
            gathered.add([Fetched(copy, RemoteMessage(remote, raw))])
        assert Message.objects.count() == 1
    gathered.store()
    assert Message.objects.count() == 6 and not Copy.objects.filter(state=CopyState.PENDING).exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_writers_lock_holds_up_no_row_that_only_names_the_mailbox(world: World) -> None:
    world.deliver(1)
    world.sync()
    folder = Copy.objects.get().folder
    assert not is_locked(world.account.pk)
    with another_writes(world.account.pk):
        assert is_locked(world.account.pk)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            Copy.objects.create(email_account=world.account, folder=folder, epoch=folder.epoch, remote_key="99")
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


def test_what_has_gathered_is_stored_when_the_line_breaks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FakeDriver.fetch_messages

    def cut(self: FakeDriver, *args: object, **options: object) -> Iterator[object]:
        for number, message in enumerate(original(self, *args, **options)):  # type: ignore[arg-type]
            if number == 3:
                raise ServerUnreachable("cut")
            yield message

    monkeypatch.setattr(FakeDriver, "fetch_messages", cut)
    world.deliver(6)
    assert world.sync() is False
    assert sorted(world.subjects()) == ["Mail 4", "Mail 5", "Mail 6"]
    assert Copy.objects.filter(state=CopyState.PENDING).count() == 3


def test_a_mailbox_of_many_folders_is_whole_although_its_folders_gather_together(world: World) -> None:
    world.deliver(3)
    world.deliver(2, folder="Sent", start=50)
    assert world.sync() is True
    assert world.keys() == {"1", "2", "3"} and world.keys("Sent") == {"1", "2"}
    assert Copy.objects.filter(state=CopyState.STORED, message__isnull=False).count() == 5


def test_a_copy_that_this_run_claims_again_while_it_holds_it_becomes_one_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FakeDriver.fetch_messages

    def claims_run_out(self: FakeDriver, *args: object, **options: object) -> Iterator[object]:
        yield from original(self, *args, **options)  # type: ignore[arg-type]
        if len(world.server.calls) < 40:
            Copy.objects.update(claimed_until=None)  # as when the database's clock is set forward

    monkeypatch.setattr(FakeDriver, "fetch_messages", claims_run_out)
    monkeypatch.setattr("sync.pipeline.FIRST", 2)
    world.deliver(5)
    world.sync()
    monkeypatch.undo()
    world.sync()
    assert sorted(world.subjects()) == [f"Mail {n}" for n in range(1, 6)]
    assert Copy.objects.filter(state=CopyState.STORED).count() == 5
