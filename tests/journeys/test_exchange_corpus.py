"""A mailbox that changes from EWS to IMAP or back keeps its rows, whatever mails it holds: real Dovecot, our Exchange.

Hard mails of our own here; other projects' test suites where they are present (a sample, all of them with `long`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mail.models import Copy, CopyState, Message, Part
from sync import parts
from tests.conftest import CORPUS
from tests.journeys.exchange_moves import TwoServers, mails_in
from tests.servers.dovecot import Dovecot
from tests.servers.ews import EwsServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers, pytest.mark.timeout(900)]
WAYS = [("ews", "imap"), ("imap", "ews")]


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")


def written(head: str, body: str = "A letter.", *, charset: str = "utf-8") -> bytes:
    """A mail of these header lines."""
    return ("\r\n".join([*head.splitlines(), "", *body.splitlines()]) + "\r\n").encode(charset, "replace")


def hard_mails() -> list[bytes]:
    """Mails whose headers say little, the same as another's, or what a server may read otherwise."""
    to = "To: Anna <anna@example.com>\nDate: Mon, 2 Nov 2026 10:00:00 +0100\n"
    twice = written(f"From: Ines <ines@azulejos.example>\n{to}Message-ID: <twice@azulejos.example>\nSubject: Twice")
    nameless = f"From: scanner@azulejos.example\n{to}Subject: Scan"
    broken = 'From: "Tile, works <ines@azulejos.example\nTo: undisclosed-recipients:;\nSubject: Broken\nDate: yesterday'
    eight = written(
        "From: rui@azulejos.example\nSubject: Orçamento\nMessage-ID: <8@azulejos.example>", charset="latin-1"
    )
    file = (
        'MIME-Version: 1.0\nContent-Type: application/pdf; name="plan.pdf"\nContent-Transfer-Encoding: base64\n'
        'Content-Disposition: attachment; filename="plan.pdf"'
    )
    mixed = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"'
    with_file = written(
        f"From: rui@azulejos.example\n{to}Message-ID: <file@azulejos.example>\nSubject: Plan\n{mixed}",
        f"--b\nContent-Type: text/plain\n\nThe plan.\n--b\n{file}\n\nJVBERi0xLjQ=\n--b--",
    )
    return [
        twice, twice, twice,
        written(nameless), written(nameless, "Another page."), written(nameless),
        written("Subject: no sender"), written("X-Nothing: at all", ""), written("X-Nothing: at all", ""),
        written(broken), eight, with_file,
        written(f"From: a@azulejos.example\n{to}Message-ID: <one@azulejos.example> (a comment)\nSubject: Comment"),
        written(f"From: a@azulejos.example\n{to}Message-ID: http://azulejos.example/#changeset\nSubject: No id"),
        written(f"From: a@azulejos.example\n{to}Subject: {'long ' * 300}"),
        written("Subject : A space before the colon\nFrom: a@azulejos.example", "Text."),
        written(f"From: a@azulejos.example\n{to}Message-ID: <a@b>\nMessage-ID: <c@d>\nSubject: Two ids\nSubject: Two"),
    ]  # fmt: skip


def check_move(
    monkeypatch: pytest.MonkeyPatch, servers: TwoServers, mails: Sequence[bytes], way: tuple[str, str]
) -> None:
    """All mails by one protocol, then all by the other: the same rows, each with a copy, nothing filtered or failed."""
    servers.fill(mails)
    before, figures = servers.move(monkeypatch, *way)
    assert len(before) == len(mails)
    assert set(Message.objects.values_list("pk", flat=True)) == before
    assert not Message.objects.exclude(gone_at=None, trashed_at=None).exists()
    told = {name: figures[name] for name in ("on_server", "stored", "filtered", "failed", "pending", "unaccounted")}
    assert told == {
        "on_server": len(mails), "stored": len(mails), "filtered": 0, "failed": 0, "pending": 0, "unaccounted": 0,
    }  # fmt: skip
    there = Copy.objects.filter(state=CopyState.STORED, missing_since=None, folder__gone_at=None)
    assert sorted(there.values_list("message", flat=True)) == sorted(before)


@pytest.fixture
def servers(ews_server: EwsServer, dovecot: Dovecot, dovecot_user: str) -> TwoServers:
    """Both, empty."""
    return TwoServers(ews_server, dovecot, dovecot_user)


@pytest.fixture(params=["kept", "regenerated"])
def source(request: pytest.FixtureRequest, ews_server: EwsServer) -> str:
    """Whether Exchange keeps a source, or makes it anew and shows times with nine decimals."""
    ews_server.regenerates = request.param == "regenerated"
    ews_server.decimals = 9 if ews_server.regenerates else 0
    return str(request.param)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_hard_mails_keep_their_rows(monkeypatch: Any, servers: TwoServers, source: str, way: tuple[str, str]) -> None:
    check_move(monkeypatch, servers, hard_mails(), way)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_attachments_are_still_opened_after_the_move(
    monkeypatch: Any, servers: TwoServers, source: str, way: tuple[str, str], settings: Any
) -> None:
    settings.MAIL_WHOLE_BELOW = 1  # all of Exchange's are made of properties: attachments are numbered otherwise
    check_move(monkeypatch, servers, hard_mails()[10:12], way)
    part = Part.objects.get(file_name="plan.pdf")
    with parts.open_part(part) as content:
        assert content.read() == b"%PDF-1.4"


@pytest.mark.skipif(not (CORPUS / "mime").is_dir(), reason="no corpus here")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_sample_of_other_projects_mails_keeps_its_rows(
    monkeypatch: Any, servers: TwoServers, source: str, way: tuple[str, str]
) -> None:
    check_move(monkeypatch, servers, mails_in(CORPUS / "mime")[::8], way)


@pytest.mark.long
@pytest.mark.skipif(not (CORPUS / "mime").is_dir(), reason="no corpus here")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_mail_of_other_projects_keeps_its_row(
    monkeypatch: Any, servers: TwoServers, source: str, way: tuple[str, str]
) -> None:
    mails = mails_in(CORPUS / "mime")
    assert len(mails) > 400
    check_move(monkeypatch, servers, mails, way)
