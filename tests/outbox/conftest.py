"""A mailbox that receives from the in-memory server and sends to a scripted SMTP server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import storages
from django.utils import timezone

from accounts.models import EmailAccount
from accounts.vault import store_secret
from drivers import registry
from drivers.fake.driver import FakeServer
from mail.models import Folder, Message
from outbox import delivery, services
from outbox.models import OutgoingMessage
from outbox.types import DraftFields
from sync import pipeline
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.servers.scripted_smtp import ScriptedSmtp


@dataclass
class Desk:
    """A person's mailbox, its two servers, and short words for the tests."""

    account: EmailAccount
    mail: FakeServer
    smtp: ScriptedSmtp

    @property
    def user(self) -> Any:
        return self.account.owner

    def sync(self) -> None:
        pipeline.run_once(self.account.pk)

    def write(
        self, *to: str, subject: str = "Lanterns", html: str = "<p>Good morning</p>", **fields: Any
    ) -> OutgoingMessage:
        """A draft of the owner, saved."""
        draft = services.start_draft(user=self.user, email_account=self.account)
        pairs = tuple(("", address) for address in to or ("ida@customer.example",))
        return services.save_draft(
            user=self.user,
            draft=draft,
            version=draft.version,
            fields=DraftFields(to=pairs, subject=subject, html=html, **fields),
        )

    def send(self, draft: OutgoingMessage | None = None, **fields: Any) -> OutgoingMessage:
        """Queue it, let ten seconds pass, do all that is due."""
        row = services.queue(user=self.user, draft=draft or self.write(**fields), confirmed=True)
        return self.due(row)

    def due(self, row: OutgoingMessage) -> OutgoingMessage:
        """Its time has come: all steps that are due are done."""
        past = timezone.now() - timedelta(seconds=1)
        rows = OutgoingMessage.objects.filter(pk=row.pk)
        rows.filter(due_at__isnull=False).update(due_at=past, send_at=past)
        rows.filter(server_due_at__isnull=False).update(server_due_at=past)
        delivery.advance(row.pk)
        found = rows.first()
        return found if found is not None else row

    def in_folder(self, name: str) -> list[EmailMessage]:
        """Messages on the server, oldest first."""
        copies = self.mail.folders[name].copies.values()
        return [message_from_bytes(copy.raw, policy=policy.default) for copy in copies]  # type: ignore[misc]

    def stored(self) -> list[Message]:
        return list(Message.objects.filter(email_account=self.account).order_by("pk"))


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Files of a test in a folder of its own; loopback may be reached."""
    kept = dict(django_settings.STORAGES)
    kept["mail"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": tmp_path / "mail"},
    }
    settings.STORAGES = kept
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8",)
    settings.MAIL_TIMEOUT = 5.0
    yield
    storages._storages.clear()


@pytest.fixture
def make_desk(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    """Build desks; each has servers of its own."""
    servers: dict[str, FakeServer] = {}
    running: list[ScriptedSmtp] = []

    def open_driver(address: object, login: object) -> object:
        return servers[login.user_name].driver(login.secret)  # type: ignore[attr-defined]

    monkeypatch.setitem(registry.MAILBOX_DRIVERS, "imap", open_driver)

    def make(address: str = "anna@example.com", smtp: ScriptedSmtp | None = None, **fields: Any) -> Desk:
        server = servers[address] = FakeServer(user_name=address)
        sender = (smtp or ScriptedSmtp()).__enter__()
        running.append(sender)
        account = EmailAccountFactory(address=address, display_name="Anna Berg", **fields)
        EmailAccountServerFactory(email_account=account, user_name=address)
        EmailAccountServerFactory(
            email_account=account,
            protocol="smtp",
            host="127.0.0.1",
            port=sender.port,
            security="none",
            user_name=address,
        )
        store_secret(server.password, email_account=account)
        for name, folder in server.folders.items():
            Folder.objects.create(
                email_account=account,
                remote_id=name,
                path=[name],
                role=folder.role.value,
                is_followed=folder.role.value in ("inbox", "sent"),
                epoch=0,
            )
        return Desk(account, server, sender)

    yield make
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """One mailbox."""
    return make_desk()
