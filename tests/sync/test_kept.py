"""What could not be read is kept, read again without the server, and outlives its deletion there."""

from __future__ import annotations

import pytest
from django.core.files.storage import storages

from intake import take_in as room
from mail.models import Copy, CopyState, Message
from mail.parse import Unreadable
from sync import explain
from tests.sync.conftest import World


@pytest.fixture
def parked(world: World, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A mailbox of three mails, the second of them beyond this version's parser; then the update comes."""
    original = room.parse_safely

    def poisoned(raw: bytes, **more: object) -> object:
        if b"Subject: Mail 2\r\n" in raw:
            raise Unreadable("not done within 30 s")
        return original(raw, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "parse_safely", poisoned)
    world.deliver(3)
    world.sync()
    monkeypatch.setattr(room, "parse_safely", original)
    return Copy.objects.get(state=CopyState.FAILED)


def test_after_an_update_it_is_read_from_what_was_kept(world: World, parked: Copy) -> None:
    world.server.calls.clear()
    assert explain.try_again(world.account, [parked.pk]) == 1
    world.sync()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2", "Mail 3"]
    assert not [call for call in world.server.calls if call.startswith("fetch_messages")]
    assert not storages["mail"].exists(parked.raw)
    assert world.ledger().adds_up


def test_it_is_still_there_when_the_server_deleted_it(world: World, parked: Copy) -> None:
    world.server.folders["INBOX"].remove(parked.remote_key)
    world.sync()
    assert world.ledger().adds_up and world.ledger().on_server == 2
    (listed,) = explain.unread_copies(world.account)
    assert listed.copy_id == parked.pk
    explain.try_again(world.account, [parked.pk])
    world.sync()
    assert "Mail 2" in world.subjects()
    world.sync(compare_all=True)
    world.sync(compare_all=True)
    assert Message.objects.get(subject="Mail 2").gone_at is not None
    assert world.ledger().adds_up


def test_a_source_that_is_no_longer_there_is_fetched_from_the_server(world: World, parked: Copy) -> None:
    storages["mail"].delete(parked.raw)
    explain.try_again(world.account, [parked.pk])
    world.sync()
    assert "Mail 2" in world.subjects()
