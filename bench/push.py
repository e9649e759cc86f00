"""`script/bench push`: many idle mailboxes on one listener: its memory, and how soon new mail is a row.

Each mailbox has a TLS line to a real Dovecot that puts idle connections to sleep (then it tells news within some
milliseconds; awake, Dovecot 2.3 waits 500 ms itself). Listener and worker run as in production, with Redis.
"""

from __future__ import annotations

import importlib
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.instance import Instance
from bench.processes import WORKER, running
from bench.table import median, share, table
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotOptions
from tests.servers.redis import RedisServer

DELIVERIES = 100
PAUSE = 0.3  # seconds between two of them
MEMORY_MOST = 150.0  # MB
LATENCY_MOST = 1.0  # seconds, p95
READY_SECONDS = 600
WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
SLEEPS = """
imap_hibernate_timeout = 1s
service imap-hibernate {
  client_limit = 4000
  unix_listener imap-hibernate {
    mode = 0666
  }
}
service imap {
  process_limit = 2000
  unix_listener imap-master {
    mode = 0666
  }
}
service imap-login {
  service_count = 0
  client_limit = 4000
  process_min_avail = 2
}
service auth {
  client_limit = 8000
}
service anvil {
  client_limit = 8000
}
mail_max_userip_connections = 1000
"""


def run(count: int) -> bool:
    """Prints the table; True when both targets are met."""
    users = tuple(f"user{number}@mail.example" for number in range(count))
    options = DovecotOptions(users=users, certificate_names=("localhost", "127.0.0.1"), extra=SLEEPS)
    with _many_watches(), Dovecot(options) as server, RedisServer() as redis, Instance() as instance:
        instance.environment |= {"REDIS_URL": redis.url, "BASE_URL": "http://127.0.0.1", "LOG_LEVEL": "WARNING"}
        instance.enter_django()
        importlib.import_module("django").setup()
        _connect(server, users)
        with running(instance, WORKER, ["manage.py", "listen"]) as (_worker, listener):
            opening = _until_all_stand(instance, count)
            memory = _resident(listener.pid)
            waits = _deliver(server, instance, users)
            after = _resident(listener.pid)
    _print(count, (opening, memory, after), waits)
    return max(memory, after) < MEMORY_MOST and share(waits, 0.95) < LATENCY_MOST


@contextmanager
def _many_watches() -> Iterator[None]:
    """Dovecot needs an inotify instance per sleeping line; above the kernel's 128 per user it looks every 30 s only."""
    kept = WATCHES.read_text()
    try:
        WATCHES.write_text("4096")
    except OSError:
        print(f"{WATCHES} stays {kept.strip()}: above that many lines Dovecot is slow.")  # noqa: T201
        yield
        return
    try:
        yield
    finally:
        WATCHES.write_text(kept)


def _connect(server: Dovecot, users: tuple[str, ...]) -> None:
    factories: Any = importlib.import_module("tests.factories")
    vault: Any = importlib.import_module("accounts.vault")
    owner = factories.UserFactory()
    for user in users:
        account = factories.EmailAccountFactory(owner=owner, address=user)
        factories.EmailAccountServerFactory(
            email_account=account,
            user_name=user,
            host="localhost",
            port=server.ssl_port,
            security="ssl",
            ca_bundle=server.authority.pem,
        )
        vault.store_secret(PASSWORD, email_account=account)


def _until_all_stand(instance: Instance, count: int) -> float:
    """Seconds until every line stands; then it waits until every mailbox was read."""
    began = time.monotonic()
    stood = 0.0
    while time.monotonic() - began < READY_SECONDS:
        ((lines, unread),) = instance.rows(
            "SELECT (SELECT count(*) FROM sync_listening WHERE opened_at IS NOT NULL),"
            " (SELECT count(*) FROM accounts_emailaccount WHERE last_sync_at IS NULL OR sync_requested_at IS NOT NULL)"
        )
        stood = stood or (time.monotonic() - began if lines == count else 0.0)
        if stood and not unread:
            time.sleep(3)  # Dovecot puts them to sleep
            return stood
        time.sleep(0.5)
    said = (instance.folder / "processes.log").read_text()[-2000:]
    raise RuntimeError(f"only {lines} of {count} lines stand, {unread} mailboxes are unread\n{said}")


def _deliver(server: Dovecot, instance: Instance, users: tuple[str, ...]) -> list[float]:
    """Seconds from delivery to the row, for mail to idle mailboxes: each gets one at most."""
    chosen = random.Random(3).sample(users, min(DELIVERIES, len(users)))  # noqa: S311 - which ones is no secret
    waits = []
    for number, user in enumerate(chosen):
        began = _put(server, user, number)
        while not instance.rows(f"SELECT 1 FROM mail_message WHERE subject = 'Push {number}'"):  # noqa: S608
            if time.monotonic() - began > 180:
                raise RuntimeError(f"mail {number} did not arrive within three minutes")
            time.sleep(0.005)
        waits.append(time.monotonic() - began)
        time.sleep(PAUSE)
    return waits


def _put(server: Dovecot, user: str, number: int) -> float:
    """As a delivery agent does: written aside, then moved into place. Returns when."""
    raw = (
        f"From: Ida Lindqvist <ida@customer.example>\r\nTo: {user}\r\nSubject: Push {number}\r\n"
        f"Message-ID: <push{number}@customer.example>\r\n\r\nThe lanterns arrived.\r\n"
    )
    home: Path = server.maildir(user)
    name = f"{int(time.time())}.P{number}.push"
    (home / "tmp" / name).write_bytes(raw.encode())
    owner = home.stat()
    os.chown(home / "tmp" / name, owner.st_uid, owner.st_gid)
    began = time.monotonic()
    os.rename(home / "tmp" / name, home / "new" / name)
    return began


def _resident(pid: int) -> float:
    """MB of memory that the process has in use (RSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def _print(count: int, listener: tuple[float, float, float], waits: list[float]) -> None:
    opening, memory, after = listener
    rows = [
        ("all lines stand after, s", opening, ""),
        ("memory of the listener, MB", memory, f"< {MEMORY_MOST:.0f}"),
        ("the same after the deliveries, MB", after, f"< {MEMORY_MOST:.0f}"),
        ("delivery to row, median ms", median(waits) * 1000, ""),
        ("delivery to row, p95 ms", share(waits, 0.95) * 1000, f"< {LATENCY_MOST * 1000:.0f}"),
    ]
    print(table(f"Push, {count:,} idle mailboxes on one listener", ("", "measured", "target"), rows))  # noqa: T201
