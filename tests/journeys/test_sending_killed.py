"""Workers killed while they send: nothing leaves twice, nothing is lost, whatever is unknown is shown.

KILLED_SENDS sets how many mails (40 in the suite; the long test sends 2,000).
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from tests.journeys.conftest import Installation
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotOptions

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
ANNA = "anna@example.com"
SCRIPT = Path(__file__).with_name("outbox_worker.py")
COUNT = int(os.environ.get("KILLED_SENDS", "40"))
ID = re.compile(rb"(?im)^Message-ID: <([^>]+)>")


@dataclass
class SlowSink:
    """An SMTP server that takes its time at every step and writes down each mail that it accepted."""

    accepted: list[str] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(5))

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line:
            try:
                self._talk(line)
            except OSError:
                return

    def _say(self, line: socket.socket, text: bytes) -> None:
        time.sleep(self.dice.uniform(0, 0.02))
        line.sendall(text + b"\r\n")

    def _talk(self, line: socket.socket) -> None:
        reader = line.makefile("rb")
        self._say(line, b"220 slow")
        while command := reader.readline():
            word = command[:4].upper()
            if word == b"DATA":
                self._say(line, b"354 go")
                body = b""
                while (piece := reader.readline()) and piece != b".\r\n":
                    body += piece
                if not piece:
                    return
                found = ID.search(body)
                self.accepted.append(found[1].decode() if found else "?")  # accepted: from here on it is delivered
                self._say(line, b"250 2.0.0 queued")
            else:
                self._say(
                    line,
                    b"250-slow\r\n250 AUTH PLAIN" if word == b"EHLO" else b"235 ok" if word == b"AUTH" else b"250 ok",
                )


def script(here: Installation, *words: str) -> subprocess.Popen[bytes]:
    log = (Path(here.environment["DATA_DIR"]) / "worker.log").open("ab")
    return subprocess.Popen([sys.executable, str(SCRIPT), *words], env=here.environment, stdout=log, stderr=log)


def sends_through_kills(here: Installation, dovecot: Dovecot, count: int) -> tuple[int, Counter[str]]:
    """Send `count` mails while workers are killed again and again; returns (kills that hit work, states at the end)."""
    dice, hits = random.Random(count), 0
    with SlowSink() as sink:
        place = dovecot.address()
        words = [
            "add_email_account",
            "--user",
            "maren",
            "--create-user",
            "--address",
            ANNA,
            "--password-stdin",
            "--json",
        ]
        words += [
            "--imap",
            f"{place.host}:{place.port}:none",
            "--smtp",
            f"127.0.0.1:{sink.port}:none",
            "--period",
            "everything",
        ]
        here.manage(*words, given=PASSWORD)
        here.manage("sync_account", ANNA)
        assert script(here, "write", str(count)).wait(300) == 0
        while (
            here.rows("SELECT count(*) FROM outbox_outgoingmessage WHERE state IN ('queued', 'sending', 'sent')")[0][0]
            > count // 8
        ):
            ready = Path(here.environment["DATA_DIR"]) / "ready"
            ready.unlink(missing_ok=True)
            worker = script(here, "work")
            while worker.poll() is None and not ready.exists():
                time.sleep(0.02)
            time.sleep(dice.uniform(0.2, 1.5 if count < 500 else 4.0))
            hits += worker.poll() is None
            worker.kill()
            worker.wait()
        assert script(here, "work").wait(300) == 0, (Path(here.environment["DATA_DIR"]) / "worker.log").read_text()[
            -3000:
        ]
        rows = here.rows("SELECT message_id, state, sent_copy, stored_message_id FROM outbox_outgoingmessage")
        times = Counter(sink.accepted)
    assert len(rows) == count
    assert max(times.values()) == 1, "a mail left twice"
    lost = [identity for identity, state, _c, _m in rows if state in ("sent", "filed") and not times[identity]]
    hidden = [row for row in rows if times[row[0]] and row[1] not in ("filed", "uncertain")]
    assert not lost and not hidden, (lost, hidden)
    states = Counter(state for _i, state, _c, _m in rows)
    assert set(states) <= {"filed", "uncertain"}
    copies = Counter(
        ID.findall(
            b"\n".join(path.read_bytes().split(b"\n\n", 1)[0].replace(b"\r", b"") for path in sent_mails(dovecot))
        )
    )
    filed = {identity.encode() for identity, state, _c, _m in rows if state == "filed"}
    assert set(copies) == filed and max(copies.values()) == 1, "one copy in Sent of each"
    assert here.rows("SELECT count(*), count(DISTINCT message_id) FROM mail_message") == [(len(filed), len(filed))]
    assert not [row for row in rows if row[1] == "filed" and row[3] is None]
    here.manage("sync_account", ANNA)
    assert here.rows("SELECT count(*) FROM mail_message") == [(len(filed),)]
    return hits, states


def sent_mails(dovecot: Dovecot) -> list[Path]:
    folder = dovecot.maildir(ANNA, "Sent")
    return [*folder.glob("cur/*"), *folder.glob("new/*")]


def test_killed_workers_send_nothing_twice_and_lose_nothing(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    hits, states = sends_through_kills(install(), dovecot_with(DovecotOptions()), COUNT)
    assert hits >= 1 and states["filed"] > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_thousand_sends_with_killed_workers(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    hits, states = sends_through_kills(install(), dovecot_with(DovecotOptions()), 2000)
    print(f"{hits} kills, {dict(states)}")  # noqa: T201 - read by whoever runs it
    assert hits >= 20
