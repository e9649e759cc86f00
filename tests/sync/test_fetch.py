"""Fetching a slice: a message that the server cannot give out never holds up the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from drivers.errors import ProtocolError, ServerUnreachable
from drivers.fake.driver import FakeDriver
from drivers.types import RemoteMessage
from mail.models import Copy, CopyState
from tests.sync.conftest import World


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """key -> what the server does when it is asked for this message."""
    faults: dict[str, Exception] = {}
    original = FakeDriver.fetch_messages

    def fetch(self: FakeDriver, folder: str, keys: Sequence[str], **asked: Any) -> Iterator[RemoteMessage]:
        for message in original(self, folder, keys, **asked):
            if fault := faults.get(message.copy.key):
                raise fault
            yield message

    monkeypatch.setattr(FakeDriver, "fetch_messages", fetch)
    return faults


def test_a_message_that_the_server_cannot_give_is_parked_and_the_others_are_stored(
    world: World, broken: dict[str, Exception]
) -> None:
    world.deliver(9)
    broken["4"] = ProtocolError("literal too long")
    assert world.sync() is True
    failed = Copy.objects.get(state=CopyState.FAILED)
    assert failed.remote_key == "4" and "literal too long" in failed.reason
    assert len(world.subjects()) == 8
    assert world.ledger().unaccounted == 0


def test_what_came_before_the_line_broke_is_kept(world: World, broken: dict[str, Exception]) -> None:
    world.deliver(9)
    broken["4"] = ServerUnreachable("cut")
    assert world.sync() is False
    assert sorted(world.subjects()) == [f"Mail {n}" for n in range(5, 10)]
    broken.clear()
    assert world.sync() is True
    assert len(world.subjects()) == 9


def test_a_message_that_vanished_before_it_was_fetched_leaves_the_ledger(world: World, monkeypatch) -> None:
    keys = world.deliver(3)
    original = FakeDriver.fetch_messages

    def vanishing(self: FakeDriver, folder: str, wanted: Sequence[str], **asked: Any) -> Iterator[RemoteMessage]:
        world.server.folders["INBOX"].remove(keys[1])
        return original(self, folder, wanted, **asked)

    monkeypatch.setattr(FakeDriver, "fetch_messages", vanishing)
    world.sync()
    world.sync()
    assert world.keys() == {keys[0], keys[2]}
    assert world.ledger().unaccounted == 0


def test_a_folder_numbered_anew_before_the_fetch_gives_no_wrong_content(world: World, monkeypatch) -> None:
    world.deliver(5)
    from_server = FakeDriver.epoch
    renumbered = []

    def epoch(self: FakeDriver, folder_id: str) -> int:
        if folder_id == "INBOX" and not renumbered:
            renumbered.append(folder_id)
            inbox = world.server.folders["INBOX"]
            inbox.remove("1")
            inbox.renumber()  # the keys 1 to 4 now mean other messages
        return from_server(self, folder_id)

    monkeypatch.setattr(FakeDriver, "epoch", epoch)
    world.sync()
    assert world.subjects() == []
    world.sync()
    world.sync()
    assert sorted(world.subjects()) == [f"Mail {n}" for n in range(2, 6)]
    assert world.keys() == {"1", "2", "3", "4"}
    assert world.ledger().unaccounted == 0


def test_a_line_that_broke_in_the_middle_of_work_is_taken_up_at_once_and_is_no_failure(
    world: World, broken: dict[str, Exception]
) -> None:
    world.deliver(9)
    broken["4"] = ServerUnreachable("cut")
    world.sync()
    assert world.account.failures == 0
    assert world.account.next_sync_at < timezone.now() + timedelta(seconds=5)
    broken["9"] = broken["3"] = ServerUnreachable("cut")
    Copy.objects.filter(state=CopyState.PENDING).update(attempts=0)
    world.server.fail_next.append(ServerUnreachable("away"))
    world.sync()
    assert world.account.failures == 1, "nothing came: that is one"
