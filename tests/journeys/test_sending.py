"""Mail written here, sent by a real Postfix, filed and read back through a real Dovecot."""

from __future__ import annotations

import email
import imaplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import policy
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import EmailAccount
from accounts.vault import store_secret
from contacts.models import ContactAddress
from drivers.types import Security
from mail.models import Copy, Message
from outbox import bounces, delivery, services
from outbox.models import OutgoingMessage, SendState
from outbox.policy import Trouble
from outbox.types import DraftFields, NewFile
from sync import pipeline, status
from tests.factories import ContactFactory, EmailAccountFactory, EmailAccountServerFactory
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers import postfix as servers
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.postfix import DOMAIN, RETURNS, USERS, Postfix

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
MAREN = f"maren@{DOMAIN}"


@dataclass
class World:
    """Both servers and Maren's email account."""

    postfix: Postfix
    dovecot: Dovecot
    account: EmailAccount

    def write(self, *to: str, **fields: Any) -> OutgoingMessage:
        draft = services.start_draft(user=self.account.owner, email_account=self.account)
        values: dict[str, Any] = {"subject": "Lanterns", "html": "<p>Good morning</p>", **fields}
        pairs = tuple(("", address) for address in to)
        return services.save_draft(
            user=self.account.owner, draft=draft, version=1, fields=DraftFields(to=pairs, **values)
        )

    def send(self, draft: OutgoingMessage) -> OutgoingMessage:
        row = services.queue(user=self.account.owner, draft=draft, confirmed=True)
        past = timezone.now() - timedelta(seconds=1)
        OutgoingMessage.objects.filter(pk=row.pk).update(due_at=past, send_at=past)
        delivery.advance(row.pk)
        row.refresh_from_db()
        return row

    def in_sent(self) -> list[tuple[bytes, bytes]]:
        """(flags, raw) of each mail in Sent, as Python's imaplib sees them."""
        client = imaplib.IMAP4("127.0.0.1", self.dovecot.port, timeout=10)
        login = self.dovecot.login(MAREN)
        client.login(login.user_name, login.secret)
        client.select("Sent", readonly=True)
        _kind, found = client.uid("SEARCH", "ALL")
        mails = []
        for uid in found[0].split():
            _kind, answer = client.uid("FETCH", uid.decode(), "(FLAGS BODY.PEEK[])")
            mails.append((answer[0][0] + answer[1] if isinstance(answer[1], bytes) else answer[0][0], answer[0][1]))
        client.logout()
        return mails


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Postfix, Dovecot]]:
    if why := servers.why_not():
        pytest.skip(why)
    with Postfix() as postfix, Dovecot(DovecotOptions(users=(MAREN,), passwords={MAREN: USERS["maren"]})) as dovecot:
        yield postfix, dovecot


@pytest.fixture(params=[Security.STARTTLS, Security.SSL], ids=["starttls", "ssl"])
def world(machines: tuple[Postfix, Dovecot], request: pytest.FixtureRequest) -> World:
    postfix, dovecot = machines
    account = EmailAccountFactory(address=MAREN, display_name="Maren Ødegård")
    imap, smtp = dovecot.address(), postfix.address(request.param)
    for protocol, place in (("imap", imap), ("smtp", smtp)):
        EmailAccountServerFactory(
            email_account=account, protocol=protocol, host=place.host, port=place.port, security=place.security.value,
            ca_bundle=place.ca_bundle, user_name=MAREN,
        )  # fmt: skip
    store_secret(USERS["maren"], email_account=account)
    pipeline.run_once(account.pk)
    return World(postfix, dovecot, account)


def test_a_mail_arrives_whole_is_filed_once_and_the_ledger_adds_up(world: World) -> None:
    before, there = len(world.in_sent()), len(world.postfix.mails("sales", count=0))
    draft = world.write(f"sales@{DOMAIN}", subject="Grüße aus Tromsø – Лампа", html="<p>Hei <b>Søren</b> 見積</p>")
    services.attach(
        user=world.account.owner, draft=draft, file=NewFile("Tilbud – ø.pdf", "application/pdf", BytesIO(b"%PDF-1.4"))
    )
    row = world.send(draft)
    assert row.state == SendState.FILED and row.server_said.startswith("250")
    mails = world.postfix.mails("sales", count=there + 1)
    raw = next(one for one in mails if row.message_id.encode() in one)  # names of a maildir do not sort by time
    mail: Any = email.message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == "Grüße aus Tromsø – Лампа" and mail["Message-ID"] == f"<{row.message_id}>"
    assert mail["From"].addresses[0].display_name == "Maren Ødegård"
    assert (
        "Søren 見積" in mail.get_body(("plain",)).get_content()
        and "<b>Søren</b>" in mail.get_body(("html",)).get_content()
    )
    assert [(one.get_filename(), one.get_content()) for one in mail.iter_attachments()] == [
        ("Tilbud – ø.pdf", b"%PDF-1.4")
    ]
    sent = world.in_sent()
    assert len(sent) == before + 1 and row.message_id.encode() in sent[-1][1] and b"\\Seen" in sent[-1][0]
    pipeline.run_once(world.account.pk)
    assert Message.objects.filter(message_id=row.message_id).count() == 1
    assert Copy.objects.filter(message=row.stored_message).count() == 1
    assert status.ledger(world.account).adds_up


def test_a_refused_recipient_is_named_and_the_others_get_the_mail(world: World) -> None:
    row = world.send(world.write(f"sales@{DOMAIN}", f"nobody@{DOMAIN}"))
    assert row.state == SendState.FILED
    found = {one.address.split("@")[0]: (one.state, one.code) for one in row.recipients.all()}
    assert found == {"sales": ("accepted", 250), "nobody": ("refused", 550)}


def again(world: World, row: OutgoingMessage) -> OutgoingMessage:
    """The time of its next try has come."""
    OutgoingMessage.objects.filter(pk=row.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    delivery.advance(row.pk)
    row.refresh_from_db()
    return row


def test_a_greylisted_recipient_gets_the_mail_at_the_next_try_and_the_others_get_it_once(world: World) -> None:
    world.postfix.policy.answers[f"sales@{DOMAIN}"] = ["450 4.7.1 Greylisted, come back"]
    row = world.send(world.write(f"sales@{DOMAIN}", f"олена@{DOMAIN}"))
    found = {one.address.split("@")[0]: (one.state, one.code) for one in row.recipients.all()}
    assert found == {"sales": ("deferred", 450), "олена": ("accepted", 250)}
    assert row.state == SendState.QUEUED and row.next_try_at is not None and row.next_try_at > timezone.now()
    row = again(world, row)
    assert row.state == SendState.FILED and set(row.recipients.values_list("state", flat=True)) == {"accepted"}
    for user in ("sales", "олена"):
        held = [raw for raw in world.postfix.mails(user, count=1) if row.message_id.encode() in raw]
        deadline = time.monotonic() + 60
        while not held and time.monotonic() < deadline:
            held = [raw for raw in world.postfix.mails(user, count=0) if row.message_id.encode() in raw]
        assert len(held) == 1, user


@pytest.mark.parametrize(
    ("answer", "state", "trouble"),
    [
        ("451 4.3.0 Try later", SendState.QUEUED, Trouble.DEFERRED),
        ("550 5.1.1 No such person", SendState.FAILED, Trouble.REFUSED),
        ("552 5.2.2 Mailbox full", SendState.FAILED, Trouble.REFUSED),
        ("552 5.3.4 Message too large for this person", SendState.FAILED, Trouble.TOO_LARGE),
    ],
)
def test_what_the_server_says_about_the_only_recipient_decides(
    world: World, answer: str, state: str, trouble: Trouble
) -> None:
    world.postfix.policy.answers[f"sales@{DOMAIN}"] = [answer]
    row = world.send(world.write(f"sales@{DOMAIN}"))
    assert (row.state, row.last_error_kind) == (state, trouble)
    recipient = row.recipients.get()
    assert (
        recipient.code == int(answer[:3]) and recipient.said.startswith(answer[4:9]) and answer[10:] in recipient.said
    )
    assert not [raw for raw in world.postfix.mails("sales", count=0) if row.message_id.encode() in raw]


def test_an_answer_is_read_by_an_independent_client_as_it_was_written(world: World) -> None:
    """Python's own email package under its strict policy: threads, both bodies, the quote, flowed text."""
    question = (
        f"From: Søren <sales@{DOMAIN}>\r\nTo: {MAREN}\r\nSubject: Lot 2\r\nMessage-ID: <q{world.account.pk}@{DOMAIN}>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nHow many lanterns på kaien?\r\n"
    ).encode()
    world.dovecot.add_messages(MAREN, "INBOX", [question])
    pipeline.run_once(world.account.pk)
    original = Message.objects.get(message_id=f"q{world.account.pk}@{DOMAIN}")
    draft = services.start_draft(user=world.account.owner, original=original, kind="reply")
    long = "A line that is much longer than what a mail program shows in one row of text, so that it has to flow. " * 2
    fields = DraftFields(
        to=tuple((name, address) for name, address in draft.to),
        subject=draft.subject,
        html=f"<p>Førti.</p><p>{long}</p>",
    )
    row = world.send(services.save_draft(user=world.account.owner, draft=draft, version=1, fields=fields))
    assert row.state == SendState.FILED
    mail: Any = email.message_from_bytes(next_mail(world.postfix, "sales", row.message_id), policy=policy.strict)
    assert mail["In-Reply-To"] == f"<q{world.account.pk}@{DOMAIN}>" == mail["References"]
    assert mail["Subject"] == "Re: Lot 2" and not mail.defects and [not part.defects for part in mail.walk()]
    plain = mail.get_body(("plain",))
    assert plain.get_param("format") == "flowed"
    shown = plain.get_content().replace(" \n", " ")
    assert "Førti." in shown and long.strip() in shown and "> How many lanterns på kaien?" in shown
    assert "<blockquote" in mail.get_body(("html",)).get_content()
    original.refresh_from_db()
    pipeline.run_once(world.account.pk)
    assert original.is_answered and Message.objects.get(message_id=row.message_id).thread_id == original.thread_id


def test_an_address_in_another_alphabet_is_reached(world: World) -> None:
    row = world.send(world.write(f"олена@{DOMAIN}"))
    assert row.state == SendState.FILED
    assert any(row.message_id.encode() in raw for raw in world.postfix.mails("олена", count=1))


def test_a_mail_above_the_servers_size_is_refused_before_it_is_poured_in(world: World) -> None:
    draft = world.write(f"sales@{DOMAIN}")
    services.attach(user=world.account.owner, draft=draft, file=NewFile("big.bin", "x/y", BytesIO(b"\0" * 1_900_000)))
    row = world.send(draft)
    assert row.state == SendState.FAILED and row.last_error_kind == Trouble.TOO_LARGE


def test_a_report_that_comes_back_is_shown_at_the_mail_and_at_the_contact(world: World) -> None:
    address = f"ida{world.account.pk}@{RETURNS}"
    ContactFactory(address=address)
    row = world.send(world.write(address))
    assert row.state == SendState.FILED
    report = next_mail(world.postfix, "maren", row.message_id)
    world.dovecot.add_messages(MAREN, "INBOX", [report])
    pipeline.run_once(world.account.pk)
    assert bounces.note_bounces(bounces.waiting()) >= 1  # reports of other tests lie there, too
    recipient = row.recipients.get()
    assert recipient.state == "bounced" and recipient.said.startswith("5.1.1")
    assert ContactAddress.objects.get(address=address).invalid_since is not None


def next_mail(postfix: Postfix, user: str, holding: str) -> bytes:
    """The mail for `user` that holds this text; waits for it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for raw in postfix.mails(user, count=0):
            if holding.encode() in raw:
                return raw
        time.sleep(0.2)
    raise AssertionError(f"no report came:\n{postfix.log()[-2000:]}")
