"""What script/start was asked for, and what follows from it: folder, ports, environment, commands.

Only the standard library. Invariants: one supervisor per data folder; the ports of the demo mail server stay the same
over restarts, because its mailboxes are kept by them; nothing is prepared when nothing changed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
DEMO_LOGIN = ("maren", "nordlys-demo")
# What `manage.py prepare` depends on: when none of it changed, a start skips it.
PREPARED_FROM = (
    "*/migrations/*.py",
    "providers/catalogue/**/*",
    "static/**/*",
    "demo/**/*",
    "crm_mail/management/**/*.py",
)


class CannotStart(Exception):
    """Said to the person as it is; nothing has been started."""


@dataclass
class Plan:
    """What was asked for, and what follows from it."""

    data: Path
    host: str
    port: int
    has_demo: bool
    imap_port: int = 0
    smtp_port: int = 0

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def children(self) -> list[tuple[str, list[str]]]:
        """Name and command of everything that runs, the demo's mail server first."""
        python = [sys.executable]
        web = ["-m", "uvicorn", "crm_mail.asgi:application", "--host", self.host, "--port", str(self.port)]
        web += [
            "--timeout-graceful-shutdown",
            "2",
            "--no-access-log",
            "--no-proxy-headers",
            "--lifespan",
            "off",
            "--log-level",
            "warning",
        ]
        worker = ["-m", "celery", "-A", "crm_mail", "worker", "-P", "threads", "-c", "8", "-Q", "crm_mail,clicks"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        demo = ["-m", "demo.server", "--data", str(self.data / "demo")]
        demo += ["--imap-port", str(self.imap_port), "--smtp-port", str(self.smtp_port)]
        children = [("demo", python + demo)] if self.has_demo else []
        children += [("web", python + web), ("worker", python + worker)]
        children += [("tick", [*python, "manage.py", "tick"]), ("listener", [*python, "manage.py", "listen"])]
        return children

    def prepare_command(self) -> list[str]:
        """Migrations, catalogue, static files and demo data, each of which may run again."""
        command = [sys.executable, "manage.py", "prepare"]
        if self.has_demo:
            command += ["--demo-imap-port", str(self.imap_port), "--demo-smtp-port", str(self.smtp_port)]
        return command


def read_arguments(arguments: list[str]) -> Plan:
    """The plan, its ports and environment still open. Ends the program on wrong arguments."""
    parser = argparse.ArgumentParser(prog="script/start", description="Runs CRM Mail on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8000, help="port of the web pages (default: 8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder of everything that is kept")
    parser.add_argument("--no-demo", action="store_true", help="without the demo mail server and its mailboxes")
    given = parser.parse_args(arguments)
    is_local = given.host in ("127.0.0.1", "::1", "localhost")
    if not is_local and not given.no_demo:
        parser.error("the demo has a password that everybody knows: --host needs --no-demo")
    if not 0 < given.port < 65536:
        parser.error("--port is a number from 1 to 65535")
    return Plan(given.data.resolve(), given.host, given.port, not given.no_demo)


def hold(data: Path) -> IO[str]:
    """Takes the data folder for this process. Raises CannotStart when another one has it."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (data / "lock").open("a+")
    except OSError as error:
        raise CannotStart(f"The data folder {data} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        where = file.read().strip() or "another address"
        raise CannotStart(
            f"CRM Mail already runs with this data folder, at {where}.\n"
            "Stop it there first, or give this one a folder of its own: script/start --data DIR --port N"
        ) from None
    return file


def is_free(host: str, port: int) -> bool:
    """Whether this process may listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise CannotStart(f"Port {port} needs root: choose one above 1023 with --port.") from error
            return False
        return True


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_ports(plan: Plan) -> None:
    """The web port must be free; the demo keeps the ports it had, unless somebody else took them."""
    if not is_free(plan.host, plan.port):
        raise CannotStart(
            f"Port {plan.port} is taken by another program.\nChoose another one: script/start --port {plan.port + 1}"
        )
    if not plan.has_demo:
        return
    kept = plan.data / "demo" / "ports.json"
    ports: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        ports = json.loads(kept.read_text())
    for name in ("imap", "smtp"):
        port = ports.get(name)
        ports[name] = port if isinstance(port, int) and is_free("127.0.0.1", port) else free_port()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(ports))
    plan.imap_port, plan.smtp_port = ports["imap"], ports["smtp"]


def set_environment(plan: Plan) -> None:
    """Decides what nobody decided, and keeps it in the data folder for script/manage."""
    decided = {"BASE_URL": plan.address}
    if plan.has_demo:
        decided["PRIVATE_NETWORKS"] = "127.0.0.0/8"
    decided = {name: os.environ.get(name) or value for name, value in decided.items()}
    os.environ.update(decided, DATA_DIR=str(plan.data), PYTHONUNBUFFERED="1")
    (plan.data / "environment").write_text("".join(f"{name}={value}\n" for name, value in decided.items()))


def fingerprint(plan: Plan) -> str:
    """Changes whenever preparing again could change something."""
    digest = hashlib.sha256(repr((plan.prepare_command()[1:], os.environ.get("DATABASE_URL", ""))).encode())
    for pattern in PREPARED_FROM:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def needs_preparing(plan: Plan, print_now: str) -> bool:
    """False when the last complete preparation had the same fingerprint and its results still stand there."""
    kept = plan.data / "prepared"
    database = plan.data / "crm_mail.sqlite3"
    is_there = (plan.data / "static").is_dir() and (database.is_file() or bool(os.environ.get("DATABASE_URL")))
    return not is_there or not kept.is_file() or kept.read_text().strip() != print_now


@contextlib.contextmanager
def kept(file: IO[str], address: str) -> Iterator[None]:
    """While it runs, the lock file says where."""
    file.truncate(0)
    file.write(address)
    file.flush()
    try:
        yield
    finally:
        file.truncate(0)


def announce(plan: Plan) -> None:
    """Where to go and how to sign in."""
    print(f"\nCRM Mail runs at {plan.address}", flush=True)
    if plan.has_demo:
        print(f"Sign in as {DEMO_LOGIN[0]} with the password {DEMO_LOGIN[1]}")
        said = plan.data / "demo" / "said.txt"  # written by seed_demo: what else there is to try
        if said.is_file():
            print(said.read_text().rstrip())
    else:
        print("The first administrator is made by: script/manage create_administrator")
    print("Ctrl-C stops it.", flush=True)
