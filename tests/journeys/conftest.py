"""A whole installation in a folder of its own: real database, real command line, as an operator runs it."""

from __future__ import annotations

import base64
import imaplib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accounts.models import EmailAccount
from accounts.vault import store_secret
from drivers.types import Login, ServerAddress
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import PostgresServer, ServerMissing

ROOT = Path(__file__).resolve().parent.parent.parent
IMAP_SECURITY = {"ssl": "ssl", "starttls": "starttls", "none": "none"}


@dataclass
class Installation:
    """One installation: `manage(…)` runs a command of it, `rows(…)` reads its database past the application."""

    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """The words of a management command."""
        return [sys.executable, str(ROOT / "manage.py"), *words]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command in the background, its output thrown away."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def manage(self, *words: str, given: str = "", timeout: float = 240) -> str:
        """Run a command to its end; its output. Fails the test with its errors."""
        done = subprocess.run(
            self.command(*words), env=self.environment, input=given, text=True, capture_output=True, timeout=timeout
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def json(self, *words: str, given: str = "") -> Any:
        """Run a command with --json; what it printed."""
        return json.loads(self.manage(*words, "--json", given=given))

    def connect(self, server: ServerAddress, login: Login, address: str, *more: str) -> None:
        """Add a receive-only mailbox with everything in scope."""
        place = f"{server.host}:{server.port}:{server.security.value}"
        words = ["add_email_account", "--user", "maren", "--create-user", "--address", address, "--imap", place]
        words += ["--username", login.user_name, "--password-stdin", *more]
        if "--period" not in more:
            words += ["--period", "everything"]
        if server.ca_bundle:
            pem = Path(self.environment["DATA_DIR"]) / "ca.pem"
            pem.write_text(server.ca_bundle)
            words += ["--ca-file", str(pem)]
        self.json(*words, given=login.secret)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the database, read by psycopg."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def uids(self) -> dict[str, set[int]]:
        """The ledger: UIDs per folder, out-of-scope rows left out."""
        found: dict[str, set[int]] = {}
        for folder, uid in self.rows(
            "SELECT f.remote_id, c.uid FROM mail_copy c JOIN mail_folder f ON f.id = c.folder_id"
            " WHERE NOT c.is_out_of_scope AND c.epoch = f.epoch"
        ):
            found.setdefault(folder, set()).add(uid)
        return found


def independent_uids(port: int, login: Login, folders: dict[str, bytes]) -> dict[str, set[int]]:
    """UIDs per folder as Python's imaplib sees them: `folders` maps our name to the name on the wire."""
    client = imaplib.IMAP4("127.0.0.1", port, timeout=30)
    client.login(login.user_name, login.secret)
    found = {}
    for name, wire in folders.items():
        client.select(f'"{wire.decode()}"', readonly=True)
        _kind, data = client.uid("SEARCH", "ALL")
        found[name] = {int(word) for word in (data[0] or b"").split()}
    client.logout()
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for all journeys of this process."""
    try:
        server = PostgresServer().start()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture
def install(postgres_server: PostgresServer, tmp_path: Path) -> Callable[[], Installation]:
    """Make an installation on PostgreSQL, migrated."""
    made = 0

    def make() -> Installation:
        nonlocal made
        made += 1
        name = f"journey_{os.getpid()}_{abs(hash(str(tmp_path))) % 10**8}_{made}"
        postgres_server.execute(f"CREATE DATABASE {name}")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DATA_DIR": str(tmp_path / f"data{made}"),
            "DATABASE_URL": postgres_server.url(name),
            "SECRET_KEY": "j" * 60,
            "CREDENTIAL_KEYS": base64.urlsafe_b64encode(b"j" * 32).decode(),
            "PRIVATE_NETWORKS": "127.0.0.0/8",
            "BASE_URL": "http://127.0.0.1",
            "PYTHONPATH": str(ROOT),
        }
        Path(environment["DATA_DIR"]).mkdir(parents=True)
        installation = Installation(environment)
        installation.manage("migrate", "-v0")
        return installation

    return make


@pytest.fixture
def dovecot_account(db: None, dovecot: Dovecot, dovecot_user: str, settings: Any) -> EmailAccount:
    """An email account in this process's database for an empty mailbox of a real server; point its port anywhere."""
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8",)
    settings.MAIL_TIMEOUT = 10.0
    made = EmailAccountFactory(address=dovecot_user)
    EmailAccountServerFactory(
        email_account=made, user_name=dovecot_user, host="127.0.0.1", port=dovecot.port, security="none"
    )
    store_secret(dovecot.login(dovecot_user).secret, email_account=made)
    return made
