"""One installation of `script/bench growth`: for each line on its input it stores and indexes one slice of new mail and
says what that cost. A process of its own, because a process of Django knows one database.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from itertools import islice

import django

django.setup()  # before the rooms below; the environment comes from bench.growth

from accounts.models import EmailAccount  # noqa: E402
from bench.mails import Made, mails  # noqa: E402
from drivers.types import RemoteCopy, RemoteMessage  # noqa: E402
from intake.take_in import Fetched, describe, take_in  # noqa: E402
from mail.models import Copy, Folder  # noqa: E402
from mail.search import index_messages, index_pending  # noqa: E402


class Clock:
    """Wall and processor time of one step after the other, in seconds."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._at = time.monotonic(), time.process_time()

    def step(self, name: str) -> None:
        """What was done since the last step."""
        now = time.monotonic(), time.process_time()
        self.wall[name], self.cpu[name] = now[0] - self._at[0], now[1] - self._at[1]
        self._at = now


def main(size: int, slices: int) -> None:
    """Indexes what is there, then answers each line with the times of one slice as JSON."""
    made = mails(size * slices, owner="box@mail.example", end=datetime.now(UTC))
    while index_pending(5000):
        pass
    print("ready", flush=True)  # noqa: T201
    for number, _line in enumerate(sys.stdin):
        clock = store(number, list(islice(made, size)))
        print(json.dumps({"wall": clock.wall, "cpu": clock.cpu}), flush=True)  # noqa: T201


def store(number: int, made: list[Made]) -> Clock:
    """A slice as the pipeline does it, without the server: list, take in, index."""
    accounts = EmailAccount.objects.order_by("pk")
    account = accounts[number * 37 % accounts.count()]  # another mailbox each time, in no order
    folder, mailbox = Folder.objects.get(email_account=account), describe(account)
    listed = [
        RemoteCopy(key=f"new-{number}-{place}", received_at=one.received_at, size=len(one.raw))
        for place, one in enumerate(made)
    ]
    clock = Clock()
    copies = Copy.objects.bulk_create(
        Copy(email_account=account, folder=folder, epoch=1, remote_key=one.key, received_at=one.received_at)
        for one in listed
    )
    clock.step("listed")
    fetched = [
        Fetched(copy, RemoteMessage(remote, one.raw)) for copy, remote, one in zip(copies, listed, made, strict=True)
    ]
    taken = take_in(mailbox, fetched)
    clock.step("stored")
    index_messages(taken.message_ids)
    clock.step("searchable")
    if len(taken.message_ids) != len(made):
        raise RuntimeError(f"{len(taken.message_ids)} of {len(made)} were stored")
    return clock


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
