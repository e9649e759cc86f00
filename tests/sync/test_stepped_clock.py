"""The wall clock of a worker jumps by hours while it works; the database's does not: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.fake.driver import FakeDriver
from drivers.types import RemoteMessage
from mail.models import Message
from sync import schedule
from sync.leases import acquire, release
from sync.models import Lease, Listening
from tests.sync.conftest import World


def test_a_clock_that_jumps_while_mail_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(70)
    original = FakeDriver.fetch_messages
    jumps = cycle((7200, -7200, -3600, 3600))
    with time_machine.travel(timezone.now(), tick=True) as traveller:

        def fetch(self: FakeDriver, folder: str, keys: Sequence[str], **asked: Any) -> Iterator[RemoteMessage]:
            for message in original(self, folder, keys, **asked):
                traveller.shift(next(jumps))
                yield message

        monkeypatch.setattr(FakeDriver, "fetch_messages", fetch)
        for _ in range(3):
            world.sync()
    assert Message.objects.count() == 70
    assert world.ledger().adds_up


@pytest.mark.parametrize("minutes", [-300, -4, 4, 300])
def test_a_clock_that_was_set_right_never_stops_a_mailbox_for_long(world: World, minutes: int) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=True):
        world.deliver(2)
        world.sync()
    world.deliver(1, start=3)
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True):
        assert schedule.due_email_accounts() == [world.account.pk], "its next look must not lie far ahead"


def test_a_mailbox_whose_line_stands_may_wait_longer(world: World, settings: Any) -> None:
    world.sync()
    far = timezone.now() + timedelta(seconds=settings.MAIL_LISTENED_POLL_SECONDS)
    EmailAccount.objects.update(next_sync_at=far)
    held = acquire(world.account.pk, Lease.Role.LISTEN, "listener")
    Listening.objects.create(email_account=world.account, opened_at=timezone.now())
    assert held is not None and schedule.due_email_accounts() == []
    release(held)  # the listener ended: nobody tells of news
    assert schedule.due_email_accounts() == [world.account.pk]
