"""The listener as a process on PostgreSQL and Dovecot: it ends at once, and what a killed one held is taken over."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from drivers.types import Security
from tests.drivers.contract import mail
from tests.journeys.conftest import Installation
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.servers


def _until(true: Callable[[], object], seconds: float = 30.0) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not happen"
        time.sleep(0.05)
    return time.monotonic() - began


def test_news_are_asked_for_and_listeners_come_and_go(
    install: Callable[[], Installation], dovecot: Dovecot, dovecot_user: str
) -> None:
    installation = install()
    installation.connect(dovecot.address(Security.SSL, host="localhost"), dovecot.login(dovecot_user), dovecot_user)
    installation.rows("UPDATE accounts_emailaccount SET state = 'active'")

    def asked() -> bool:
        return bool(installation.rows("SELECT 1 FROM accounts_emailaccount WHERE sync_requested_at IS NOT NULL"))

    def holder() -> str:
        rows = installation.rows("SELECT holder FROM sync_lease WHERE role = 'listen' AND holder <> ''")
        return str(rows[0][0]) if rows else ""

    def stands() -> bool:
        return bool(installation.rows("SELECT 1 FROM sync_listening WHERE opened_at IS NOT NULL"))

    first = installation.start("listen")
    second = None
    try:
        _until(lambda: stands() and asked())
        installation.rows("UPDATE accounts_emailaccount SET sync_requested_at = NULL")
        dovecot.add_messages(dovecot_user, "INBOX", [mail(1)])
        assert _until(asked, 10) < 5
        second = installation.start("listen")
        _until(lambda: len(installation.rows("SELECT 1 FROM sync_heartbeat WHERE name LIKE 'listener:%'")) == 2)
        former = holder()
        assert f":{first.pid}:" in former
        first.kill()
        first.wait()
        assert _until(lambda: f":{second.pid}:" in holder(), 15) < 6  # type: ignore[union-attr]
        _until(stands)
        second.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert second.wait(10) == 0
        assert time.monotonic() - began < 2.5
        assert holder() == ""
    finally:
        for process in (first, second):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
