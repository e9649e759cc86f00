"""`script/bench sync`: the first download beside mbsync, offlineimap and django-mailbox, every stored row checked against
its source.

A machine's own speed changes within minutes, so mbsync and ours take turns, and each round has a ratio of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.checked import check
from bench.download import WORKERS, Seconds, download, workers
from bench.instance import Embedded, Instance
from bench.mailbox import FEW, OURS, SLOW, THEIRS, Filled, connect, filled
from bench.mbsync import Mbsync
from bench.peers import django_mailbox, offlineimap
from bench.table import median, table
from tests.servers.redis import RedisServer

ROUNDS, MANY = 3, 20_000  # of more messages than MANY, one round


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of mbsync, and right after it ours."""

    theirs: float
    ours: Seconds


def run(count: int) -> bool:
    """Prints the tables; False when a row is wrong."""
    wrong: list[str] = []
    with filled(count) as there:
        sizes = sorted(there.sizes)
        print(  # noqa: T201
            f"{count:,} messages, {there.bytes / 1e6:,.0f} MB: median {sizes[count // 2] / 1000:.1f} kB,"
            f" mean {there.bytes / count / 1000:.1f} kB; IMAP over TLS on Dovecot, PostgreSQL with fsync,"
            f" {WORKERS} running workers"
        )
        rounds = [_round(there, count, wrong) for _ in range(ROUNDS if count <= MANY else 1)]
        embedded = _embedded(there, wrong)
        slow = _slow_peers(there)
    _show(count, rounds, embedded, slow)
    print("Every stored row agrees with its source." if not wrong else "WRONG:\n" + "\n".join(wrong[:20]))  # noqa: T201
    return not wrong


def _show(count: int, rounds: list[Round], embedded: float, slow: list[tuple[str, float, int]]) -> None:
    theirs, ours = median([each.theirs for each in rounds]), median([each.ours.readable for each in rounds])
    searchable = median([each.ours.searchable for each in rounds])
    rows = [
        ("mbsync, Maildir", theirs, count / theirs, 1.0),
        *((name, took, brought / took, brought / took * theirs / count) for name, took, brought in slow),
        (
            "readable, threaded, linked",
            ours,
            count / ours,
            median([each.theirs / each.ours.readable for each in rounds]),
        ),
        (
            "text-searchable too",
            searchable,
            count / searchable,
            median([each.theirs / each.ours.searchable for each in rounds]),
        ),
        ("the same on SQLite, readable", embedded, count / embedded, theirs / embedded),
    ]
    title = f"First download (the middle of {len(rounds)})" if len(rounds) > 1 else "First download"
    print(table(title, ("", "seconds", "messages/s", "× mbsync"), rows))  # noqa: T201
    each_round = [
        (str(number), each.theirs, each.ours.newest, each.ours.readable, each.ours.searchable,
         each.theirs / each.ours.readable, each.theirs / each.ours.searchable)
        for number, each in enumerate(rounds, 1)
    ]  # fmt: skip
    columns = ("", "mbsync", "newest 50", "readable", "searchable", "readable ×", "searchable ×")
    print(table("Each round, in seconds", columns, each_round))  # noqa: T201
    for name, took, brought in slow:
        print(f"Readable at {count / ours / (brought / took):.1f} × the rate of {name}.")  # noqa: T201


def _round(there: Filled, count: int, wrong: list[str]) -> Round:
    """mbsync into a new Maildir, then ours into a new database; adds to `wrong` what its rows say differently."""
    theirs = _mbsync(there, count)
    with RedisServer() as redis, Instance() as instance:
        instance.environment |= {"REDIS_URL": redis.url, "BASE_URL": "http://127.0.0.1", "LOG_LEVEL": "WARNING"}
        connect(instance, there)
        os.sync()  # what was written before is on the disk
        with workers(instance):
            ours = download(instance, count)
        wrong += check(instance, there, instance.manage_json("mailbox_status", OURS))
    return Round(theirs, ours)


def _mbsync(there: Filled, count: int) -> float:
    folder = Path(tempfile.mkdtemp(prefix="crm-mbsync-"))
    os.sync()
    try:
        yardstick = Mbsync(there.server, THEIRS, folder / "mbsync")
        took = yardstick.run()
        if yardstick.count() != count:
            raise RuntimeError(f"mbsync brought {yardstick.count()} of {count}")
        return took
    finally:
        shutil.rmtree(folder)


def _slow_peers(there: Filled) -> list[tuple[str, float, int]]:
    """Name, seconds and mails of each. Raises RuntimeError when one did not bring all."""
    with tempfile.TemporaryDirectory(prefix="crm-peers-") as name:
        folder = Path(name)
        found = [
            ("offlineimap, Maildir", *offlineimap(there.server, SLOW[0], folder / "offlineimap")),
            ("django-mailbox, PostgreSQL", *django_mailbox(there.server, SLOW[1], folder / "django-mailbox")),
        ]
    for name, _took, brought in found:
        if brought != min(FEW, len(there.made)):
            raise RuntimeError(f"{name} brought {brought}")
    return [(f"{name}, {brought} mails", took, brought) for name, took, brought in found]


def _embedded(there: Filled, wrong: list[str]) -> float:
    """Seconds until all is readable in a newcomer's installation; adds to `wrong` what differs there."""
    os.sync()
    with Embedded() as instance:
        connect(instance, there)
        began = datetime.now(UTC)
        report = instance.manage_json("sync_account", OURS)
        wrong += [f"SQLite: {one}" for one in check(instance, there, report)]
        (last,) = instance.rows("SELECT max(created_at) FROM mail_message")[0]
        return (datetime.fromisoformat(last).replace(tzinfo=UTC) - began).total_seconds()
