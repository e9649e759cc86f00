"""`script/bench sync`: the first download beside mbsync, offlineimap and django-mailbox, every stored row checked against
its source.

A machine's own speed changes within minutes, so mbsync and ours take turns, and each round has a ratio of its own; the slow
peers go between the rounds, each beside the two that it is compared with.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from bench.checked import check
from bench.download import WORKERS, Seconds, download, workers
from bench.instance import Embedded, Instance
from bench.mailbox import FEW, OURS, SLOW, THEIRS, Filled, connect, filled
from bench.mbsync import Mbsync
from bench.peers import Peer, django_mailbox, offlineimap
from bench.table import median, table
from tests.servers.redis import RedisServer

ROUNDS, MANY = 3, 20_000  # of more messages than MANY, one round


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of mbsync, and right after it ours."""

    theirs: float
    ours: Seconds


@dataclass(frozen=True, slots=True)
class Slow:
    """A peer that brought `brought` mails in so many seconds, after so many rounds."""

    name: str
    seconds: float
    brought: int
    after: int

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.brought / self.seconds

    def beside(self, rounds: list[Round]) -> float:
        """Our seconds just before and just after it, their mean."""
        return fmean([each.ours.readable for each in rounds[self.after - 1 : self.after + 1]])


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
        rounds: list[Round] = []
        slow: list[Slow] = []
        peers = [_offlineimap, _django_mailbox]
        for _ in range(ROUNDS if count <= MANY else 1):
            rounds.append(_round(there, count, wrong))
            if peers:
                slow.append(peers.pop(0)(there, len(rounds)))
        slow += [peer(there, len(rounds)) for peer in peers]
        embedded = _embedded(there, wrong)
    _show(count, rounds, embedded, slow)
    print("Every stored row agrees with its source." if not wrong else "WRONG:\n" + "\n".join(wrong[:20]))  # noqa: T201
    return not wrong


def _show(count: int, rounds: list[Round], embedded: float, slow: list[Slow]) -> None:
    theirs, ours = median([each.theirs for each in rounds]), median([each.ours.readable for each in rounds])
    searchable = median([each.ours.searchable for each in rounds])
    rows = [
        ("mbsync, Maildir", theirs, count / theirs, 1.0),
        *((f"{one.name}, {one.brought} mails", one.seconds, one.rate, one.rate * theirs / count) for one in slow),
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
    for one in slow:
        print(f"Readable at {count / one.beside(rounds) / one.rate:.1f} × the rate of {one.name}, run between.")  # noqa: T201


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


def _offlineimap(there: Filled, after: int) -> Slow:
    return _slow(there, after, "offlineimap, Maildir", offlineimap, SLOW[0])


def _django_mailbox(there: Filled, after: int) -> Slow:
    return _slow(there, after, "django-mailbox, PostgreSQL", django_mailbox, SLOW[1])


def _slow(there: Filled, after: int, name: str, peer: Peer, user: str) -> Slow:
    """Raises RuntimeError when it did not bring all."""
    with tempfile.TemporaryDirectory(prefix="crm-peers-") as folder:
        took, brought = peer(there.server, user, Path(folder) / "peer")
    if brought != min(FEW, len(there.made)):
        raise RuntimeError(f"{name} brought {brought}")
    return Slow(name, took, brought, after)


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
