"""An installation for one measurement: its own PostgreSQL (fsync on) and data folder, driven by its own commands."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from base.crypto import generate_key
from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent


class Instance:
    """A context manager; `manage` runs a command of the project in a process of its own."""

    def __init__(self) -> None:
        self.server = PostgresServer(is_durable=True)
        self.folder = Path(tempfile.mkdtemp(prefix="crm-bench-"))
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.server.start()
        self._prepare(DATABASE_URL=self.server.url())
        return self

    def _prepare(self, **more: str) -> None:
        self.environment = {
            "DATA_DIR": str(self.folder),
            "SECRET_KEY": "bench-" * 10,
            "CREDENTIAL_KEYS": generate_key(),
            "PRIVATE_NETWORKS": "127.0.0.0/8",
            "LOG_LEVEL": "ERROR",
            **more,
        }
        self.manage("migrate", "--verbosity", "0")

    def __exit__(self, *error: object) -> None:
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def manage(self, *words: str, said: str = "") -> str:
        """What the command printed. Raises RuntimeError with its error output."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def manage_json(self, *words: str, said: str = "") -> Any:
        """The same with --json."""
        return json.loads(self.manage(*words, "--json", said=said))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.server.rows(statement, database="crm_mail")

    def enter_django(self) -> None:
        """From here on this process itself is the installation (for measurements inside a process)."""
        os.environ.update(self.environment, DJANGO_SETTINGS_MODULE="crm_mail.settings", ALLOWED_HOSTS="testserver")


class Embedded(Instance):
    """An installation as a newcomer has it: SQLite in its data folder, no servers."""

    def __enter__(self) -> Self:
        self._prepare()
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        (path,) = self.folder.glob("*.sqlite3")
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(statement).fetchall()
