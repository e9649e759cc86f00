"""Push by IDLE: the contract on a real Dovecot and a scripted server, and what bad lines and bad servers do."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from drivers import errors, registry
from drivers.base import PushChannel
from drivers.imap.push import MAX_LINE, ImapPushChannel
from drivers.types import Login, Security, ServerAddress
from tests.drivers.push_contract import PushContract, PushWorld, hears, opened  # noqa: F401 - a fixture
from tests.drivers.worlds import DovecotWorld, MiniWorld
from tests.servers.mini_imap import MiniImap
from tests.servers.scripted_imap import ScriptedImap


class IdleServer(MiniImap):
    capabilities = ("IMAP4rev1", "IDLE", "AUTH=PLAIN", "UIDPLUS")


@pytest.fixture
def idle_server() -> Iterator[IdleServer]:
    with IdleServer() as server:
        yield server


def channel_to(server: MiniImap) -> PushChannel:
    channel = registry.push_channel("imap", server.address(), server.login())
    assert channel is not None
    return channel


class TestMini(PushContract):
    @pytest.fixture
    def watched(self, idle_server: IdleServer) -> PushWorld:
        return PushWorld(MiniWorld(idle_server), lambda: channel_to(idle_server))


@pytest.mark.servers
@pytest.mark.parametrize("security", [Security.NONE, Security.SSL])
class TestDovecot(PushContract):
    @pytest.fixture
    def watched(self, dovecot, dovecot_user, security) -> PushWorld:
        return PushWorld(
            DovecotWorld(dovecot, dovecot_user, security),
            lambda: ImapPushChannel(dovecot.address(security), dovecot.login(dovecot_user)),
        )


def test_a_server_without_idle_is_told_apart_and_not_held(poor_server):
    with pytest.raises(errors.PushUnavailable):
        channel_to(poor_server).open()
    assert "IDLE" not in poor_server.log


def test_a_protocol_without_push_offers_no_channel(poor_server):
    assert registry.push_channel("pop3", poor_server.address(), poor_server.login()) is None


def test_a_wrong_password_is_said_without_the_password(idle_server):
    channel = ImapPushChannel(idle_server.address(), Login("anna@example.com", "wr0ng-Secret"))
    with pytest.raises(errors.AuthenticationFailed) as caught:
        channel.open()
    assert "wr0ng" not in repr(caught.value) + caught.value.server_said


def test_watching_changes_nothing_on_the_server(idle_server):
    idle_server.add_message("INBOX", b"Subject: one\r\n\r\nx\r\n")
    channel = channel_to(idle_server)
    channel.open()
    channel.close()
    assert not {"SELECT", "UID STORE", "CLOSE", "EXPUNGE"} & set(idle_server.log)


def test_a_line_that_the_server_cuts_is_noticed(idle_server):
    channel = channel_to(idle_server)
    channel.open()
    hears(channel, 0.2)
    idle_server.stop()
    other, ours = socket.socketpair()
    old, channel._sock = channel._sock, ours  # the line as it looks when the other end goes away
    old.close()
    other.close()
    with pytest.raises(errors.ServerUnreachable):
        hears(channel, 1)


class Script:
    """Says what it is told after the sign-in, whatever is asked."""

    def __init__(self, *after_idle: bytes, answers_done: bool = True) -> None:
        self._after, self._answers_done = after_idle, answers_done
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def address(self) -> ServerAddress:
        host, port = self._listener.getsockname()
        return ServerAddress(host, port, Security.NONE, "", ("127.0.0.0/8",), 5)

    def _serve(self) -> None:
        with suppress(OSError):
            self._talk()

    def _talk(self) -> None:
        sock, _ = self._listener.accept()
        sock.sendall(b"* OK hello\r\n")
        for line in sock.makefile("rb"):
            tag, _, command = line.strip().partition(b" ")
            if command.startswith(b"CAPABILITY"):
                sock.sendall(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
            if command == b"IDLE":
                for said in self._after:
                    sock.sendall(said.replace(b"TAG", tag))
                continue
            if tag == b"DONE":
                if not self._answers_done:
                    continue
                tag = b"p1"
            sock.sendall(tag + b" OK [UIDVALIDITY 1] done\r\n")


def opened_on(script: Script) -> PushChannel:
    channel = ImapPushChannel(script.address(), Login("a", "b"))
    channel.open()
    return channel


def test_a_server_that_refuses_idle_has_no_push():
    with pytest.raises(errors.PushUnavailable):
        hears(opened_on(Script(b"TAG NO not today\r\n")), 2)


def test_a_server_that_ends_idle_again_and_again_has_no_push():
    with pytest.raises(errors.PushUnavailable):
        hears(opened_on(Script(b"+ ok\r\n", b"TAG OK bye\r\n")), 2)


def test_a_renewal_without_an_answer_means_a_dead_line():
    channel = opened_on(Script(b"+ ok\r\n", answers_done=False))
    assert not hears(channel, 0.2)
    channel.renew()
    assert not hears(channel, 0.2)
    with pytest.raises(errors.ServerUnreachable) as caught:
        channel.renew()
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"* BYE [UNAVAILABLE] restarting, try again in 20 seconds\r\n", errors.ServerBusy),
        (b"* BYE idle for too long\r\n", errors.ServerUnreachable),
        (b"* OK " + b"x" * (MAX_LINE + 10), errors.ProtocolError),
        (b"* OK " + b"x" * (MAX_LINE + 10) + b"\r\n", errors.ProtocolError),
    ],
)
def test_goodbyes_and_floods_end_the_line(said, error):
    channel = opened_on(Script(b"+ ok\r\n", said))
    with pytest.raises(error):
        hears(channel, 2)
    with pytest.raises(errors.ServerUnreachable):
        channel.fileno()


def test_news_in_many_small_pieces_ring_once_it_is_whole():
    pieces = [bytes([byte]) for byte in b"* 23 EXISTS\r\n"]
    channel = opened_on(Script(b"+ ok\r\n", *pieces))
    assert hears(channel, 2)


@pytest.mark.parametrize("said", [b"* OK Still here\r\n", b"* 5 RECENT\r\n", b"* FLAGS ()\r\n", b"rubbish\r\n"])
def test_small_talk_is_no_news(said):
    channel = opened_on(Script(b"+ ok\r\n", said))
    assert not hears(channel, 0.4)
    assert select.select([channel], [], [], 0)[0] == []


def test_the_secret_is_not_kept_once_it_is_open(idle_server):
    channel = channel_to(idle_server)
    channel.open()
    assert idle_server.login().secret not in repr(vars(channel))
    channel.close()


@pytest.mark.parametrize("where", ["EXAMINE", "IDLE"])
def test_news_in_the_packet_of_another_answer_is_heard(where: str) -> None:
    """What was read together with an answer wakes no selector: it must be looked at without being told."""
    replies = {
        "greeting": b"* OK [CAPABILITY IMAP4rev1 IDLE] hello\r\n",
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE\r\n%(tag)s OK done\r\n",
        "EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 10] x\r\n%(tag)s OK [READ-ONLY] done\r\n",
        "IDLE": b"+ idling\r\n",
    }
    replies[where] += b"* 4 EXISTS\r\n"
    with ScriptedImap(replies) as server:
        channel = ImapPushChannel(server.address(), server.login())
        channel.open()
        try:
            assert channel.on_readable() or hears(channel, 60)
        finally:
            channel.close()
