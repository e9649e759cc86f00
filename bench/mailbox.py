"""A mailbox on a private Dovecot, once for us and once for each peer, so that nobody warms the server for another."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.instance import Instance
from bench.mails import Made, contacts_csv, mails
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotOptions

OURS, THEIRS = "ours@mail.example", "theirs@mail.example"
SLOW = ("offlineimap@mail.example", "djangomailbox@mail.example")  # of slow peers
FEW = 10_000  # newest mails that these get at most: of more they would need a quarter of an hour


@dataclass
class Filled:
    """The server and what was put there."""

    server: Dovecot
    made: list[Made] = field(default_factory=list)
    bytes: int = 0
    sizes: list[int] = field(default_factory=list)


@contextmanager
def filled(count: int) -> Iterator[Filled]:
    """A Dovecot whose users have the same `count` mails, those of SLOW the newest FEW of them."""
    with Dovecot(DovecotOptions(users=(OURS, THEIRS, *SLOW), certificate_names=("localhost", "127.0.0.1"))) as server:
        there = Filled(server)
        moments: list[datetime] = []

        def bodies() -> Iterator[bytes]:
            for made in mails(count, owner=OURS, end=datetime.now(UTC)):
                there.sizes.append(len(made.raw))
                raw, made = made.raw, Made(b"", *[getattr(made, name) for name in Made.__slots__[1:]])
                there.made.append(made)
                moments.append(made.received_at)
                yield raw

        server.add_messages(OURS, "INBOX", bodies(), flags="S", received=moments)
        there.bytes = sum(there.sizes)
        _link(server.maildir(OURS) / "cur", server.maildir(THEIRS) / "cur")
        for user in SLOW:
            _link(server.maildir(OURS) / "cur", server.maildir(user) / "cur", newest=FEW)
        for path in (server.maildir(OURS) / "cur").iterdir():  # both read from memory, not from the disk
            path.read_bytes()
        os.sync()  # what was put there is not written to the disk while somebody is measured
        yield there


def _link(source: Path, target: Path, *, newest: int | None = None) -> None:
    paths = sorted(source.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in paths if newest is None else paths[-newest:]:
        os.link(path, target / path.name)
    subprocess.run(["chown", "--reference", str(source), str(target)], check=True)


def connect(instance: Instance, there: Filled, *, period: str = "everything") -> None:
    """Contacts first, then the mailbox, so that mail is linked while it comes in."""
    people = instance.folder / "people.csv"
    people.write_text(contacts_csv())
    instance.manage("import_contacts", str(people))
    authority = instance.folder / "ca.pem"
    authority.write_text(there.server.authority.pem)
    where = f"localhost:{there.server.ssl_port}:ssl"
    words = ["--user", "bench", "--create-user", "--address", OURS, "--imap", where, "--ca-file", str(authority)]
    instance.manage("add_email_account", *words, "--period", period, "--password-stdin", said=PASSWORD + "\n")
