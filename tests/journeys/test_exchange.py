"""A mailbox on an Exchange Server: connected by the command, read, answered, changed on both sides."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import EmailAccount
from accounts.services.email_accounts import remove_email_account
from drivers.types import FolderRole
from mail.changes import set_flagged, set_read
from mail.models import Copy, CopyState, Folder, Message, Part
from mail.moves import folder_for, move
from outbox import delivery, services
from outbox.models import OutgoingMessage, SendState
from outbox.types import DraftFields
from sync import listener_keeper, parts, pipeline
from sync.models import Listening
from tests.drivers.contract import ATTACHMENT, mail, mail_with_attachment
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers.ews import EwsServer, Trouble
from tests.servers.poor import PoorServer
from tests.sync.test_listener import Running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
ANNA = "anna@example.com"


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")


def command(name: str, *words: str) -> dict[str, Any]:
    """What a command prints with --json."""
    out = io.StringIO()
    call_command(name, *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def connect(monkeypatch: pytest.MonkeyPatch, server: EwsServer, *words: str) -> EmailAccount:
    """`add_email_account --ews` for Anna, everything in scope."""
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    where = ("--user", "anna", "--create-user", "--address", ANNA, "--ews", server.url, "--password-stdin")
    command("add_email_account", *where, "--period", "everything", *words)
    return EmailAccount.objects.get(address_key=ANNA)


def test_a_mailbox_is_connected_and_read_to_its_end(monkeypatch: Any, ews_server: EwsServer) -> None:
    store = ews_server.store
    inbox = store.by_name("inbox")
    below = store.add_folder("Angebote", parent=inbox)
    now = datetime.now(UTC)
    for number in range(12):
        store.add(inbox, mail(number), received_at=now - timedelta(hours=number))
    store.add(below, mail_with_attachment())
    store.add(inbox, mail(90), item_class="IPM.Schedule.Meeting.Request")
    store.add(inbox, mail(91), item_class="REPORT.IPM.Note.NDR")
    account = connect(monkeypatch, ews_server)
    server = account.servers.get()
    assert (server.protocol, server.host, server.port, server.security) == ("ews", "127.0.0.1", ews_server.port, "none")
    assert account.can_send and account.can_receive
    assert server.capabilities["names"] == ["Exchange 15.2.1544.11"]
    figures = command("sync_account", ANNA)
    assert (figures["stored"], figures["filtered"], figures["pending"], figures["unaccounted"]) == (13, 2, 0, 0)
    reasons = set(Copy.objects.filter(state=CopyState.FILTERED).values_list("reason", flat=True))
    assert reasons == {"not a mail"}
    roles = dict(Folder.objects.exclude(role="").values_list("role", "path"))
    assert roles["inbox"] == ["Posteingang"] and roles["sent"] == ["Gesendete Elemente"]
    assert Folder.objects.get(remote_id=below.id).path == ["Posteingang", "Angebote"]
    assert not Folder.objects.filter(path=["Kalender"]).exists()
    again = command("sync_account", ANNA)
    assert (again["stored"], again["unaccounted"]) == (13, 0)
    assert command("mailbox_status", ANNA)["stored"] == 13


def test_an_attachment_is_brought_on_demand(monkeypatch: Any, ews_server: EwsServer, settings: Any) -> None:
    settings.MAIL_WHOLE_BELOW = 100_000
    ews_server.store.add(ews_server.store.by_name("inbox"), mail_with_attachment())
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    part = Part.objects.get(file_name="plan.pdf")
    assert part.section == "a1" and part.content_type == "application/pdf"
    with parts.open_part(part) as content:
        assert content.read() == ATTACHMENT


def test_changes_go_both_ways(monkeypatch: Any, ews_server: EwsServer) -> None:
    store = ews_server.store
    inbox, archive = store.by_name("inbox"), store.add_folder("Ablage")
    items = [store.add(inbox, mail(number)) for number in range(3)]
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    rows = {one.subject: one for one in Message.objects.all()}
    set_read([rows["Number 0"].pk], is_read=True)
    set_flagged([rows["Number 1"].pk], is_flagged=True)
    move([rows["Number 2"].pk], target=Folder.objects.get(remote_id=archive.id))
    pipeline.run_once(account.pk)
    assert items[0].is_read and items[1].values[0x1090] == "2"
    assert len(archive.items) == 1 and len(inbox.items) == 2
    items[0].is_read = False
    store.touch(items[0], only_read=True)
    elsewhere = store.move(items[1].id, archive)
    pipeline.run_once(account.pk)
    assert Message.objects.count() == 3
    assert not Message.objects.get(pk=rows["Number 0"].pk).is_read
    copy = Copy.objects.get(message=rows["Number 1"], missing_since__isnull=True)
    assert copy.remote_key == elsewhere.id and folder_for(account.pk, FolderRole.TRASH.value) is not None


def write(account: EmailAccount, *to: str, bcc: str = "") -> OutgoingMessage:
    """A letter in the outbox, due now."""
    draft = services.start_draft(user=account.owner, email_account=account)
    fields = DraftFields(
        to=tuple(("", one) for one in to), bcc=(("", bcc),) if bcc else (), subject="Lanterns", html="<p>Hi</p>"
    )
    draft = services.save_draft(user=account.owner, draft=draft, version=1, fields=fields)
    row = services.queue(user=account.owner, draft=draft, confirmed=True)
    past = timezone.now() - timedelta(seconds=1)
    OutgoingMessage.objects.filter(pk=row.pk).update(due_at=past, send_at=past)
    return row


def advanced(row: OutgoingMessage) -> OutgoingMessage:
    delivery.advance(row.pk)
    row.refresh_from_db()
    return row


def test_a_mail_is_sent_once_and_the_servers_own_copy_is_taken_in(monkeypatch: Any, ews_server: EwsServer) -> None:
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    row = advanced(write(account, "ben@example.org", bcc="cleo@example.org"))
    assert row.state == SendState.FILED
    ((recipients, raw),) = ews_server.outgoing
    assert set(recipients) == {"ben@example.org", "cleo@example.org"}
    assert b"cleo@" not in raw
    (sent,) = ews_server.store.by_name("sentitems").items.values()
    assert ews_server.store.by_name("drafts").items == {}
    pipeline.run_once(account.pk)
    copy = Copy.objects.get()
    assert copy.remote_key == sent.id and copy.message is not None and copy.message.is_outgoing


@pytest.mark.parametrize("trouble", [Trouble("SendItem", drops="after"), Trouble("SendItem", garbage=b"<html>oops")])
def test_a_lost_answer_is_looked_up_and_never_repeated(
    monkeypatch: Any, ews_server: EwsServer, trouble: Trouble
) -> None:
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    row = write(account, "ben@example.org")
    ews_server.troubles.append(trouble)
    advanced(row)
    advanced(row)
    assert ews_server.calls.count("SendItem") == 1 and len(ews_server.outgoing) == 1
    assert row.state == SendState.FILED
    assert len(ews_server.store.by_name("sentitems").items) == 1


def test_a_send_that_was_never_done_stays_uncertain(monkeypatch: Any, ews_server: EwsServer) -> None:
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    row = write(account, "ben@example.org")
    ews_server.troubles.append(Trouble("SendItem", drops="before"))
    advanced(row)
    advanced(row)
    assert ews_server.outgoing == [] and ews_server.calls.count("SendItem") == 1
    assert row.state == SendState.UNCERTAIN


def test_a_refused_recipient_fails_and_leaves_no_draft(monkeypatch: Any, ews_server: EwsServer) -> None:
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    ews_server.bad_recipients.add("nobody@example.org")
    row = advanced(write(account, "nobody@example.org"))
    assert row.state == SendState.FAILED
    assert ews_server.outgoing == [] and ews_server.store.by_name("drafts").items == {}


def of_imap(server: PoorServer) -> tuple[str, ...]:
    """The words of `add_email_account` for the scripted IMAP server."""
    place = server.address()
    return ("--imap", f"{place.host}:{place.port}:{place.security.value}", "--username", server.login().user_name)


def without_text() -> list[bytes]:
    """A mail of nothing but a file, and one of nothing at all."""
    head = (
        b"From: Ines <ines@azulejos.example>\r\nTo: anna@example.com\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        b"MIME-Version: 1.0\r\n"
    )
    file = (
        b'Message-ID: <scan@azulejos.example>\r\nSubject: Scan\r\nContent-Type: application/pdf; name="scan.pdf"\r\n'
        b'Content-Disposition: attachment; filename="scan.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n'
    )
    nothing = b"Message-ID: <empty@azulejos.example>\r\nSubject: (forgot the text)\r\nContent-Type: text/plain\r\n\r\n"
    return [head + file, head + nothing]


@pytest.mark.parametrize("regenerates", [False, True])
@pytest.mark.parametrize("ends_on", ["imap", "ews"])
def test_a_mailbox_keeps_its_history_when_it_changes_its_protocol(
    monkeypatch: Any, ews_server: EwsServer, poor_server: PoorServer, ends_on: str, regenerates: bool
) -> None:
    ews_server.regenerates = regenerates
    mails = [mail(number, f"text of {number}") for number in range(8)] + [mail_with_attachment(), *without_text()]
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    for number, raw in enumerate(mails):
        at = moment + timedelta(minutes=number)
        ews_server.store.add(ews_server.store.by_name("inbox"), raw, received_at=at)
        poor_server.add_message("INBOX", raw, received_at=at)
    who = ("--user", "anna", "--create-user", "--address", ANNA, "--password-stdin", "--period", "everything")
    ways = {"ews": ("secret", ("--ews", ews_server.url)), "imap": (poor_server.login().secret, of_imap(poor_server))}
    for protocol in ("ews", "imap") if ends_on == "imap" else ("imap", "ews"):
        password, words = ways[protocol]
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        command("add_email_account", *who, *words)
        account = EmailAccount.objects.get(address_key=ANNA)
        for _run in range(2):
            pipeline.run_once(account.pk)
        if protocol != ends_on:
            before = dict(Message.objects.values_list("message_id", "pk"))
            remove_email_account(account, erase=False)
    assert dict(Message.objects.values_list("message_id", "pk")) == before and Message.objects.count() == len(mails)
    assert not Message.objects.exclude(gone_at=None, trashed_at=None).exists()
    figures = command("mailbox_status", ANNA)
    assert (figures["stored"], figures["pending"], figures["unaccounted"]) == (len(mails), 0, 0)


def test_a_shared_mailbox_is_read_and_answered_by_a_delegate(monkeypatch: Any, ews_server: EwsServer) -> None:
    shared = ews_server.add_mailbox("sales@example.com")
    ews_server.delegates[ANNA] = {"sales@example.com"}
    shared.add(shared.by_name("inbox"), mail(5))
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    words = ("--user", "anna", "--create-user", "--address", "sales@example.com", "--username", ANNA)
    command("add_email_account", *words, "--ews", ews_server.url, "--password-stdin", "--period", "everything")
    account = EmailAccount.objects.get()
    pipeline.run_once(account.pk)
    assert Message.objects.get().subject == "Number 5"
    assert advanced(write(account, "ben@example.org")).state == SendState.FILED
    assert len(shared.by_name("sentitems").items) == 1 and not ews_server.store.by_name("sentitems").items


def test_a_service_account_opens_the_mailbox_of_another(monkeypatch: Any, ews_server: EwsServer) -> None:
    ews_server.users["HAFEN\\robot"], ews_server.mailbox_of["HAFEN\\robot"] = "r0bot", "robot@example.com"
    ews_server.impersonators.add("robot@example.com")
    ews_server.store.add(ews_server.store.by_name("inbox"), mail(5))
    monkeypatch.setattr("sys.stdin", io.StringIO("r0bot\n"))
    words = ("--user", "anna", "--create-user", "--address", ANNA, "--username", "HAFEN\\robot", "--impersonate")
    command("add_email_account", *words, "--ews", ews_server.url, "--password-stdin", "--period", "everything")
    account = EmailAccount.objects.get()
    assert account.servers.get().impersonates
    pipeline.run_once(account.pk)
    assert Message.objects.get().subject == "Number 5"
    assert advanced(write(account, "ben@example.org")).state == SendState.FILED


@pytest.mark.parametrize("streams", [True, False])
def test_the_listener_hears_of_new_mail_or_knows_that_it_must_poll(
    monkeypatch: Any, ews_server: EwsServer, streams: bool
) -> None:
    ews_server.streams = streams
    monkeypatch.setattr(listener_keeper, "SCAN_EVERY", 0.3)
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    running = Running()
    try:
        if streams:
            until(lambda: ews_server.streaming and running.rings(account.pk))
            before = running.rings(account.pk)
            ews_server.store.add(ews_server.store.by_name("inbox"), mail(1))
            until(lambda: running.rings(account.pk) > before)
            return
        until(lambda: Listening.objects.filter(email_account=account, polled_until__isnull=False).exists())
    finally:
        running.listener.stop()
        running.thread.join(60)
    assert not running.thread.is_alive()


def until(happened: Callable[[], object]) -> None:
    """Wait for a state, with a long deadline."""
    end = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
