"""Killed, cut, restarted, flushed: nothing lost, nothing twice, flags converge, and it ends in time.

Each fault is thrown by seeded dice (FAULT_SEED). Long versions (-m long): 20,000 messages, at most three times the
undisturbed run and 120 s. The short one throws everything at one small mailbox.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from itertools import count as numbers
from pathlib import Path

import pytest

from tests.journeys.conftest import Installation
from tests.journeys.site import ANNA, Site
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.postgres import PostgresServer, ServerMissing
from tests.servers.proxy import Mischief, Proxy
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.servers]
SEED = int(os.environ.get("FAULT_SEED", "1"))
COUNT = int(os.environ.get("FAULT_MESSAGES", "20000"))
SPEED = 400_000  # bytes per second and connection: there is time to be disturbed
Torment = Callable[[Site, random.Random, PostgresServer], Generator[float, None, None]]
"""A generator: it says after how many seconds it wants to act again."""

took: dict[str, float] = {}  # seconds of the undisturbed run, measured once


@pytest.fixture
def site(install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]) -> Iterator[Site]:
    """An empty site; its processes end with the test."""
    try:
        redis = RedisServer().start()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    here = install()
    here.environment |= {"REDIS_URL": redis.url, "MAIL_POLL_SECONDS": "2"}
    with Proxy((dovecot := dovecot_with(DovecotOptions())).port, Mischief(bytes_per_second=SPEED)) as proxy:
        made = Site(here, dovecot, proxy, redis)
        try:
            yield made
        finally:
            made.stop()
            redis.stop()


def kill_children(site: Site, dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    while True:
        yield dice.uniform(0.3, 3)
        site.kill_child(dice)


def kill_workers(site: Site, dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    while True:
        yield dice.uniform(10, 30)
        site.kill()
        site.start()


def restart_postgres(_site: Site, _dice: random.Random, database: PostgresServer) -> Generator[float, None, None]:
    while True:
        yield 20
        database.restart()


def torment_redis(site: Site, dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    for number in numbers():
        yield dice.uniform(5, 15)
        if number % 2:
            site.redis.flush()
        else:
            site.redis.kill()
            try:
                yield dice.uniform(1, 5)
            finally:  # also when all was there before it came back
                site.redis.start()


def cut_lines(site: Site, dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    site.proxy.mischief = Mischief(bytes_per_second=SPEED, cut_within=(1, 3_000_000), dice=dice)
    while True:
        yield 1000


def slice_and_stall(site: Site, dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    while True:
        site.proxy.mischief = Mischief(bytes_per_second=SPEED, slice_size=dice.choice((0, 1000, 200)))
        yield dice.uniform(8, 15)
        site.proxy.mischief = Mischief(stall_after=0)  # every open line falls silent
        yield dice.uniform(1, 6)
        site.proxy.drop_all()


def everything(site: Site, dice: random.Random, database: PostgresServer) -> Generator[float, None, None]:
    site.proxy.mischief = Mischief(bytes_per_second=SPEED, cut_within=(30_000, 600_000), dice=dice)
    acts = [site.redis.flush, lambda: site.kill_child(dice), database.restart, site.proxy.drop_all]
    for act in acts:
        yield dice.uniform(0.3, 1)
        act()
    for _ in range(4):
        yield dice.uniform(0.5, 2)
        site.kill_child(dice)
    yield 5
    site.proxy.mischief = Mischief(bytes_per_second=SPEED)  # on a slow machine, too, it ends
    while True:
        yield 1000


def disturbed(site: Site, torment: Torment, database: PostgresServer, count: int, limit: float) -> float:
    """A first download under torment, with work on flags from both sides; the seconds it took."""
    dice = random.Random(SEED)
    site.start()
    site.start("tick")
    began = time.monotonic()
    acts = torment(site, dice, database)
    next_at = began + next(acts)
    touched = 0
    while not site.is_done(count):
        assert time.monotonic() - began < limit, f"not done: {site.figures()}\n{site.logs()}"
        site.supervise()
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + next(acts)
        if touched < 3 and site.stored() > count * (touched + 1) / 4:
            touched += 1
            site.touch(dice, count // 20)
        time.sleep(0.1)
    acts.close()
    return time.monotonic() - began


def calm(site: Site, _dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
    while True:
        yield 1000


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "torment", [calm, kill_children, kill_workers, cut_lines, restart_postgres, torment_redis, slice_and_stall]
)
def test_twenty_thousand_messages_survive(site: Site, torment: Torment, postgres_server: PostgresServer) -> None:
    site.fill(COUNT)
    site.connect()
    limit = 3 * took.get("calm", 200.0) + 120
    seconds = disturbed(site, torment, postgres_server, COUNT, limit)
    took[torment.__name__] = seconds
    site.proxy.mischief = Mischief()
    site.judge(COUNT)
    bodies = sum(site.proxy.bodies.values())
    print(  # noqa: T201
        f"\n{torment.__name__}: {seconds:.0f} s of {limit:.0f} s, {bodies / COUNT:.2f} fetches a message,"
        f" {site.proxy.cuts} cuts, {site.proxy.connections} connections"
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_clock_that_jumps_by_hours_loses_nothing(site: Site, postgres_server: PostgresServer) -> None:
    site.launcher, site.pool = ("-m", "tests.journeys.stepped_clock", "celery"), "threads"
    site.fill(COUNT)
    site.connect()
    seconds = disturbed(site, calm, postgres_server, COUNT, 3 * took.get("calm", 200.0) + 120)
    site.judge(COUNT)
    print(f"\nstepped clock: {seconds:.0f} s")  # noqa: T201


@pytest.fixture
def small_disk(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Path]:
    """A disk of 300 MB with a tablespace on it."""
    place = Path(tempfile.mkdtemp(prefix="disk", dir="/tmp"))
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", place], check=False).returncode
    ):
        place.rmdir()
        pytest.skip("no small disk can be mounted here")
    try:
        (place / "rows").mkdir()
        shutil.chown(place / "rows", postgres_server.user)
        postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{place / 'rows'}'")
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=False)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_disk_that_is_full_and_freed_loses_nothing(
    small_disk: Path, site: Site, postgres_server: PostgresServer
) -> None:
    database = site.here.environment["DATABASE_URL"].rpartition("/")[2]
    postgres_server.execute(f"ALTER DATABASE {database} SET TABLESPACE small")
    filled: list[int] = []

    def fill_disk(site: Site, _dice: random.Random, _database: PostgresServer) -> Generator[float, None, None]:
        for _ in range(3):
            yield 8
            with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
            yield 6
            before = site.stored()
            yield 6
            filled.append(site.stored() - before)
            (small_disk / "ballast").unlink()
        while True:
            yield 1000

    site.fill(COUNT)
    site.connect()
    seconds = disturbed(site, fill_disk, postgres_server, COUNT, 3 * took.get("calm", 200.0) + 120)
    site.judge(COUNT)
    assert 0 in filled, f"the disk was full at least once: {filled}"
    print(f"\ndisk full: {seconds:.0f} s, stored while it was full: {filled}")  # noqa: T201
    postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")
    postgres_server.execute("DROP TABLESPACE small")


@pytest.mark.parametrize(
    ("workers", "count"),
    [(2, 500), pytest.param(2, COUNT, marks=pytest.mark.long), pytest.param(8, COUNT, marks=pytest.mark.long)],
)
@pytest.mark.timeout(1800)
def test_many_workers_on_one_mailbox_fetch_each_message_once(site: Site, workers: int, count: int) -> None:
    site.fill(count)
    site.connect()
    running = [site.here.start("sync_account", ANNA) for _ in range(workers)]
    try:
        for process in running:
            process.wait(900)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert site.here.json("sync_account", ANNA)["stored"] == count
    site.judge(count)
    fetched = sum(site.proxy.bodies.values())
    print(f"\n{workers} workers: {fetched / count:.3f} fetches a message")  # noqa: T201
    assert len(site.proxy.bodies) == count
    assert fetched <= 1.1 * count
    assert site.proxy.most_open <= 4, "the budget of connections holds across workers"


@pytest.mark.timeout(600)
def test_everything_at_once_loses_nothing(site: Site, postgres_server: PostgresServer) -> None:
    count = 700
    site.fill(count)
    site.connect()
    disturbed(site, everything, postgres_server, count, 300)
    site.proxy.mischief = Mischief()
    site.judge(count)
    assert site.here.json("mailbox_status", ANNA)["unaccounted"] == 0
