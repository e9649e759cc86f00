"""`script/bench poll`: a look at a mailbox in which nothing happened, beside mbsync."""

from __future__ import annotations

import importlib
import os
import time
from typing import Any

from bench.instance import Instance
from bench.mailbox import OURS, THEIRS, connect, filled
from bench.mbsync import Mbsync
from bench.table import median, share, table

LOOKS = 20


def run(count: int) -> bool:
    """Prints the table."""
    with filled(count) as there, Instance() as instance:
        connect(instance, there)
        yardstick = Mbsync(there.server, THEIRS, instance.folder / "mbsync")
        yardstick.run()
        instance.manage_json("sync_account", OURS)
        # Long after the download: its rows are tidied up and on the disk.
        instance.server.execute("VACUUM ANALYZE", database="crm_mail")
        os.sync()
        instance.enter_django()
        ours = _looks()
        theirs = [yardstick.run() for _ in range(5)]
    rows = [
        ("mbsync", median(theirs) * 1000, share(theirs, 0.95) * 1000, 1.0),
        ("the task of a worker", median(ours) * 1000, share(ours, 0.95) * 1000, median(theirs) / median(ours)),
    ]
    print(table(f"A poll that finds nothing, {count:,} messages", ("", "median ms", "p95 ms", "× mbsync"), rows))  # noqa: T201
    return True


def _looks() -> list[float]:
    """Seconds of the task of a running worker, which keeps its connection from one look to the next."""
    # The settings must not be read before the environment of this installation stands.
    importlib.import_module("django").setup()
    tasks: Any = importlib.import_module("sync.tasks")
    models: Any = importlib.import_module("accounts.models")
    kept: Any = importlib.import_module("accounts.kept_connections")
    account = models.EmailAccount.objects.get(address_key=OURS)
    found = []
    kept.begin()
    for _ in range(LOOKS + 1):
        before = models.EmailAccount.objects.get(pk=account.pk).last_sync_at
        began = time.monotonic()
        tasks.sync_email_account(account.pk)
        found.append(time.monotonic() - began)
        if models.EmailAccount.objects.get(pk=account.pk).last_sync_at == before:
            raise RuntimeError("a look did not reach the end of the mailbox")
    kept.end()
    return found[1:]
