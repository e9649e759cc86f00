"""The processes of an installation, run beside a measurement as operators run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.instance import ROOT, Instance
from tests.servers.postgres import die_with_parent

# As docs/operations.md has it.
WORKER = ["-m", "celery", "-A", "crm_mail", "worker", "-P", "threads", "-c", "8", "-Q", "crm_mail,clicks"]
QUIET = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
TICK = ["manage.py", "tick"]


@contextmanager
def running(instance: Instance, *commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """These commands of the project's Python, in order, ended afterwards; what they print goes to processes.log."""
    with (instance.folder / "processes.log").open("wb") as log:
        started = [
            subprocess.Popen(
                [sys.executable, *words, *([*QUIET, "-n", f"worker{number}@bench"] if words == WORKER else [])],
                cwd=ROOT,
                env={**os.environ, **instance.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
            for number, words in enumerate(commands)
        ]
        try:
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
