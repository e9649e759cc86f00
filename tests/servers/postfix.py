"""A private Postfix on loopback with submission (STARTTLS) and implicit TLS, signing in through its own small Dovecot.

Needs root and the Debian packages postfix and dovecot-core; `why_not()` says what is missing. Mail for `DOMAIN` is
delivered into Maildirs (`mails(user)` reads them), mail for anybody else is refused unless signed in, and then
discarded. Everything lives in one short folder and ends by process id.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from drivers.types import Security, ServerAddress
from tests.servers.smtp_tls import Certificate, make_certificate

POSTFIX, DOVECOT = "/usr/sbin/postfix", "/usr/sbin/dovecot"
DOMAIN = "nordlys.example"
RETURNS = "returns.example"  # mail to this domain is accepted and comes back as a report
USERS = {"maren": "fjord-lantern-77", "sales": "two-candles", "олена": "ліхтар"}
START_SECONDS = 20.0

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log
maillog_file_prefixes = {root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.{domain}
mydestination =
mynetworks =
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = texthash:{root}/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
default_transport = discard
virtual_alias_maps = inline:{{ {{ @{returns} = gone@{domain} }} }}
relay_transport = discard
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_auth_only = yes
smtpd_tls_security_level = may
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit_sasl_authenticated, reject
smtpd_sender_restrictions = reject_unlisted_sender
smtputf8_enable = yes
message_size_limit = 2000000
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = yes
"""

MASTER_CF = """
127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """
base_dir = {root}/dove
state_dir = {root}/dove
log_path = {root}/dovecot.log
instance_name = {name}
protocols =
ssl = no
listen = 127.0.0.1
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
auth_failure_delay = 0
auth_username_chars =
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/passwd
}}
service auth {{
  unix_listener {root}/spool/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 00
  }}
}}
"""


def why_not() -> str:
    """What is missing to run it here, "" if nothing is."""
    if os.geteuid() != 0:
        return "Postfix must be started by root"
    missing = [path for path in (POSTFIX, DOVECOT) if not Path(path).exists()]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Policy:
    """What Postfix asks about each recipient (its policy delegation protocol): `answers` lists what to say, once each."""

    def __init__(self) -> None:
        self.answers: dict[
            str, list[str]
        ] = {}  # address → actions such as "450 4.7.1 Greylisted"; then it is let through
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            fields: dict[str, str] = {}
            for raw in line.makefile("rb"):
                name, _equals, value = raw.decode("utf-8", "replace").strip().partition("=")
                if name:
                    fields[name] = value
                    continue
                recipient = fields.get("recipient", "")
                self.asked.append(recipient)
                waiting = self.answers.get(recipient, [])
                line.sendall(f"action={waiting.pop(0) if waiting else 'DUNNO'}\n\n".encode())
                fields = {}


@dataclass
class Postfix:
    """A context manager around one instance. `dovecot_extra` is appended to its Dovecot's configuration."""

    dovecot_extra: str = ""

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="pf", dir="/tmp"))
        self._root.chmod(0o755)
        self.submission_port, self.smtps_port = _free_port(), _free_port()
        self.policy = Policy()
        self.certificate: Certificate = make_certificate(self._root / "tls")
        try:
            self._write()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for pid_file in (self._root / "spool/pid/master.pid", self._root / "dove/master.pid"):
            _stop(pid_file)
        self.policy.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def address(self, security: Security, *, timeout: float = 10.0) -> ServerAddress:
        """Where to submit mail with this security (STARTTLS or SSL)."""
        port = self.smtps_port if security is Security.SSL else self.submission_port
        networks = ("127.0.0.0/8",)
        return ServerAddress("127.0.0.1", port, security, self.certificate.authority, networks, timeout)

    def mails(self, user: str, *, count: int = 1, wait: float = 10.0) -> list[bytes]:
        """Mails in the user's Maildir, once there are at least `count` of them or `wait` seconds have passed."""
        folder, deadline = self._root / "mail" / user / "new", time.monotonic() + wait
        while True:
            found = sorted(folder.glob("*")) if folder.exists() else []
            if len(found) >= count or time.monotonic() > deadline:
                return [path.read_bytes() for path in found]
            time.sleep(0.05)

    def _write(self) -> None:
        root, owner = self._root, pwd.getpwnam("postfix")
        for name in ("etc", "spool", "data", "mail", "dove"):
            (root / name).mkdir()
        for name in ("data", "mail"):
            os.chown(root / name, owner.pw_uid, owner.pw_gid)
        values = {
            "root": root, "domain": DOMAIN, "returns": RETURNS, "uid": owner.pw_uid, "gid": owner.pw_gid, "name": root.name,
            "chain": self.certificate.chain, "key": self.certificate.key,
            "submission": self.submission_port, "smtps": self.smtps_port, "policy": self.policy.port,
        }  # fmt: skip
        (root / "etc/main.cf").write_text(MAIN_CF.format(**values))
        (root / "etc/master.cf").write_text(MASTER_CF.format(**values))
        (root / "dovecot.conf").write_text(DOVECOT_CONF.format(**values) + self.dovecot_extra)
        (root / "passwd").write_text("".join(f"{user}@{DOMAIN}:{word}\n" for user, word in USERS.items()))
        (root / "mailboxes").write_text("".join(f"{user}@{DOMAIN} {user}/\n" for user in USERS))

    def _start(self) -> None:
        out = (self._root / "start.log").open("wb")  # never a pipe: the daemons would keep it open
        postfix = [POSTFIX, "-c", str(self._root / "etc")]
        subprocess.run([*postfix, "start"], check=True, stdout=out, stderr=out, timeout=60)
        dovecot = [DOVECOT, "-c", str(self._root / "dovecot.conf")]
        subprocess.run(dovecot, check=True, stdout=out, stderr=out, timeout=60)
        out.close()
        deadline = time.monotonic() + START_SECONDS
        for port in (self.submission_port, self.smtps_port):
            while not _answers(port):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"Postfix did not start:\n{self.log()}")
                time.sleep(0.05)

    def log(self) -> str:
        """What both programs logged, for a failing test."""
        names = ("start.log", "log", "dovecot.log")
        return "\n".join(path.read_text(errors="replace") for name in names if (path := self._root / name).exists())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(pid_file: Path) -> None:
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            if _has_ended(pid):
                return
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """True also for a zombie: a machine without a reaping init keeps daemons as such."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
