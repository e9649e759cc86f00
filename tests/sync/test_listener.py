"""The listener with real sockets: a mailbox rings seconds after it was connected, lines come back, the end is quick."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from accounts.models import AccountState, EmailAccount
from accounts.vault import store_secret
from sync import listener_keeper
from sync.listener import Listener
from sync.models import Heartbeat, Lease, Listening
from tests.drivers.contract import mail
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.servers.mini_imap import PASSWORD, MiniImap
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.django_db(transaction=True)


class IdleServer(MiniImap):
    capabilities = ("IMAP4rev1", "IDLE", "AUTH=PLAIN", "UIDPLUS")


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_keeper, "SCAN_EVERY", 0.3)
    monkeypatch.setattr(listener_keeper, "RENEW_EVERY", 0.5)


@pytest.fixture
def server() -> Iterator[IdleServer]:
    with IdleServer(users={f"user{n}@example.com": PASSWORD for n in range(5)}) as running:
        yield running


def connect(server: MiniImap, name: str, port: int | None = None) -> EmailAccount:
    account = EmailAccountFactory(address=name)
    EmailAccountServerFactory(
        email_account=account, user_name=name, host="127.0.0.1", port=port or server.port, security="none"
    )
    store_secret(PASSWORD, email_account=account)
    return account


class Running:
    """A listener on a thread, its rings recorded."""

    def __init__(self) -> None:
        self.rung: list[tuple[int, float]] = []
        self.listener = Listener(lambda pk: self.rung.append((pk, time.monotonic())))
        self.thread = threading.Thread(target=self.listener.run)
        self.thread.start()

    def rings(self, pk: int) -> int:
        return sum(one == pk for one, _at in self.rung)

    def stop(self) -> float:
        started = time.monotonic()
        self.listener.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        return time.monotonic() - started


@pytest.fixture
def start() -> Iterator[Callable[[], Running]]:
    running: list[Running] = []

    def begin() -> Running:
        running.append(Running())
        return running[-1]

    yield begin
    for one in running:
        one.stop()
    connection.close()


def until(true: Callable[[], object], seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_delivery_rings_by_itself_and_new_mailboxes_are_noticed(server, start):
    """How soon is what `script/bench push` measures; here neither a poll nor a renewal (15 s at first) can have been it."""
    first = connect(server, "user0@example.com")
    running = start()
    until(lambda: first.pk in running.listener.lines and running.rings(first.pk))
    second = connect(server, "user1@example.com")
    until(lambda: second.pk in running.listener.lines and running.rings(second.pk))
    time.sleep(0.7)
    before = running.rings(first.pk)
    delivered = time.monotonic()
    server.add_message("INBOX", mail(1))
    until(lambda: running.rings(first.pk) > before, 60)
    rang = min(at for pk, at in running.rung if pk == first.pk and at > delivered)
    assert rang - delivered < 10
    assert EmailAccount.objects.get(pk=first.pk).sync_requested_at is not None
    assert Heartbeat.objects.get(name="listener").detail["lines"] >= 1


def test_a_paused_mailbox_is_let_go_within_seconds(server, start):
    account = connect(server, "user0@example.com")
    running = start()
    until(lambda: account.pk in running.listener.lines)
    EmailAccount.objects.update(state=AccountState.PAUSED)
    until(lambda: account.pk not in running.listener.lines, 3)
    until(lambda: not Lease.objects.exclude(holder="").exists(), 2)


def test_a_cut_line_is_opened_again_and_asks_what_was_missed(server, start):
    with Proxy(server.port) as proxy:
        account = connect(server, "user0@example.com", proxy.port)
        running = start()
        until(lambda: account.pk in running.listener.lines and running.rings(account.pk))
        line = running.listener.lines[account.pk]
        time.sleep(0.7)
        before = running.rings(account.pk)
        proxy.drop_all()
        until(lambda: running.listener.lines.get(account.pk) not in (None, line))
        until(lambda: running.rings(account.pk) > before)


def test_a_mailbox_without_idle_is_left_to_the_poll(poor_server, server, start):
    poor_server.users = {"poor@example.com": PASSWORD}
    poor = connect(poor_server, "poor@example.com")
    good = connect(server, "user0@example.com")
    running = start()
    until(lambda: good.pk in running.listener.lines)
    until(lambda: Listening.objects.filter(email_account=poor, polled_until__isnull=False, reason="no_idle").exists())
    assert poor.pk not in running.listener.lines


def test_a_server_that_never_answers_delays_nobody_and_the_end_is_quick(server, start, settings):
    settings.MAIL_TIMEOUT = 30.0
    silent = socket.create_server(("127.0.0.1", 0))
    for number in range(3):
        connect(server, f"slow{number}@example.com", silent.getsockname()[1])
    good = connect(server, "user0@example.com")
    running = start()
    until(lambda: good.pk in running.listener.lines)
    assert running.stop() < 2.0
    assert not Lease.objects.exclude(holder="").exists()
    silent.close()


def test_two_listeners_share_and_when_one_ends_the_other_takes_all(server, start):
    made = {connect(server, f"user{n}@example.com").pk for n in range(4)}
    one = start()
    until(lambda: set(one.listener.lines) == made)
    two = start()
    until(lambda: len(two.listener.lines) >= 1 and set(one.listener.lines) | set(two.listener.lines) == made)
    assert not set(one.listener.lines) & set(two.listener.lines)
    one.stop()
    until(lambda: set(two.listener.lines) == made)
