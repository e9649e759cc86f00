"""The wall clock of a worker jumps by hours while it works; the database's does not: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import cycle

import pytest
import time_machine
from django.utils import timezone

from drivers.fake.driver import FakeDriver
from drivers.types import RemoteMessage
from mail.models import Message
from sync import schedule
from tests.sync.conftest import World


def test_a_clock_that_jumps_while_mail_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(70)
    original = FakeDriver.fetch_messages
    jumps = cycle((7200, -7200, -3600, 3600))
    with time_machine.travel(timezone.now(), tick=True) as traveller:

        def fetch(self: FakeDriver, folder: str, keys: Sequence[str], *, whole_below: int) -> Iterator[RemoteMessage]:
            for message in original(self, folder, keys, whole_below=whole_below):
                traveller.shift(next(jumps))
                yield message

        monkeypatch.setattr(FakeDriver, "fetch_messages", fetch)
        for _ in range(3):
            world.sync()
    assert Message.objects.count() == 70
    assert world.ledger().adds_up


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_was_set_right_never_stops_a_mailbox_for_long(world: World, hours: int) -> None:

    with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
        world.deliver(2)
        world.sync()
    world.deliver(1, start=3)
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True):
        assert schedule.due_email_accounts() == [world.account.pk], "its next look must not lie hours ahead"
