"""`script/bench sync`: the first download beside mbsync, offlineimap and django-mailbox, every stored row checked against
its source."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.instance import Embedded, Instance
from bench.mailbox import FEW, OURS, SLOW, THEIRS, Filled, connect, filled
from bench.mails import people
from bench.mbsync import Mbsync
from bench.peers import django_mailbox, offlineimap
from bench.processes import TICK, WORKER, running
from bench.table import table
from tests.servers.redis import RedisServer

WORKERS = os.cpu_count() or 1  # one for each processor
LOOK = 0.05  # seconds between two looks
REST = 30  # times as long as a look took
SETTLE = 5.0  # seconds for the second worker, which gives no sign of its own
# The web process in which a person says it runs for long: it has its line to the queue, and it does not end then.
YES = """
import os
from datetime import UTC, datetime
from accounts.models import EmailAccount
from accounts.services import resume
from sync.tasks import show_life, sync_email_account
show_life.delay()
account = EmailAccount.objects.get()
print(datetime.now(UTC).isoformat(), flush=True)
resume(account)
sync_email_account.delay(account.pk)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Seconds:
    """From *Yes* until the newest 50 were readable, all, and all could be searched."""

    newest: float
    readable: float
    searchable: float


def run(count: int) -> bool:
    """Prints the table; False when a row is wrong."""
    with filled(count) as there, RedisServer() as redis, Instance() as instance:
        instance.environment |= {"REDIS_URL": redis.url, "BASE_URL": "http://127.0.0.1", "LOG_LEVEL": "WARNING"}
        sizes = sorted(there.sizes)
        print(  # noqa: T201
            f"{count:,} messages, {there.bytes / 1e6:,.0f} MB: median {sizes[count // 2] / 1000:.1f} kB,"
            f" mean {there.bytes / count / 1000:.1f} kB; IMAP over TLS on Dovecot, PostgreSQL with fsync,"
            f" {WORKERS} running workers"
        )
        connect(instance, there)
        yardstick = Mbsync(there.server, THEIRS, instance.folder / "mbsync")
        theirs = yardstick.run()
        if yardstick.count() != count:
            raise RuntimeError(f"mbsync brought {yardstick.count()} of {count}")
        os.sync()  # its mail is on the disk; ours is measured in the same minutes, before those that need many
        with _workers(instance):
            ours = _download(instance, count)
        wrong = check(instance, there, instance.manage_json("mailbox_status", OURS))
        embedded = _embedded(there, wrong)
        slow = _slow_peers(instance.folder, there)
    rows = [
        ("mbsync, Maildir", theirs, count / theirs, 1.0),
        *((name, took, brought / took, brought / took * theirs / count) for name, took, brought in slow),
        ("readable, threaded, linked", ours.readable, count / ours.readable, theirs / ours.readable),
        ("text-searchable too", ours.searchable, count / ours.searchable, theirs / ours.searchable),
        ("the same on SQLite, readable", embedded, count / embedded, theirs / embedded),
    ]
    print(table("First download", ("", "seconds", "messages/s", "× mbsync"), rows))  # noqa: T201
    print(f"The newest 50 were readable after {ours.newest:.2f} s.")  # noqa: T201
    print("Every stored row agrees with its source." if not wrong else "WRONG:\n" + "\n".join(wrong[:20]))  # noqa: T201
    return not wrong


@contextmanager
def _workers(instance: Instance) -> Iterator[None]:
    """Workers and the tick, up and idle, with the mailbox paused: a person has not said *Yes* yet."""
    instance.server.execute("UPDATE accounts_emailaccount SET state = 'paused'", database="crm_mail")
    with running(instance, *[WORKER] * WORKERS, TICK):
        deadline = time.monotonic() + 60
        while not instance.rows("SELECT 1 FROM sync_heartbeat WHERE name = 'worker'"):
            if time.monotonic() > deadline:
                raise RuntimeError((instance.folder / "processes.log").read_text()[-2000:])
            time.sleep(0.2)
        time.sleep(SETTLE)
        yield


def _download(instance: Instance, count: int) -> Seconds:
    """*Yes*, and the wait for it: what another connection sees counts. It is one connection, and it looks seldom when a
    look is dear, so that watching takes nothing from those who work."""
    with psycopg.connect(instance.server.url(), autocommit=True) as watching:
        began = datetime.fromisoformat(instance.manage("shell", "--no-imports", "-v", "0", "-c", YES).strip())

        def until(wanted: int, where: str) -> float:
            while True:
                asked = datetime.now(UTC)
                ((seen,),) = watching.execute(f"SELECT count(*) FROM mail_message WHERE {where}").fetchall()  # noqa: S608
                passed = (datetime.now(UTC) - began).total_seconds()
                if seen >= wanted:
                    return passed
                if passed > max(60, count / 50):
                    said = (instance.folder / "processes.log").read_text()[-2000:]
                    raise RuntimeError(f"not all is there: {instance.manage('mailbox_status', OURS)}\n{said}")
                time.sleep(max(LOOK, REST * (datetime.now(UTC) - asked).total_seconds()))

        newest = until(50, "true")
        return Seconds(newest, until(count, "true"), until(count, "is_indexed"))


def _slow_peers(folder: Path, there: Filled) -> list[tuple[str, float, int]]:
    """Name, seconds and mails of each. Raises RuntimeError when one did not bring all."""
    found = [
        ("offlineimap, Maildir", *offlineimap(there.server, SLOW[0], folder / "offlineimap")),
        ("django-mailbox, PostgreSQL", *django_mailbox(there.server, SLOW[1], folder / "peers")),
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


def check(instance: Instance, there: Filled, report: dict[str, int]) -> list[str]:
    """What differs between the source and the rows."""
    wrong = []
    count = len(there.made)
    for name, expected in (("on_server", count), ("stored", count), ("failed", 0), ("pending", 0)):
        if report[name] != expected:
            wrong.append(f"{name} is {report[name]}, not {expected}")
    contacts = {address for number, (_f, _l, address, _d) in enumerate(people()) if number % 2 == 0}
    found = {
        row[0]: row[1:]
        for row in instance.rows(
            "SELECT m.message_id, m.subject, m.from_address, m.size, c.text, m.has_attachments,"
            " (SELECT count(*) FROM mail_part p WHERE p.message_id = m.id AND NOT p.is_inline),"
            " EXISTS (SELECT 1 FROM linking_messagelink l WHERE l.message_id = m.id AND l.contact_id IS NOT NULL),"
            " (SELECT count(*) FROM mail_copy k WHERE k.message_id = m.id)"
            " FROM mail_message m JOIN mail_messagecontent c ON c.message_id = m.id"
        )
    }
    if len(found) != count:
        wrong.append(f"{len(found)} different messages are stored, not {count}")
    for made, size in zip(there.made, there.sizes, strict=True):
        row = found.get(made.message_id)
        if row is None:
            wrong.append(f"{made.message_id} is missing")
            continue
        subject, sender, stored_size, text, has_files, files, is_linked, copies = row
        expected = (made.subject, made.from_address, size, True, made.attachments > 0, made.attachments, 1)
        seen = (subject, sender, stored_size, made.token in text, has_files, files, copies)
        if seen != expected:
            wrong.append(f"{made.message_id}: {seen} instead of {expected}")
        if made.from_address in contacts and not is_linked:
            wrong.append(f"{made.message_id}: {sender} is a contact, and it is not linked")
    return wrong
