"""What every push channel keeps, whoever writes it. A test class inherits `PushContract` and gives a `world`."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from drivers import errors
from drivers.base import PushChannel
from tests.drivers.contract import mail
from tests.drivers.worlds import World


@dataclass
class PushWorld:
    """A mailbox, how to watch it, and how to cut the line."""

    world: World
    channel: Callable[[], PushChannel]


def hears(channel: PushChannel, seconds: float) -> bool:
    """Whether news come within so many seconds, as the listener waits for them."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([channel], [], [], left)[0] and channel.on_readable():
            return True
    return False


@pytest.fixture
def opened(watched: PushWorld) -> Iterator[PushChannel]:
    channel = watched.channel()
    channel.open()
    assert not hears(channel, 0.3)
    yield channel
    channel.close()


class PushContract:
    """Inherit and define the fixture `watched`."""

    def test_new_mail_rings_again_and_again(self, watched: PushWorld, opened: PushChannel) -> None:
        for number in range(2):
            watched.world.add("INBOX", mail(number))
            assert hears(opened, 5)
            while hears(opened, 0.8):
                pass

    def test_a_flag_or_a_deletion_by_another_client_rings(self, watched: PushWorld) -> None:
        key = watched.world.add("INBOX", mail(1))
        channel = watched.channel()
        channel.open()
        try:
            hears(channel, 0.5)
            watched.world.remove("INBOX", key)
            assert hears(channel, 5)
        finally:
            channel.close()

    def test_it_still_rings_after_a_renewal(self, watched: PushWorld, opened: PushChannel) -> None:
        before = opened.due_at
        opened.renew()
        assert opened.due_at < before, "the answer to a renewal is awaited for a short time only"
        assert not hears(opened, 0.5)
        assert opened.due_at > before
        watched.world.add("INBOX", mail(2))
        assert hears(opened, 5)

    def test_it_is_due_long_before_twenty_nine_minutes(self, opened: PushChannel) -> None:
        assert 1 < opened.due_at - time.monotonic() < 29 * 60 - 30

    def test_after_news_it_is_renewed_soon_and_then_seldom(self, watched: PushWorld, opened: PushChannel) -> None:
        """What comes while a server puts the line back to sleep may be missed by it: a renewal makes it look."""
        watched.world.add("INBOX", mail(3))
        assert hears(opened, 5)
        assert opened.due_at - time.monotonic() < 5
        while hears(opened, 0.8):
            pass
        spans = []
        for _ in range(4):
            opened.renew()
            assert not hears(opened, 0.4)
            spans.append(opened.due_at - time.monotonic())
        assert spans[0] > 5 and spans[-1] > 300

    def test_nothing_blocks_once_it_is_open(self, opened: PushChannel) -> None:
        started = time.monotonic()
        assert opened.on_readable() is False
        assert time.monotonic() - started < 0.1

    def test_closing_twice_is_fine_and_a_closed_one_says_so(self, opened: PushChannel) -> None:
        opened.close()
        opened.close()
        for act in (opened.fileno, opened.on_readable, opened.renew):
            with pytest.raises(errors.ServerUnreachable):
                act()
