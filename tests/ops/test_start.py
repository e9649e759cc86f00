"""script/start as a newcomer meets it: it starts, says where, ends everything, and comes back with the same mail."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds, on a busy machine


class Instance:
    """script/supervise.py in a process of its own (script/start only brings the environment up to date before it)."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data, self.port = data, free_port()
        self.said = data.parent / f"said-{self.port}"
        environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "script/supervise.py", "--port", str(self.port), "--data", str(data), *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def text(self) -> str:
        """What it printed so far."""
        return self.said.read_text()

    def wait_for(self, happened: Callable[[], object], what: str) -> None:
        """Until it happened; fails with the logs when it does not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if happened():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        logs = "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in (self.data / "log").glob("*.log"))
        pytest.fail(f"{what} did not happen:\n{self.text()}\n{logs}")

    def is_up(self) -> bool:
        """Whether it said that it runs."""
        return "Ctrl-C stops it." in self.text()

    def get(self, path: str) -> int:
        """The status of a page, 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            return connection.getresponse().status
        return 0

    def children(self) -> dict[int, str]:
        """Process id → command line of what runs for this data folder or port."""
        return {pid: line for pid, line in processes().items() if pid != self.process.pid and self.owns(pid)}

    def owns(self, pid: int) -> bool:
        """Whether a process carries this data folder in its environment."""
        with contextlib.suppress(OSError):
            return f"DATA_DIR={self.data}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def stop(self, sent: int = signal.SIGTERM) -> float:
        """Seconds until it had ended."""
        began = time.monotonic()
        self.process.send_signal(sent)
        self.process.wait(30)
        return time.monotonic() - began


def processes() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Instance]]:
    instances: list[Instance] = []

    def begin(*arguments: str, data: str = "data") -> Instance:
        instances.append(Instance(tmp_path / data, *arguments))
        return instances[-1]

    yield begin
    for instance in instances:
        if instance.process.poll() is None:
            instance.process.kill()
            instance.process.wait(30)


def is_whole(data: Path) -> bool:
    """Whether the first download has ended: every folder enumerated to its end, nothing pending, all of it stored."""
    with contextlib.closing(sqlite3.connect(data / "crm_mail.sqlite3", timeout=30)) as database:
        (unread,) = database.execute(
            "SELECT count(*) FROM mail_folder WHERE is_followed AND on_server IS NULL"
        ).fetchone()
        (on_server,) = database.execute(
            "SELECT coalesce(sum(on_server), 0) FROM mail_folder WHERE is_followed"
        ).fetchone()
        copies = dict(database.execute("SELECT state, count(*) FROM mail_copy GROUP BY state").fetchall())
    return unread == 0 and on_server > 200 and copies == {"stored": on_server}


def ledger(data: Path) -> tuple[int, int, int]:
    """Messages, the newest id among them, and stored copies."""
    with contextlib.closing(sqlite3.connect(data / "crm_mail.sqlite3", timeout=30)) as database:
        one = database.execute("SELECT count(*), coalesce(max(id), 0) FROM mail_message").fetchone()
        (stored,) = database.execute("SELECT count(*) FROM mail_copy WHERE state = 'stored'").fetchone()
    return one[0], one[1], stored


@pytest.mark.servers
def test_it_starts_ends_and_starts_again_without_preparing_anything(start: Callable[..., Instance]) -> None:
    first = start("--no-demo")
    first.wait_for(first.is_up, "the first start")
    assert f"http://127.0.0.1:{first.port}" in first.text()
    assert "create_administrator" in first.text()
    assert first.get("/accounts/login/") == 200
    first.wait_for(lambda: first.get("/readyz") == 200, "readiness")
    assert len(first.children()) == 4
    assert first.stop() < 5
    assert first.process.returncode == 0
    assert first.children() == {}
    second = start("--no-demo")
    second.wait_for(second.is_up, "the second start")
    assert "Preparing" not in second.text()
    assert second.stop(signal.SIGINT) < 5
    assert second.children() == {}


@pytest.mark.servers
def test_a_dead_child_comes_back_and_a_killed_supervisor_leaves_no_orphan(start: Callable[..., Instance]) -> None:
    instance = start("--no-demo")
    instance.wait_for(instance.is_up, "the start")
    web = next(pid for pid, line in instance.children().items() if "uvicorn" in line)
    os.kill(web, signal.SIGKILL)
    instance.wait_for(lambda: "The web ended (-9)" in instance.text(), "the notice")
    instance.wait_for(lambda: instance.get("/healthz") == 200, "the web process coming back")
    assert web not in instance.children()
    assert len(instance.children()) == 4
    instance.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while instance.children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert instance.children() == {}


@pytest.mark.servers
def test_the_demo_has_its_mail_and_keeps_it_over_a_restart(start: Callable[..., Instance]) -> None:
    first = start()
    first.wait_for(first.is_up, "the first start")
    assert "Sign in as maren with the password" in first.text()
    assert "sales@nordlys.example" in first.text()
    first.wait_for(lambda: is_whole(first.data), "the demo's mail")
    first.wait_for(lambda: first.get("/readyz") == 200, "readiness")
    first.stop()
    before = ledger(first.data)
    ports = (first.data / "demo" / "ports.json").read_text()
    second = start()
    second.wait_for(second.is_up, "the second start")
    assert "Preparing" not in second.text()
    time.sleep(6)  # a poll or two
    second.stop()
    after = ledger(second.data)
    assert (second.data / "demo" / "ports.json").read_text() == ports
    # The same rows; demo mail that arrived meanwhile has rows of its own, nothing was fetched twice.
    assert after[0] - before[0] == after[2] - before[2] <= 5
    assert after[1] - before[1] <= 5


@pytest.mark.servers
def test_a_taken_port_and_a_taken_folder_are_said_plainly(start: Callable[..., Instance], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "script/supervise.py", "--port", str(port), "--data", str(tmp_path / "data")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert (
        done.stderr == f"Port {port} is taken by another program.\nChoose another one: script/start --port {port + 1}\n"
    )
    assert not (tmp_path / "data" / "crm_mail.sqlite3").exists()
    first = start("--no-demo")
    first.wait_for(first.is_up, "the start")
    second = start("--no-demo")
    assert second.process.wait(60) == 1
    assert f"already runs with this data folder, at http://127.0.0.1:{first.port}" in second.text()


def test_the_demo_is_never_offered_to_the_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "script/supervise.py", "--host", "0.0.0.0", "--data", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "--host needs --no-demo" in done.stderr
