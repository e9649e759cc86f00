"""A first download as a person and the operator's workers do it: from *Yes* until another connection sees the rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from bench.instance import Instance
from bench.mailbox import OURS
from bench.processes import TICK, WORKER, running

WORKERS = os.cpu_count() or 1  # one for each processor
LOOK = 0.05  # seconds between two looks at least
REST = 30  # times as long as a look took, at least
LEFT, MOST = 0.2, 0.3  # of what is left at the rate seen so far, and at most so many seconds
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


@contextmanager
def workers(instance: Instance) -> Iterator[None]:
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


def download(instance: Instance, count: int) -> Seconds:
    """*Yes*, and the wait for it: what another connection sees counts. It is one connection, and it looks seldom when a
    look is dear or much is left, so that watching takes nothing from those who work."""
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
                left = passed * (wanted - seen) / seen if seen else 0.0
                time.sleep(max(LOOK, REST * (datetime.now(UTC) - asked).total_seconds(), min(LEFT * left, MOST)))

        newest = until(50, "true")
        return Seconds(newest, until(count, "true"), until(count, "is_indexed"))
