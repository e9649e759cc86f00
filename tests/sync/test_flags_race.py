"""Flags that change while a copy is on its way: the newest word of the server is what is shown in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from drivers.fake.driver import FakeDriver
from drivers.types import RemoteMessage
from mail.changes import apply_server_flags, set_read
from mail.models import Copy, Message
from tests.sync.conftest import World


def test_flags_enumerated_while_the_content_was_on_its_way_win(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(2)
    original = FakeDriver.fetch_messages

    def fetch(self: FakeDriver, folder: str, keys: Sequence[str], **asked: Any) -> Iterator[RemoteMessage]:
        for message in original(self, folder, keys, **asked):
            copy = Copy.objects.get(folder__remote_id=folder, remote_key=message.copy.key)
            apply_server_flags([(copy, frozenset({"\\seen", "\\flagged"}))])  # another worker enumerates
            yield message

    monkeypatch.setattr(FakeDriver, "fetch_messages", fetch)
    world.sync()
    assert set(Message.objects.values_list("is_read", "is_flagged")) == {(True, True)}
    assert set(Copy.objects.values_list("flags", flat=True)) == {"\\flagged \\seen"}


def test_what_the_server_said_while_a_local_change_waited_is_shown_after_it(world: World) -> None:
    keys = world.deliver(1)
    world.sync()
    message = Message.objects.get()
    set_read([message.pk], is_read=True)
    copy = Copy.objects.get(remote_key=keys[0])
    apply_server_flags([(copy, frozenset({"\\flagged"}))])
    message.refresh_from_db()
    assert (message.is_read, message.is_flagged) == (True, False), "the local change wins until it is pushed"
    world.server.folders["INBOX"].copies[int(keys[0])].flags = {"\\flagged"}
    world.sync()
    message.refresh_from_db()
    assert (message.is_read, message.is_flagged) == (True, True)


def test_a_moved_message_shows_the_flags_of_its_new_copy(world: World) -> None:
    keys = world.deliver(3)
    world.server.add_folder("Projects")
    world.sync()
    inbox, projects = world.server.folders["INBOX"], world.server.folders["Projects"]
    raw = inbox.copies[int(keys[1])]
    projects.add(raw.raw, flags=("\\Seen", "\\Flagged"), received_at=raw.received_at)
    inbox.remove(keys[1])
    world.sync()
    moved = Message.objects.get(subject="Mail 2")
    assert (moved.is_read, moved.is_flagged) == (True, True)
