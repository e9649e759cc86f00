"""A private PostgreSQL on a free port, for tests and the bench; it dies with the process that started it.

PostgreSQL refuses root, so as root it runs as `postgres`, in a short path that this user may enter.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

PR_SET_PDEATHSIG = 1
QUICK = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
COMMON = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=120",
    "shared_buffers=256MB",
    "default_toast_compression=lz4",
    "max_wal_size=4GB",
    "log_min_messages=warning",
]


class ServerMissing(Exception):
    """The program is not installed; the text says how to install it."""


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent(sent: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `sent` to the child when the thread that started it ends (Linux)."""
    library = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        library.prctl(PR_SET_PDEATHSIG, int(sent), 0, 0, 0)

    return ask


def program(name: str) -> str:
    """Path of a PostgreSQL program, the newest version installed. Raises ServerMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if found:
        return str(found[-1])
    if path := shutil.which(name):
        return path
    raise ServerMissing("PostgreSQL is not installed: apt-get install postgresql")


def dumped(database: dict[str, Any], *, known: bytes) -> bytes:
    """Django's database as pg_dump writes it, as text and the custom format unpacked again; each must hold `known`."""
    url = "postgres://{USER}@{HOST}:{PORT}/{NAME}".format(**database)

    def output(*words: str, given: bytes = b"") -> bytes:
        return subprocess.run(words, input=given, capture_output=True, check=True, timeout=120).stdout

    plain = output(program("pg_dump"), url)
    unpacked = output(program("pg_restore"), "-f", "-", given=output(program("pg_dump"), "-Fc", url))
    assert known in plain and known in unpacked
    return plain + unpacked


class PostgresServer:
    """A context manager; `url()` is its DATABASE_URL. `is_durable` keeps fsync on (for the bench)."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.is_durable = is_durable
        self.port = free_port()
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str = "crm_mail") -> str:
        """DATABASE_URL of the database `name`."""
        return f"postgres://{self.user}@127.0.0.1:{self.port}/{name}"

    def start(self) -> PostgresServer:
        """Makes the cluster, starts it and makes the database crm_mail. Raises ServerMissing, RuntimeError."""
        initdb = program("initdb")
        self.folder = Path(tempfile.mkdtemp(prefix="crm-pg-"))
        self.folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        made = subprocess.run(
            [
                initdb,
                "-D",
                self.folder / "data",
                "-A",
                "trust",
                "-U",
                self.user,
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            capture_output=True,
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            **self._as_user(),
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode(errors="replace"))
        self._launch()
        self.execute("CREATE DATABASE crm_mail")
        return self

    def _as_user(self) -> dict[str, Any]:
        """What subprocess needs to leave root."""
        if os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _launch(self) -> None:
        options = [*COMMON, f"port={self.port}", *([] if self.is_durable else QUICK)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("postgres"),
                    "-D",
                    self.folder / "data",
                    *(word for option in options for word in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent(signal.SIGINT),
                **self._as_user(),
            )
        self._wait()

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """One statement outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, statement: str, *, database: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def restart(self) -> None:
        """Immediate stop (as a crash) and start, on the same port: what a failing database looks like."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        self._launch()

    def _wait(self, seconds: float = 30.0) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Stops it and removes its folder; may be called twice."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(15)
            self._process = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
