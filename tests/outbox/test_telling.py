"""A mail that was not sent, perhaps sent or came back is told about, leads to the mail, and the question closes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from notifications.models import Kind, Notification
from outbox import delivery, services
from outbox.bounces import note_bounces, waiting
from outbox.models import OutgoingMessage, SendState
from tests.factories import ContactFactory
from tests.outbox.conftest import Desk
from tests.servers.scripted_smtp import DROP, ScriptedSmtp


def open_notices(desk: Desk) -> list[str]:
    return list(Notification.objects.filter(user=desk.user, closed_at=None).values_list("kind", flat=True))


def page(client: Client, desk: Desk, name: str, *args: Any) -> str:
    client.force_login(desk.user)
    return client.get(reverse(f"panel:{name}", args=args)).content.decode()


def test_a_refused_mail_is_a_question_that_leads_to_it_and_closes_when_it_is_edited(
    make_desk: Callable[..., Desk], client: Client
) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"RCPT": "550 5.1.1 <b>nobody</b>"}))
    row = desk.send()
    assert row.state == SendState.FAILED and open_notices(desk) == [Kind.SEND_FAILED]
    shown = page(client, desk, "notifications")
    assert "was not sent." in shown and f"/compose/{row.pk}/" in shown and "Nothing is lost" in shown
    services.edit_again(user=desk.user, message=row)
    assert open_notices(desk) == []


def test_an_uncertain_mail_asks_once_after_sent_was_looked_at_and_closes_with_the_answer(
    make_desk: Callable[..., Desk], client: Client
) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": DROP}))
    row = desk.send()
    assert row.state == SendState.UNCERTAIN and row.lookups == 1
    assert open_notices(desk) == [Kind.SEND_UNCERTAIN]
    assert "was perhaps sent." in page(client, desk, "notifications")
    services.resolve_uncertain(user=desk.user, message=row, outcome="sent")
    assert open_notices(desk) == []


def test_an_uncertain_mail_that_lies_in_sent_asks_nobody(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": DROP}))
    row = services.queue(user=desk.user, draft=desk.write(), confirmed=True)
    desk.mail.folders["Sent"].add(delivery.raw_of(OutgoingMessage.objects.get(pk=row.pk)))
    row = desk.due(row)
    assert row.state in (SendState.SENT, SendState.FILED) and open_notices(desk) == []


def test_a_failed_mail_that_is_tried_again_and_leaves_closes_its_question(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"RCPT": ["550 no", "250 ok"]}))
    row = desk.send()
    assert open_notices(desk) == [Kind.SEND_FAILED]
    row = desk.due(services.retry(user=desk.user, message=row))
    assert row.state == SendState.FILED and open_notices(desk) == []


def test_people_who_were_refused_are_named_in_the_news(make_desk: Callable[..., Desk], client: Client) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"RCPT": ["250 ok", "550 no such person"]}))
    desk.send(desk.write("ida@customer.example", "gone@customer.example"))
    assert open_notices(desk) == [Kind.MAIL_RETURNED]
    shown = page(client, desk, "notifications")
    assert "The server refused gone@customer.example." in shown and "ida@customer.example" not in shown


def report_about(row: OutgoingMessage) -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.example\r\nTo: anna@example.com\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        f"Message-ID: <r{row.pk}@mx.example>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; ida@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        f"Diagnostic-Code: smtp; 550 <script>no</script> such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{row.message_id}>\r\n\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize("place", ["news", "report", "sent mail", "contact", "state"])
def test_a_mail_that_came_back_shows_wherever_one_looks(desk: Desk, client: Client, place: str) -> None:
    contact = ContactFactory(address="ida@customer.example")
    row = desk.send()
    desk.sync()
    desk.mail.folders["INBOX"].add(report_about(row))
    desk.sync()
    assert note_bounces(waiting()) == 1
    row.refresh_from_db()
    report = next(one for one in desk.stored() if not one.is_outgoing)
    assert row.stored_message is not None
    shown = {
        "news": lambda: page(client, desk, "notifications"),
        "report": lambda: page(client, desk, "thread", report.thread_id),
        "sent mail": lambda: page(client, desk, "thread", row.stored_message.thread_id),  # type: ignore[union-attr]
        "contact": lambda: page(client, desk, "contact", contact.pk),
        "state": lambda: page(client, desk, "compose", row.pk),
    }[place]()
    words = {
        "news": "It came back from ida@customer.example.",
        "report": "did not reach",
        "sent mail": "this person did not get the email",
        "contact": "Mail to it came back",
        "state": "Came back",
    }
    assert words[place] in shown, shown[-3000:]
    assert "<script>no" not in shown
