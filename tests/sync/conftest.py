"""A mailbox on the in-memory server, reached through the real registry: mocked only at the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import EmailAccount
from accounts.vault import store_secret
from drivers import registry
from drivers.errors import DriverError
from drivers.fake.driver import FakeServer
from mail.models import Copy, Message
from sync import pipeline, status
from tests.factories import EmailAccountFactory, EmailAccountServerFactory

NOW = datetime.now(UTC).replace(microsecond=0)


def mail(
    number: int,
    *,
    sender: str = "ida@customer.example",
    subject: str = "",
    reply_to: int | None = None,
    message_id: str | None = None,
    body: str = "Good morning,\r\n\r\nthe lanterns arrived.\r\n",
) -> bytes:
    """A small message; `reply_to` names the number of the one it answers."""
    lines = [
        f"From: Ida Lindqvist <{sender}>",
        "To: anna@example.com",
        f"Subject: {subject or f'Mail {number}'}",
        f"Message-ID: {message_id or f'<m{number}@customer.example>'}",
        "Date: Mon, 23 Nov 2026 10:00:00 +0000",
    ]
    if reply_to is not None:
        lines.append(f"In-Reply-To: <m{reply_to}@customer.example>")
    return ("\r\n".join([*lines, "", body])).encode()


@dataclass
class World:
    """The server, the email account, and short words for the tests."""

    server: FakeServer
    account: EmailAccount

    def deliver(self, count: int, *, folder: str = "INBOX", start: int = 1, flags: tuple[str, ...] = ()) -> list[str]:
        """New messages, one a minute, the last one newest; returns their keys."""
        box = self.server.folders[folder]
        return [
            box.add(mail(start + n), flags=flags, received_at=NOW - timedelta(minutes=count - n)) for n in range(count)
        ]

    def sync(self, **options: object) -> bool:
        """One run; errors of the server stay in the row as in a worker."""
        try:
            return pipeline.run_once(self.account.pk, **options)  # type: ignore[arg-type]
        except DriverError:
            return False
        finally:
            self.account.refresh_from_db()

    def ledger(self) -> status.Ledger:
        """The figures."""
        return status.ledger(self.account)

    def keys(self, folder: str = "INBOX") -> set[str]:
        """Keys of the ledger's rows of a folder in its current epoch."""
        rows = Copy.objects.filter(folder__email_account=self.account, folder__remote_id=folder)
        return {copy.remote_key for copy in rows.select_related("folder") if copy.epoch == copy.folder.epoch}

    def subjects(self) -> list[str]:
        """Subjects of the stored messages, in order of their ids."""
        return list(Message.objects.filter(email_account=self.account).order_by("pk").values_list("subject", flat=True))


@pytest.fixture
def make_world(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """Build worlds; each has a server of its own, found by the user name."""
    servers: dict[str, FakeServer] = {}

    def open_driver(address: object, login: object) -> object:
        return servers[login.user_name].driver(login.secret)  # type: ignore[attr-defined]

    monkeypatch.setitem(registry.MAILBOX_DRIVERS, "imap", open_driver)

    def make(address: str = "anna@example.com", **fields: object) -> World:
        server = servers[address] = FakeServer(user_name=address)
        account = EmailAccountFactory(address=address, **fields)
        EmailAccountServerFactory(email_account=account, user_name=address)
        store_secret(server.password, email_account=account)
        return World(server, account)

    yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One mailbox, everything downloaded."""
    return make_world()
