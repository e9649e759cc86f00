"""Push by streaming notifications."""

from __future__ import annotations

import threading
import time

import pytest

from drivers import errors, registry
from drivers.base import PushChannel
from drivers.ews import push
from drivers.ews.push import EwsPushChannel
from tests.drivers.contract import mail
from tests.drivers.push_contract import hears
from tests.servers.ews import EwsServer, Trouble

LONG = 60.0  # seconds: a deadline, not a wait


def opened(server: EwsServer) -> PushChannel:
    """A channel whose stream stands."""
    channel = registry.push_channel("ews", server.server_address(), server.login())
    assert channel is not None
    channel.open()
    end = time.monotonic() + LONG
    while not server.streaming and time.monotonic() < end:
        time.sleep(0.01)
    assert server.streaming
    return channel


def lost(channel: PushChannel) -> errors.DriverError:
    """The error with which the line ends."""
    with pytest.raises(errors.DriverError) as caught:
        while True:
            hears(channel, LONG)
    return caught.value


def test_new_mail_flags_and_deletions_ring(ews_server: EwsServer) -> None:
    ews_server.decimals = 9
    store = ews_server.store
    channel = opened(ews_server)
    item = store.add(store.by_name("inbox"), mail(1))
    assert hears(channel, LONG)
    item.is_read = True
    store.touch(item, only_read=True)
    assert hears(channel, LONG)
    store.remove(item.id)
    assert hears(channel, LONG)
    channel.close()


def test_nothing_blocks_and_closing_twice_is_fine(ews_server: EwsServer) -> None:
    channel = opened(ews_server)
    assert channel.on_readable() is False
    assert 1 < channel.due_at - time.monotonic() < 29 * 60
    channel.renew()
    channel.close()
    channel.close()
    for act in (channel.fileno, channel.on_readable, channel.renew):
        with pytest.raises(errors.ServerUnreachable):
            act()


def test_a_broken_line_says_so_and_its_thread_ends(ews_server: EwsServer) -> None:
    channel = opened(ews_server)
    ews_server.drop_all()
    assert isinstance(lost(channel), errors.ServerUnreachable)
    end = time.monotonic() + LONG
    while any(one.name == "ews-stream" for one in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(one.name == "ews-stream" for one in threading.enumerate())


def test_a_silent_line_is_dead(ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = opened(ews_server)
    monkeypatch.setattr(push, "SILENCE", -1.0)
    with pytest.raises(errors.ServerUnreachable) as caught:
        channel.renew()
    assert caught.value.kind == "timeout"


def test_a_server_without_streaming_is_polled(ews_server: EwsServer) -> None:
    ews_server.streams = False
    with pytest.raises(errors.PushUnavailable):
        EwsPushChannel(ews_server.server_address(), ews_server.login()).open()


def test_no_more_streams_than_threads_are_allowed(ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "_places", threading.BoundedSemaphore(1))
    first = opened(ews_server)
    with pytest.raises(errors.PushUnavailable):
        EwsPushChannel(ews_server.server_address(), ews_server.login()).open()
    first.close()


def test_a_forgotten_subscription_ends_the_line(ews_server: EwsServer) -> None:
    ews_server.troubles.append(Trouble("GetStreamingEvents", message="x", drops="before"))
    channel = EwsPushChannel(ews_server.server_address(), ews_server.login())
    channel.open()
    assert isinstance(lost(channel), errors.DriverError)


def test_a_wrong_password_is_said(ews_server: EwsServer) -> None:
    with pytest.raises(errors.AuthenticationFailed):
        EwsPushChannel(ews_server.server_address(), ews_server.login("wrong")).open()
