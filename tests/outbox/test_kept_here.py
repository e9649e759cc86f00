"""Sent mail that no server keeps for us is stored, threaded and found like any other, its attachments too."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest

from accounts.models import EmailAccount
from mail.models import Copy, Folder, Message
from outbox import services
from outbox.models import OutgoingMessage, SendState, SentCopy
from outbox.types import NewFile
from sync import pipeline, status
from sync.parts import open_part
from tests.factories import ContactFactory
from tests.outbox.conftest import Desk


def with_file(desk: Desk) -> OutgoingMessage:
    draft = desk.write()
    file = NewFile("offer.pdf", "application/pdf", BytesIO(b"%PDF-1.4"))
    services.attach(user=desk.user, draft=draft, file=file)
    return OutgoingMessage.objects.get(pk=draft.pk)


@pytest.mark.parametrize(
    "fields", [{"can_receive": False}, {"is_read_only": True}], ids=["only sends", "never touched"]
)
def test_it_goes_through_intake_once_with_its_attachment(
    make_desk: Callable[..., Desk], fields: dict[str, bool]
) -> None:
    contact = ContactFactory(address="ida@customer.example")
    desk = make_desk(**fields)
    row = desk.send(with_file(desk))
    assert row.state == SendState.SENT and row.sent_copy == SentCopy.UNAVAILABLE
    (stored,) = desk.stored()
    assert row.stored_message == stored and stored.is_outgoing and stored.is_read and stored.gone_at is None
    assert stored.thread.sent_count == 1 and stored.links.filter(contact=contact).exists()
    with open_part(stored.parts.get()) as content:
        assert content.read() == b"%PDF-1.4"
    assert not Copy.objects.filter(message=stored).exists() and not Folder.objects.filter(
        remote_id__startswith="outbox"
    )
    OutgoingMessage.objects.filter(pk=row.pk).update(server_due_at=row.sent_at)
    desk.due(row)
    assert len(desk.stored()) == 1, "looked at twice, stored once"


def test_an_answer_to_it_joins_its_thread_and_a_follow_up_can_forward_its_file(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(can_receive=False)
    row = desk.send(with_file(desk))
    stored = Message.objects.get()
    again = services.start_draft(user=desk.user, original=stored, kind="forward")
    assert [one.file_name for one in again.attachments.all()] == ["offer.pdf"]
    assert row.message_id in again.references


def test_a_copy_that_the_server_shows_later_is_the_same_mail(desk: Desk) -> None:
    desk.sync()
    EmailAccount.objects.update(is_read_only=True)
    row = desk.send()
    assert len(desk.stored()) == 1
    desk.mail.folders["Sent"].add(desk.smtp.messages[0])
    pipeline.run_once(desk.account.pk)
    assert [one.pk for one in desk.stored()] == [row.stored_message_id]
    assert status.ledger(desk.account).adds_up
