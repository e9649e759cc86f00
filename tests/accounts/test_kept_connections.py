"""A worker keeps a mailbox's connection from one run to the next, within the budget and not for long."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import connections, kept_connections
from accounts.connections import mailbox
from accounts.models import ConnectionSlot, EmailAccount
from accounts.vault import change_secret, store_secret
from drivers.errors import ServerUnreachable
from drivers.fake.driver import FakeServer
from tests.factories import EmailAccountFactory, EmailAccountServerFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    made = FakeServer()
    monkeypatch.setattr(connections, "mailbox_driver", lambda _protocol, _address, login: made.driver(login.secret))
    return made


@pytest.fixture
def account(server: FakeServer) -> EmailAccount:
    made = EmailAccountFactory(address=server.user_name)
    EmailAccountServerFactory(email_account=made, user_name=server.user_name)
    store_secret(server.password, email_account=made)
    return made


@pytest.fixture
def worker() -> Iterator[None]:
    """This process is a worker."""
    kept_connections.begin()
    yield
    kept_connections.end()


def opened(server: FakeServer) -> int:
    return server.calls.count("open")


def purposes(account: EmailAccount) -> list[str]:
    return list(ConnectionSlot.objects.filter(email_account=account).values_list("purpose", flat=True))


def test_the_next_run_of_a_worker_finds_the_connection(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account) as first:
        assert not first.is_reused
    assert purposes(account) == ["kept"]
    with mailbox(account) as second:
        assert second is first and second.is_reused
    assert opened(server) == 1 and purposes(account) == ["kept"]


def test_a_command_keeps_nothing(server: FakeServer, account: EmailAccount) -> None:
    for _ in range(2):
        with mailbox(account) as driver:
            assert not driver.is_reused
    assert opened(server) == 2 and purposes(account) == []


def test_a_click_neither_takes_nor_leaves_one(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account, purpose="click"):
        pass
    assert purposes(account) == []
    with mailbox(account):
        pass
    with mailbox(account, purpose="click") as driver:
        assert not driver.is_reused
    assert purposes(account) == ["kept"]


def test_a_run_that_failed_leaves_no_connection(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with pytest.raises(ServerUnreachable), mailbox(account):
        raise ServerUnreachable("gone", kind="dropped")
    assert purposes(account) == []


def test_a_sign_in_that_fails_gives_its_place_back(worker: None, server: FakeServer, account: EmailAccount) -> None:
    server.fail_next = [ServerUnreachable("refused", kind="refused")]
    with pytest.raises(ServerUnreachable), mailbox(account):
        pass
    assert purposes(account) == []


def test_another_password_means_another_sign_in(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account):
        pass
    server.password = "another"
    change_secret(account.credential, "another")
    account.refresh_from_db()
    with mailbox(account) as driver:
        assert not driver.is_reused
    assert opened(server) == 2 and purposes(account) == ["kept"]


def test_a_line_that_ended_meanwhile_is_not_taken(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account) as driver:
        pass
    driver.close()
    with mailbox(account) as another:
        assert another is not driver and not another.is_reused
    assert purposes(account) == ["kept"]


def test_it_is_not_kept_beside_another_connection(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account):
        with mailbox(account) as second:
            assert not second.is_reused
        assert purposes(account) == ["sync"]
    assert purposes(account) == ["kept"]


def test_a_lost_place_in_the_budget_ends_it(worker: None, server: FakeServer, account: EmailAccount) -> None:
    with mailbox(account):
        pass
    ConnectionSlot.objects.filter(email_account=account).delete()
    with mailbox(account) as driver:
        assert not driver.is_reused


def test_its_place_outlives_the_time_that_it_is_kept(worker: None, server: FakeServer, account: EmailAccount) -> None:
    before = timezone.now()
    with mailbox(account):
        pass
    row = ConnectionSlot.objects.get(email_account=account)
    assert row.expires_at - before > timedelta(seconds=kept_connections.IDLE_SECONDS + kept_connections.LOOK_EVERY)


def test_what_nobody_uses_is_closed(server: FakeServer, account: EmailAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(kept_connections, "LOOK_EVERY", 0.05)
    kept_connections.begin()
    try:
        with mailbox(account) as driver:
            pass
        deadline = time.monotonic() + 60
        while ConnectionSlot.objects.filter(email_account=account).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert purposes(account) == [] and not driver.is_usable()
    finally:
        kept_connections.end()


def test_the_end_of_a_worker_closes_all(server: FakeServer, account: EmailAccount) -> None:
    kept_connections.begin()
    with mailbox(account) as driver:
        pass
    kept_connections.end()
    assert purposes(account) == [] and not driver.is_usable()


def test_a_forked_worker_closes_its_own(worker: None) -> None:
    child = os.fork()
    if not child:
        before = kept_connections._closer
        kept_connections.begin()
        after = kept_connections._closer
        os._exit(0 if after is not None and after is not before and after.is_alive() else 1)
    assert os.waitpid(child, 0)[1] == 0
