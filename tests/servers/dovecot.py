"""A private Dovecot for tests: free ports, its own certificate authority, mail in maildirs under a short path.

Started without pipes (it hangs on them), awaited by `master.pid`, stopped by that pid. Invariant: nothing outside the
folder is touched and nothing keeps running after `stop`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imapclient import imap_utf7

from drivers.types import Login, Security, ServerAddress
from tests.servers.certificates import TestAuthority

HOST = "127.0.0.1"
PASSWORD = "right-Horse 7"
SPECIAL_FOLDERS = (("Sent", "\\Sent"), ("Drafts", "\\Drafts"), ("Junk", "\\Junk"), ("Trash", "\\Trash"))


@dataclass(frozen=True)
class DovecotOptions:
    """What kind of server. `capability` replaces what is announced (the server still does the rest);
    `refused_plain` listens where loopback does not count as secure; `extra` is appended to the configuration."""

    users: tuple[str, ...] = ("anna@example.com",)
    special_use: bool = True
    separator: str = "/"
    capability: str = ""
    certificate_names: tuple[str, ...] = ("localhost", "127.0.0.1", "127.0.0.2")
    passwords: dict[str, str] = field(default_factory=dict)
    extra: str = ""


class Dovecot:
    """A running server; `address(security)` and `login(user)` are what a driver wants."""

    def __init__(self, options: DovecotOptions | None = None, folder: Path | None = None) -> None:
        self.options = options or DovecotOptions()
        self.authority = TestAuthority()
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="dv", dir="/tmp"))
        self.port, self.ssl_port = _free_port(), _free_port()
        self.pid = 0
        self._unique = 0

    @staticmethod
    def is_installed() -> bool:
        """True if this machine can run it."""
        return shutil.which("dovecot") is not None

    # life

    def start(self) -> Dovecot:
        """Write the configuration, start, wait for the pid and both ports."""
        self._write()
        subprocess.run(
            ["dovecot", "-c", str(self.folder / "dovecot.conf")],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "start.log").open("wb"),
            timeout=20,
        )
        deadline = time.monotonic() + 10
        pid_file = self.folder / "run" / "master.pid"
        while time.monotonic() < deadline:
            if pid_file.exists() and pid_file.read_text().strip():
                self.pid = int(pid_file.read_text())
                if _answers(self.port) and _answers(self.ssl_port):
                    return self
            time.sleep(0.02)
        raise RuntimeError("Dovecot did not start: " + self.log())

    def stop(self) -> None:
        """End it and remove its folder."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            if not _ends(self.pid, within=0.5):
                # Its own process group (it is a daemon): login processes with open connections take seconds to go.
                with suppress(ProcessLookupError):
                    if os.getpgid(self.pid) == self.pid:
                        os.killpg(self.pid, signal.SIGKILL)
                _ends(self.pid, within=10)
            self.pid = 0
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Dovecot:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        """What it wrote, for a failing test."""
        path = self.folder / "dovecot.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    # how to reach it

    def address(self, security: Security = Security.NONE, *, host: str = HOST, timeout: float = 10.0) -> ServerAddress:
        """Where a driver finds it."""
        port = self.ssl_port if security is Security.SSL else self.port
        return ServerAddress(host, port, security, self.authority.pem, ("127.0.0.0/8", "::1/128"), timeout)

    def login(self, user: str | None = None) -> Login:
        """The right password."""
        user = user or self.options.users[0]
        return Login(user, self.options.passwords.get(user, PASSWORD))

    # mail, written straight into the maildir

    def maildir(self, user: str, folder: str = "INBOX") -> Path:
        """The maildir of a folder (segments joined by the separator); LAYOUT=fs keeps names as they are on the wire."""
        root = self.folder / "mail" / user
        if folder == "INBOX":
            return root
        wire = imap_utf7.encode(folder)
        name = (wire if isinstance(wire, str) else bytes(wire).decode("ascii")).replace(self.options.separator, ".")
        return root / f".{name}"

    def add_folder(self, user: str, folder: str) -> Path:
        """Make a folder (Maildir++)."""
        path = self.maildir(user, folder)
        for part in ("cur", "new", "tmp"):
            (path / part).mkdir(parents=True, exist_ok=True)
        if folder != "INBOX":
            (path / "maildirfolder").touch()
        _own(self.folder / "mail" / user)
        return path

    def add_messages(
        self, user: str, folder: str, messages: Iterable[bytes], *, flags: str = "", received: Sequence[datetime] = ()
    ) -> int:
        """Write messages as files, fast; `flags` are maildir letters (S seen, F flagged ...), `received` INTERNALDATEs.

        File names rise, so UIDs follow the order given. Returns how many.
        """
        path = self.add_folder(user, folder)
        base = int(time.time())
        count = 0
        for raw in messages:
            self._unique += 1
            moment = received[count] if count < len(received) else None
            stamp = base + self._unique // 1_000_000
            name = f"{stamp}.M{self._unique:09d}P{os.getpid()}.test,S={len(raw)},W={len(raw)}:2,{flags}"
            target = path / "cur" / name
            target.write_bytes(raw)
            if moment is not None:
                seconds = moment.astimezone(UTC).timestamp()
                os.utime(target, (seconds, seconds))
            count += 1
        _own(path)
        return count

    # configuration

    def _write(self) -> None:
        folder = self.folder
        folder.chmod(0o755)
        issued = self.authority.issue(*self.options.certificate_names)
        (folder / "cert.pem").write_text(issued.certificate)
        (folder / "key.pem").write_text(issued.key)
        (folder / "key.pem").chmod(0o600)
        owner = _owner()
        lines = []
        for user in self.options.users:
            password = self.options.passwords.get(user, PASSWORD)
            lines.append(f"{user}:{{PLAIN}}{password}:{owner.pw_uid}:{owner.pw_gid}::{folder}/home/{user}::\n")
            (folder / "home" / user).mkdir(parents=True, exist_ok=True)
            for part in ("cur", "new", "tmp"):
                (folder / "mail" / user / part).mkdir(parents=True, exist_ok=True)
        (folder / "users").write_text("".join(lines))
        for name in ("home", "mail"):
            _own(folder / name)
        (folder / "dovecot.conf").write_text(self._configuration(owner.pw_name))

    def _configuration(self, owner: str) -> str:
        folder, options = self.folder, self.options
        me = pwd.getpwuid(os.getuid()).pw_name
        inner = me if os.getuid() else "dovecot"
        login_user = me if os.getuid() else "dovenull"
        boxes = "".join(
            f"  mailbox {name} {{\n    auto = subscribe\n    special_use = {use}\n  }}\n" if options.special_use else ""
            for name, use in SPECIAL_FOLDERS
        )
        capability = f"imap_capability = {options.capability}\n" if options.capability else ""
        return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1, 127.0.0.2
instance_name = {folder.name}
default_internal_user = {inner}
default_login_user = {login_user}
default_internal_group = {pwd.getpwnam(inner).pw_gid if os.getuid() else "dovecot"}
first_valid_uid = 0
auth_failure_delay = 0
auth_mechanisms = plain login
disable_plaintext_auth = yes
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 100
maildir_very_dirty_syncs = no
mail_fsync = never
{capability}
namespace inbox {{
  inbox = yes
  separator = {options.separator}
{boxes}}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.ssl_port}
    ssl = yes
  }}
}}
service stats {{
  client_limit = 1000
}}
{options.extra}
"""


def _owner() -> pwd.struct_passwd:
    """Who owns the mail: an ordinary user where the tests run as root."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def _own(path: Path) -> None:
    if os.getuid() == 0:
        owner = _owner()
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", str(path)], check=True)


def _ends(pid: int, *, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
