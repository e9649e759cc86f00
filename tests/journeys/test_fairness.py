"""One worker, many mailboxes: ten huge ones do not delay a small one's new mail, fifty bad ones hardly cost the others.

Measured on one worker of eight threads with PostgreSQL, Redis and Dovecot (-m long).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis as redis_client

from tests.journeys.conftest import Installation
from tests.journeys.letters import letters
from tests.journeys.site import Site
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.postgres import ServerMissing
from tests.servers.proxy import Mischief, Proxy
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(1800)]
HUGE = tuple(f"huge{number}@example.com" for number in range(10))
GOOD = tuple(f"good{number}@example.com" for number in range(20))
SMALL = "small@example.com"


@pytest.fixture
def site(install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]) -> Iterator[Site]:
    try:
        redis = RedisServer().start()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    here = install()
    here.environment |= {"REDIS_URL": redis.url, "MAIL_POLL_SECONDS": "2"}
    dovecot = dovecot_with(DovecotOptions(users=(*HUGE, *GOOD, SMALL)))
    with Proxy(dovecot.port, Mischief(bytes_per_second=150_000)) as proxy:
        made = Site(here, dovecot, proxy, redis, pool="threads", size=8)
        try:
            yield made
        finally:
            made.stop()
            redis.stop()


def _connect(site: Site, addresses: tuple[str, ...], port: int, *, failures: int = 0) -> None:
    """Mailboxes as rows, at once; with `failures` their server failed already."""
    secret = site.dovecot.login(GOOD[0]).secret
    site.here.manage(
        "shell",
        "-c",
        "from accounts.models import *; from accounts.vault import store_secret; from django.utils import timezone\n"
        "owner, _ = User.objects.get_or_create(username='maren')\n"
        f"for address in {addresses!r}:\n"
        "    made = EmailAccount.objects.create(owner=owner, address=address, address_key=address, state='active',"
        f" period='everything', answered_at=timezone.now(), failures={failures})\n"
        "    EmailAccountServer.objects.create(email_account=made, protocol='imap', host='127.0.0.1',"
        f" port={port}, security='none', user_name=address)\n"
        f"    store_secret({secret!r}, email_account=made)",
    )


def _stored(site: Site, pattern: str) -> int:
    return int(
        site.here.rows(
            "SELECT count(*) FROM mail_message m JOIN accounts_emailaccount a ON a.id = m.email_account_id"
            f" WHERE a.address LIKE '{pattern}'"
        )[0][0]
    )


def test_ten_huge_mailboxes_do_not_delay_a_small_ones_new_mail(site: Site) -> None:
    for number, address in enumerate(HUGE):
        site.dovecot.add_messages(address, "INBOX", letters(6000, seed=number))
    _connect(site, HUGE, site.proxy.port)
    _connect(site, (SMALL,), site.dovecot.port)
    site.start()
    site.start("tick")
    site.wait(lambda: _stored(site, "huge%") > 500, 120, "the huge ones have begun")
    waited = []
    for number in range(8):
        site.dovecot.add_messages(SMALL, "INBOX", letters(1, seed=1000 + number))
        began = time.monotonic()
        site.wait(lambda: _stored(site, SMALL) > number, 90, "new mail of the small one")  # noqa: B023
        waited.append(time.monotonic() - began)
    assert _stored(site, "huge%") < 60_000, "they were still at it"
    print(f"\nnew mail beside ten huge downloads after {[round(one, 1) for one in waited]} s (polled every 2 s)")  # noqa: T201
    assert sorted(waited)[len(waited) // 2] < 8
    assert max(waited) < 20


def test_fifty_bad_servers_cost_the_good_ones_little(site: Site) -> None:
    for number, address in enumerate(GOOD):
        site.dovecot.add_messages(address, "INBOX", letters(150, seed=number))
    _connect(site, GOOD, site.proxy.port)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))  # accepts, never answers
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        for kind, line in (("silent", silent), ("closed", closed)):
            bad = tuple(f"{kind}{number}@example.com" for number in range(25))
            _connect(site, bad, line.getsockname()[1], failures=1)
        alone = _download(site, "paused")
        beside = _download(site, "active")
        again = _download(site, "paused")
    print(f"\ntwenty good mailboxes: {alone:.1f} and {again:.1f} s alone, {beside:.1f} s beside fifty bad ones")  # noqa: T201
    assert beside <= 1.2 * (alone + again) / 2 + 3


def _download(site: Site, bad: str) -> float:
    """Seconds for the good ones to be downloaded from nothing, the bad ones in this state."""
    site.here.rows(
        "TRUNCATE mail_copy, mail_thread CASCADE;"
        " UPDATE mail_folder SET cursor = NULL, enumerated_since = NULL, compared_at = NULL, epoch = 0;"
        " DELETE FROM accounts_connectionslot;"
        " UPDATE accounts_emailaccount SET next_sync_at = NULL;"
        f" UPDATE accounts_emailaccount SET state = '{bad}', failures = 1 WHERE address NOT LIKE 'good%'"
    )
    site.redis.flush()
    site.start()
    queues = redis_client.Redis(port=site.redis.port)
    site.wait(lambda: bool(queues.exists("_kombu.binding.crm_mail")), 120, "the worker listens")
    began = time.monotonic()
    site.start("tick")
    site.wait(lambda: _stored(site, "good%") >= 150 * len(GOOD), 600, "the good ones are done")
    took = time.monotonic() - began
    site.kill("tick")
    site.kill()
    return took
