"""A production in small, made to suffer: worker and tick beside PostgreSQL and Redis, Dovecot behind a proxy.

What comes of it is judged by an independent client: sets, contents and flags as Python's imaplib sees them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import imaplib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.journeys.conftest import ROOT, Installation
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

ANNA = "anna@example.com"
_LINE = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_ID = re.compile(rb"(?i)message-id:\s*<([^>]+)>")

State = dict[int, tuple[str, bool, bool]]
"""UID → (Message-ID, is read, is flagged)."""


@dataclass
class Site:
    """One mailbox `ANNA`, its server behind `proxy`; `pool` is Celery's, with `size` children or threads."""

    here: Installation
    dovecot: Dovecot
    proxy: Proxy
    redis: RedisServer
    pool: str = "prefork"
    size: int = 3
    launcher: tuple[str, ...] = ("-m", "celery")
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    # the mailbox

    def fill(self, count: int, *, seed: int = 1) -> None:
        """Letters into INBOX."""
        self.dovecot.add_messages(ANNA, "INBOX", letters(count, seed=seed))

    def connect(self) -> None:
        """Add the mailbox, through the proxy."""
        address = dataclasses.replace(self.dovecot.address(), port=self.proxy.port)
        self.here.connect(address, self.dovecot.login(ANNA), ANNA)

    def client(self) -> imaplib.IMAP4:
        """An independent client, past the proxy, INBOX open."""
        client = imaplib.IMAP4("127.0.0.1", self.dovecot.port, timeout=60)
        login = self.dovecot.login(ANNA)
        client.login(login.user_name, login.secret)
        client.select("INBOX")
        return client

    def on_server(self) -> State:
        """INBOX as imaplib sees it."""
        client = self.client()
        _kind, data = client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        client.logout()
        found: State = {}
        for item in data:
            if isinstance(item, tuple):
                uid, flags, name = _LINE.search(item[0]), _FLAGS.search(item[0]), _ID.search(item[1])
                assert uid and flags and name, item
                words = flags[1].lower().split()
                found[int(uid[1])] = (name[1].decode(), b"\\seen" in words, b"\\flagged" in words)
        return found

    def in_database(self) -> State:
        """INBOX as it is kept here."""
        return {
            uid: (name, is_read, is_flagged)
            for uid, name, is_read, is_flagged in self.here.rows(
                "SELECT c.uid, m.message_id, m.is_read, m.is_flagged FROM mail_copy c"
                " JOIN mail_message m ON m.id = c.message_id JOIN mail_folder f ON f.id = c.folder_id"
                " WHERE f.role = 'inbox' AND c.epoch = f.epoch AND c.state = 'stored' AND c.missing_since IS NULL"
            )
        }

    def touch(self, dice: random.Random, count: int) -> None:
        """Another client reads and flags some of it."""
        client = self.client()
        top = int(client.untagged_responses["EXISTS"][-1])
        for flag in ("\\Seen", "\\Flagged"):
            some = ",".join(str(uid) for uid in sorted(dice.sample(range(1, top + 1), count)))
            client.uid("STORE", some, "+FLAGS.SILENT", f"({flag})")
        client.logout()

    def touch_here(self, count: int) -> None:
        """A person reads and flags some of it here."""
        self.here.manage(
            "shell",
            "-c",
            "from mail.models import Message as M; from mail.changes import *\n"
            f"ids = list(M.objects.filter(is_read=False).order_by('-pk').values_list('pk', flat=True)[:{count}])\n"
            "set_read(ids, is_read=True); set_flagged(ids[::2], is_flagged=True)",
        )

    def stored(self) -> int:
        """How many copies are settled; -1 while the database does not answer."""
        try:
            return int(self.here.rows("SELECT count(*) FROM mail_copy WHERE state = 'stored'")[0][0])
        except psycopg.Error:
            return -1

    # the processes

    def start(self, name: str = "worker") -> None:
        """A worker (of this name) or the tick."""
        words = ["manage.py", "tick"] if name == "tick" else [
            *self.launcher, "-A", "crm_mail", "worker", "-P", self.pool, "-c", str(self.size), "-Q", "crm_mail,clicks",
            "--without-gossip", "--without-mingle", "--loglevel", "ERROR", "-n", f"{name}@%h",
        ]  # fmt: skip
        log = (Path(self.here.environment["DATA_DIR"]) / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.here.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def supervise(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def kill(self, name: str = "worker") -> None:
        """SIGKILL to a process and all its children."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def kill_child(self, dice: random.Random, name: str = "worker") -> bool:
        """SIGKILL to one of a worker's children; False when it has none."""
        found = Path(f"/proc/{self.processes[name].pid}/task/{self.processes[name].pid}/children").read_text().split()
        if not found:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(dice.choice(found)), signal.SIGKILL)
        return True

    def logs(self) -> str:
        """The ends of what they wrote, for a failing test."""
        return "\n".join(
            path.read_text(errors="replace")[-3000:] for path in Path(self.here.environment["DATA_DIR"]).glob("*.log")
        )

    def stop(self) -> None:
        """All of them."""
        for name in list(self.processes):
            self.kill(name)

    # the end

    def is_done(self, count: int) -> bool:
        """Everything is stored, read to the end, and nothing waits."""
        try:
            return self.here.rows(
                "SELECT (SELECT count(*) FROM mail_copy WHERE state = 'stored'),"
                " (SELECT count(*) FROM mail_copy WHERE state = 'pending'),"
                " (SELECT count(*) FROM mail_change WHERE done_at IS NULL),"
                " (SELECT count(*) FROM accounts_emailaccount WHERE last_sync_at IS NULL OR failures > 0)"
            ) == [(count, 0, 0, 0)]
        except psycopg.Error:
            return False

    def wait(self, happened: Callable[[], bool], seconds: float, said: str) -> None:
        """Until it happened. Fails with the logs."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"{said}: {self.figures()}\n{self.logs()}"
            time.sleep(0.2)

    def figures(self) -> object:
        """What to say of a run that did not end."""
        try:
            return self.here.rows(
                "SELECT state, count(*)::text, max(reason) FROM mail_copy GROUP BY 1 UNION ALL"
                " SELECT a.state, a.failures::text, a.last_error_kind FROM accounts_emailaccount a"
            )
        except psycopg.Error as error:
            return error

    def judge(self, count: int, seconds: float = 120) -> None:
        """0 lost, 0 duplicated, flags the same on both sides."""
        server = self.on_server()
        assert len(server) == count
        self.wait(lambda: self.in_database() == self.on_server(), seconds, "the flags do not converge")
        assert self.here.rows(
            "SELECT count(*), count(DISTINCT m.message_id), count(c.message_id), count(*) FILTER (WHERE c.text = '')"
            " FROM mail_message m LEFT JOIN mail_messagecontent c ON c.message_id = m.id"
        ) == [(count, count, count, 0)]
        assert self.here.rows("SELECT count(*) FROM mail_copy WHERE state <> 'stored'") == [(0,)]
