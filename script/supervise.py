"""Runs CRM Mail on one machine: prepares the data folder, starts every process, restarts what dies, ends all together.

Only the standard library, so that it starts at once, stays small and can say what is wrong with the rest.
Invariant: no child outlives it, however it ends (the kernel kills them with it).
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from plan import (
    ROOT,
    CannotStart,
    Plan,
    announce,
    choose_ports,
    fingerprint,
    hold,
    kept,
    needs_preparing,
    read_arguments,
    set_environment,
)

STOP_SECONDS = 3.5  # then a child is killed; everything has ended within 5 s
READY_SECONDS = 90
LONGEST_PAUSE = 30.0
STABLE_SECONDS = 60  # a child that lived this long starts again at once
LOG_BYTES = 5_000_000  # a longer log is put aside at the next start
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A process that has to run; its output goes to `log`."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0

    def start(self) -> None:
        """Starts it in a session of its own, tied to this process's life."""
        supervisor = os.getpid()
        with open_log(self.log) as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: _die_with(supervisor),
            )
        self.started = time.monotonic()

    def signal(self, sent: int) -> None:
        """To the child and what it started itself."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sent)


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with(supervisor: int) -> None:
    """In the child before exec: the kernel kills it when the supervisor ends, be it by kill -9."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != supervisor:  # it ended before the request above
            os._exit(1)


def open_log(path: Path) -> IO[bytes]:
    """The log, to be appended to; a long one is put aside first (one generation is kept)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def clear_queue(data: Path, *, only_broken: bool = False) -> None:
    """The queue is only a doorbell: what lies in it from an earlier life is derived again from rows.

    A truncated file would end the worker again and again, so those go before each restart of it.
    """
    for path in [*(data / "queue" / "jobs").glob("*"), *(data / "queue" / "processed").glob("*")]:
        with contextlib.suppress(OSError):
            if only_broken:
                with contextlib.suppress(ValueError):
                    json.loads(path.read_text())
                    continue
            path.unlink()


class Supervisor:
    """Owns the children from their start to their end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children = [Child(name, command, plan.data / "log" / f"{name}.log") for name, command in plan.children()]
        self.is_stopping = False
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sent, self._stop_asked)

    def _stop_asked(self, number: int, frame: object) -> None:
        self.is_stopping = True

    def run(self) -> int:
        """Until asked to stop; the exit code."""
        try:
            if not self._begin():
                return 1
            while not self.is_stopping:
                self._watch()
                time.sleep(0.2)
            print("\nStopping …", flush=True)
            return 0
        finally:
            self._end()

    def _begin(self) -> bool:
        clear_queue(self.plan.data)
        by_name = {child.name: child for child in self.children}
        print_now = fingerprint(self.plan)
        if needs_preparing(self.plan, print_now):
            if demo := by_name.get("demo"):  # its mailbox is connected while preparing
                demo.start()
            if not self._prepare(print_now):
                return self.is_stopping
        # The page first, alone: that is what a person waits for.
        by_name["web"].start()
        if not self._wait_for_page(by_name["web"]):
            return False
        for child in self.children:
            if child.process is None and not self.is_stopping:
                child.start()
        announce(self.plan)
        return True

    def _prepare(self, print_now: str) -> bool:
        print("Preparing the data folder …", flush=True)
        (self.plan.data / "prepared").unlink(missing_ok=True)
        child = Child("preparation", self.plan.prepare_command(), self.plan.data / "log" / "prepare.log")
        child.log.unlink(missing_ok=True)
        child.start()
        self.children.append(child)
        assert child.process is not None
        while child.process.poll() is None and not self.is_stopping:
            time.sleep(0.05)
        if self.is_stopping:
            return False
        self.children.remove(child)
        if child.process.returncode:
            print(f"Preparing failed:\n{tail(child.log)}", file=sys.stderr)
            return False
        (self.plan.data / "prepared").write_text(print_now)
        return True

    def _wait_for_page(self, web: Child) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self.is_stopping:
            if answers(self.plan):
                return True
            if web.process is not None and web.process.poll() is not None:
                break
            time.sleep(0.05)
        if not self.is_stopping:
            print(f"The web process did not start:\n{tail(web.log)}", file=sys.stderr)
        return self.is_stopping

    def _watch(self) -> None:
        """Starts again what has ended, later each time it ends early."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.start_at:
                    if child.name == "worker":
                        clear_queue(self.plan.data, only_broken=True)
                    child.start()
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.signal(signal.SIGKILL)  # what it may have left of its own
            child.failures = 0 if now - child.started > STABLE_SECONDS else child.failures + 1
            pause = min(LONGEST_PAUSE, 2.0 ** (child.failures - 1)) if child.failures else 0.0
            child.process, child.start_at = None, now + pause
            print(f"The {child.name} ended ({code}); starting it again in {pause:.0f} s. Log: {child.log}", flush=True)

    def _end(self) -> None:
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        running = [child.process for child in self.children if child.process is not None]
        while time.monotonic() < deadline and any(process.poll() is None for process in running):
            time.sleep(0.02)
        for child in self.children:
            child.signal(signal.SIGKILL)
        for process in running:
            process.wait()


def answers(plan: Plan) -> bool:
    """Whether the web process serves."""
    host = "127.0.0.1" if plan.host in ("0.0.0.0", "::") else plan.host  # noqa: S104
    connection = http.client.HTTPConnection(host, plan.port, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False


def tail(path: Path, lines: int = 25) -> str:
    """The end of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""


def main(arguments: list[str]) -> int:
    """The exit code: 0 after a stop, 1 when it could not start."""
    plan = read_arguments(arguments)
    try:
        lock = hold(plan.data)
        choose_ports(plan)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    set_environment(plan)
    with kept(lock, plan.address):
        return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
