"""A worker killed twenty times while rows are pending: nothing lost, nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.journeys.conftest import Installation, independent_uids
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.proxy import Mischief, Proxy

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
ANNA = "anna@example.com"
KILLS = 20
COUNT = 12_000


def test_twenty_kills_lose_nothing_and_store_nothing_twice(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    dice = random.Random(20)
    server = dovecot_with(DovecotOptions())
    server.add_messages(ANNA, "INBOX", letters(COUNT, seed=20))
    here = install()
    login = server.login(ANNA)
    with Proxy(server.port, Mischief(bytes_per_second=250_000)) as proxy:
        slow = server.address()
        here.connect(slow.__class__(**{**_fields(slow), "port": proxy.port}), login, ANNA)
        landed = 0
        progress = []
        for _ in range(KILLS):
            worker = here.start("sync_account", ANNA)
            _wait_for_work(here)  # however slow the machine is, each kill interrupts work that was begun
            time.sleep(dice.uniform(0.0, 0.6))
            assert worker.poll() is None, "the worker was still at work"
            worker.kill()
            worker.wait()
            pending = here.rows("SELECT count(*) FROM mail_copy WHERE state = 'pending'")[0][0]
            stored = here.rows("SELECT count(*) FROM mail_copy WHERE state = 'stored'")[0][0]
            landed += pending > 0 or stored == 0
            progress.append(stored)
        assert landed == KILLS, f"each kill landed while rows were pending: {progress}"
        assert progress[-1] > progress[0], "work goes on between kills"
        proxy.mischief = Mischief()
        figures = here.json("sync_account", ANNA)
    assert (figures["stored"], figures["pending"], figures["failed"], figures["unaccounted"]) == (COUNT, 0, 0, 0)
    assert here.uids()["INBOX"] == independent_uids(server.port, login, {"INBOX": b"INBOX"})["INBOX"]
    assert here.rows("SELECT count(*), count(DISTINCT message_id) FROM mail_message") == [(COUNT, COUNT)]
    assert here.rows("SELECT count(*) FROM mail_message m WHERE NOT EXISTS"
                     " (SELECT 1 FROM mail_messagecontent c WHERE c.message_id = m.id)") == [(0,)]  # fmt: skip


def _wait_for_work(here: Installation) -> None:
    """Until the worker has written something (rows or messages), at most 15 s."""
    statement = "SELECT count(*), count(message_id) FROM mail_copy"
    before, deadline = here.rows(statement), time.monotonic() + 15
    while here.rows(statement) == before and time.monotonic() < deadline:
        time.sleep(0.05)


def _fields(address: object) -> dict[str, object]:
    return {
        name: getattr(address, name)
        for name in ("host", "port", "security", "ca_bundle", "private_networks", "timeout")
    }
