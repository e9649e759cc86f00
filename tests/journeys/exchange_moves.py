"""The same mails on a real Dovecot and on the tests' Exchange Server, and a mailbox that changes from one to the other."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import EmailAccount
from accounts.services.email_accounts import remove_email_account
from mail.models import Message
from sync import pipeline
from tests.servers.dovecot import Dovecot
from tests.servers.ews import EwsServer

ANNA = "anna@example.com"
_FIELD = re.compile(rb"[!-9;-~]{1,100}[ \t]*:")
NOT_MAIL = {
    ".json",
    ".xml",
    ".html",
    ".out",
    ".ics",
    ".gz",
    ".gif",
    ".jpg",
    ".png",
    ".b64",
    ".ref",
    ".expected",
    ".dat",
}


def command(name: str, *words: str) -> dict[str, Any]:
    """What a command prints with --json."""
    out = io.StringIO()
    call_command(name, *words, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def mails_in(folder: Path) -> list[bytes]:
    """Every mail in the files below a folder, mailboxes (mbox) taken apart; lines end with CR LF, as on a server."""
    found: list[bytes] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in NOT_MAIL:
            found += [re.sub(rb"\r?\n", b"\r\n", raw) for raw in _split(path.read_bytes())]
    return found


def _split(raw: bytes) -> list[bytes]:
    """The mails of one file; none where it does not begin with a header."""
    is_box = raw.startswith(b"From ")
    pieces = re.split(rb"(?m)^From [^\r\n]*\r?\n", raw) if is_box else [raw]
    return [piece for piece in pieces if _FIELD.match(piece)]


@dataclass
class TwoServers:
    """Both with the same mails in the inbox; `move` connects one, then the other."""

    exchange: EwsServer
    dovecot: Dovecot
    user: str

    def fill(self, mails: Sequence[bytes], *, spread: int = 61) -> None:
        """Deliver the mails to both, `spread` seconds apart."""
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1, seconds=spread * len(mails))
        moments = [start + timedelta(seconds=spread * number) for number in range(len(mails))]
        inbox = self.exchange.store.by_name("inbox")
        for raw, moment in zip(mails, moments, strict=True):
            self.exchange.store.add(inbox, raw, received_at=moment)
        self.dovecot.add_messages(self.user, "INBOX", mails, received=moments)

    def connect(self, monkeypatch: pytest.MonkeyPatch, protocol: str) -> dict[str, Any]:
        """Connect the mailbox by this protocol and bring everything; the ledger's figures."""
        who = ("--user", "anna", "--create-user", "--address", ANNA, "--password-stdin", "--period", "everything")
        if protocol == "ews":
            secret, words = "secret", ("--ews", self.exchange.url)
        else:
            place, login = self.dovecot.address(), self.dovecot.login(self.user)
            where = f"{place.host}:{place.port}:{place.security.value}"
            secret, words = login.secret, ("--imap", where, "--username", login.user_name)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
        command("add_email_account", *who, *words)
        account = EmailAccount.objects.get(address_key=ANNA)
        figures: dict[str, Any] = {"pending": 1}
        for _run in range(40):
            pipeline.run_once(account.pk)
            figures = command("mailbox_status", ANNA)
            if not figures["pending"] and not figures["unaccounted"]:
                break
        pipeline.run_once(account.pk)
        return figures

    def move(self, monkeypatch: pytest.MonkeyPatch, first: str, then: str) -> tuple[set[int], dict[str, Any]]:
        """Connect by `first`, take the mailbox away, connect it by `then`: the rows before, the figures after."""
        figures = self.connect(monkeypatch, first)
        assert not figures["pending"] and not figures["unaccounted"], figures
        before = set(Message.objects.values_list("pk", flat=True))
        remove_email_account(EmailAccount.objects.get(address_key=ANNA), erase=False)
        return before, self.connect(monkeypatch, then)
