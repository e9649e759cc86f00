"""A mail server that exists only for the wizard: one right password, and the error that a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from drivers import registry
from drivers.errors import AuthenticationFailed, DriverError
from drivers.types import Capabilities, CheckReport, CheckStep, FolderRole, Login, RemoteFolder, ServerAddress

RIGHT = "s3cret-Fjord-7741"


@dataclass
class FakeServers:
    """What the servers do; `seen` are the logins that were tried (protocol, host, user name)."""

    receive_error: DriverError | None = None
    send_error: DriverError | None = None
    password: str = RIGHT
    seen: list[tuple[str, str, str]] = field(default_factory=list)


class _Driver:
    def __init__(self, servers: FakeServers, protocol: str, server: ServerAddress, login: Login) -> None:
        self.servers, self.protocol, self.server, self.login = servers, protocol, server, login
        self.capabilities = Capabilities(names=("IMAP4rev1",))

    def check(self) -> CheckReport:
        self.servers.seen.append((self.protocol, self.server.host, self.login.user_name))
        error = self.servers.receive_error if self.protocol == "imap" else self.servers.send_error
        if error is not None:
            raise error
        if self.login.secret != self.servers.password:
            raise AuthenticationFailed(server_said="535 5.7.8 authentication failed <script>alert(1)</script>")
        steps = (CheckStep("connect", True, 0.1), CheckStep("sign_in", True, 0.1))
        return CheckReport(steps, self.capabilities, folder_count=24 if self.protocol == "imap" else None)

    def list_folders(self) -> list[RemoteFolder]:
        return [
            RemoteFolder("INBOX", ("INBOX",), FolderRole.INBOX, total=3),
            RemoteFolder("Junk", ("Junk",), FolderRole.JUNK),
        ]

    def open(self) -> None:
        self.check()

    def close(self) -> None:
        pass

    def __enter__(self) -> _Driver:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def fake_servers(monkeypatch: Any) -> Iterator[FakeServers]:
    """IMAP and SMTP answer from here."""
    servers = FakeServers()
    monkeypatch.setitem(registry.MAILBOX_DRIVERS, "imap", lambda server, login: _Driver(servers, "imap", server, login))
    monkeypatch.setitem(registry.SENDING_DRIVERS, "smtp", lambda server, login: _Driver(servers, "smtp", server, login))
    yield servers
