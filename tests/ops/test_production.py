"""The production life: PostgreSQL, Redis, web, worker and tick as services; each may die and come back."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base.crypto import generate_key
from tests.servers.postgres import PostgresServer, ServerMissing, die_with_parent, free_port
from tests.servers.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds, on a busy machine


class Services:
    """The three kinds of processes with the settings of a production."""

    def __init__(self, folder: Path, database: PostgresServer, queue: RedisServer) -> None:
        self.database, self.queue, self.port = database, queue, free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url(),
            "REDIS_URL": queue.url,
            "SECRET_KEY": "s" * 50,
            "CREDENTIAL_KEYS": generate_key(),
            "BASE_URL": "https://crm.example.org",
            "DATA_DIR": str(folder / "data"),
        }
        self.log = (folder / "log").open("wb")
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str) -> None:
        """A command, until it ended well."""
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Web, worker and tick."""
        web = ["-m", "uvicorn", "crm_mail.asgi:application", "--port", str(self.port), "--no-proxy-headers"]
        worker = ["-m", "celery", "-A", "crm_mail", "worker", "-P", "threads", "-c", "2", "-Q", "crm_mail,clicks"]
        for words in (web, worker, ["manage.py", "tick"]):
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=self.log,
                    stderr=self.log,
                    preexec_fn=die_with_parent(),
                )
            )

    def readiness(self) -> dict[str, Any]:
        """What /readyz says, {} while nobody answers."""
        with contextlib.suppress(OSError):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                return dict(json.load(error))
        return {}

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Until it happened."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if happened():
                return
            time.sleep(0.2)
        pytest.fail(f"{self.readiness()}\n{Path(self.log.name).read_text()[-3000:]}")

    def stop(self) -> None:
        """All three; those that do not end in time are killed."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.log.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    try:
        with PostgresServer() as database, RedisServer() as queue:
            there = Services(tmp_path, database, queue)
            try:
                yield there
            finally:
                there.stop()
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.mark.servers
def test_it_becomes_ready_and_survives_its_database_and_its_queue(services: Services) -> None:
    services.run("manage.py", "check", "--fail-level", "WARNING")
    services.run("manage.py", "prepare")
    services.run("manage.py", "prepare")  # twice is harmless
    services.start()
    services.wait_for(lambda: services.readiness().get("ready"))
    services.run("manage.py", "is_alive", "tick")
    services.database.restart()
    services.queue.flush()
    services.wait_for(lambda: services.readiness().get("ready"))
    beat = services.database.rows("SELECT at FROM sync_heartbeat WHERE name = 'tick'", database="crm_mail")
    services.wait_for(
        lambda: services.database.rows("SELECT at FROM sync_heartbeat WHERE name = 'tick'", database="crm_mail") != beat
    )
    assert [process.poll() for process in services.processes] == [None, None, None]
    services.queue.stop()
    services.wait_for(lambda: services.readiness().get("queue") == "no connection")
