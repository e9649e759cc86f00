"""What comes back: recipients and contacts' addresses are marked only for mail that really left from here."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import ContactAddress
from mail.models import Message
from outbox import bounces, queries
from outbox.models import BounceNote, OutgoingMessage, OutgoingRecipient
from outbox.suggestions import suggest
from tests.factories import CompanyFactory, ContactFactory
from tests.mail.test_bounces import DSN
from tests.outbox.conftest import Desk


def comes_back(desk: Desk, raw: bytes) -> int:
    desk.mail.folders["INBOX"].add(raw)
    desk.sync()
    return bounces.note_bounces(bounces.waiting())


@pytest.fixture
def sent(desk: Desk) -> OutgoingMessage:
    ContactFactory(address="ida@customer.example")
    return desk.send(desk.write("ida@customer.example", "bo@customer.example"))


def test_a_delivery_failure_shows_at_the_mail_and_at_the_contact(desk: Desk, sent: OutgoingMessage) -> None:
    assert comes_back(desk, DSN.replace(b"0f1e@example.com", sent.message_id.encode())) == 1
    assert dict(sent.recipients.values_list("address", "state")) == {
        "ida@customer.example": "bounced",
        "bo@customer.example": "accepted",
    }
    (trouble,) = queries.troubles_of([sent.stored_message_id])[sent.stored_message_id]
    assert trouble.said == "5.1.1 smtp; 550 5.1.1 User unknown"
    address = ContactAddress.objects.get(address="ida@customer.example")
    assert address.invalid_since is not None and "User unknown" in address.invalid_reason
    note = BounceNote.objects.get(outgoing=sent)
    assert queries.bounces_among([note.message_id]) == {note.message_id: note} and note.kind == "failed"
    assert suggest(desk.user, "ida")[0].is_invalid
    assert bounces.clear_invalid("ida@customer.example") == 1


def test_a_forged_report_about_a_mail_that_never_left_changes_nothing(desk: Desk, sent: OutgoingMessage) -> None:
    assert comes_back(desk, DSN) == 1
    assert not OutgoingRecipient.objects.filter(state="bounced").exists()
    assert ContactAddress.objects.get().invalid_since is None


def test_a_report_of_an_address_that_was_not_written_to_changes_nothing(desk: Desk, sent: OutgoingMessage) -> None:
    ContactFactory(address="victim@customer.example")
    raw = DSN.replace(b"0f1e@example.com", sent.message_id.encode()).replace(b"Ida@Customer", b"victim@customer")
    comes_back(desk, raw)
    assert not ContactAddress.objects.filter(invalid_since__isnull=False).exists()


def test_a_full_mailbox_or_a_delay_leaves_the_address_valid(desk: Desk, sent: OutgoingMessage) -> None:
    raw = DSN.replace(b"0f1e@example.com", sent.message_id.encode())
    comes_back(desk, raw.replace(b"Status: 5.1.1", b"Status: 5.2.2").replace(b"550 5.1.1", b"552 5.2.2"))
    assert sent.recipients.get(address_key="ida@customer.example").state == "bounced"
    assert ContactAddress.objects.get(address="ida@customer.example").invalid_since is None


def test_an_automatic_reply_is_noted_looked_at_once_and_not_answered(desk: Desk, sent: OutgoingMessage) -> None:
    raw = (
        f"From: ida@customer.example\r\nTo: anna@example.com\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n"
        f"Message-ID: <away@customer.example>\r\nIn-Reply-To: <{sent.message_id}>\r\n\r\nI am away until Monday.\r\n"
    )
    assert comes_back(desk, raw.encode()) == 1
    assert BounceNote.objects.get().kind == "auto_reply" and BounceNote.objects.get().outgoing == sent
    assert bounces.waiting() == []
    assert len(desk.smtp.messages) == 1


def test_mail_of_people_is_not_looked_at(desk: Desk, sent: OutgoingMessage) -> None:
    desk.mail.folders["INBOX"].add(
        b"From: bo@customer.example\r\nTo: anna@example.com\r\nSubject: Lanterns\r\n\r\nThanks\r\n"
    )
    desk.sync()
    assert bounces.waiting() == []


def test_suggestions_know_contacts_and_those_one_wrote_to_and_show_nobody_elses_mail(desk: Desk) -> None:
    contact = ContactFactory(
        address="ida@customer.example", first_name="Ida", last_name="Lindqvist", company=CompanyFactory()
    )
    desk.send(desk.write("idun@partner.example"))
    for _ in range(2):
        desk.send(desk.write("ida@customer.example"))
    found = suggest(desk.user, "id")
    assert [one.address for one in found] == ["ida@customer.example", "idun@partner.example"]
    assert found[0].contact_id == contact.pk and found[0].name == "Ida Lindqvist" and found[0].uses >= 2
    assert [one.address for one in suggest(desk.user, "ida lind")] == ["ida@customer.example"]
    assert [one.address for one in suggest(desk.user, "partner")] == ["idun@partner.example"]
    stranger = type(desk.user).objects.create(username="stranger")
    assert [one.address for one in suggest(stranger, "id")] == ["ida@customer.example"]


def test_an_invalid_address_that_writes_verifiably_is_valid_again(desk: Desk, sent: OutgoingMessage) -> None:
    comes_back(desk, DSN.replace(b"0f1e@example.com", sent.message_id.encode()))
    ContactAddress.objects.update(invalid_since=timezone.now() - timedelta(hours=1))
    desk.mail.folders["INBOX"].add(
        b"From: ida@customer.example\r\nMessage-ID: <a@x.example>\r\nSubject: Hi\r\n\r\nHello\r\n"
    )
    desk.sync()
    assert bounces.trust_again() == 0
    Message.objects.filter(subject="Hi").update(verdict="verified")
    assert bounces.trust_again() == 1
    assert ContactAddress.objects.get().invalid_since is None


def test_a_report_without_the_returned_header_is_told_by_its_address_and_makes_nothing_invalid(
    desk: Desk, sent: OutgoingMessage
) -> None:
    bare = DSN.replace(b"Message-ID:\r\n <0f1e@example.com>\r\n", b"")
    assert comes_back(desk, bare) == 1
    assert sent.recipients.get(address_key="ida@customer.example").state == "bounced"
    assert ContactAddress.objects.get().invalid_since is None
    desk.send(desk.write("ida@customer.example"))
    desk.send(desk.write("ida@customer.example"))
    assert comes_back(desk, bare.replace(b"Sorry.", b"Sorry again.")) == 1
    assert OutgoingRecipient.objects.filter(state="bounced").count() == 1
