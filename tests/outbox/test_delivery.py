"""From *Send* to a known outcome: what the server does, what we do, and what never happens twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import EmailAccount
from drivers import errors
from mail.models import Change, Copy, Message
from outbox import delivery, outcome, schedule, server_drafts, services
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState, SentCopy
from outbox.policy import Trouble
from tests.outbox.conftest import Desk
from tests.servers.scripted_smtp import DROP, ScriptedSmtp

EHLO = "250-scripted\r\n250-SIZE 1000000\r\n250 AUTH PLAIN LOGIN CRAM-MD5"


def states(row: OutgoingMessage) -> dict[str, str]:
    return dict(row.recipients.values_list("address", "state"))


def test_a_sent_mail_leaves_once_is_filed_once_and_stored_as_any_other(desk: Desk) -> None:
    row = desk.send()
    assert row.state == SendState.FILED
    assert len(desk.smtp.messages) == 1
    sent = desk.in_folder("Sent")
    assert [one["Message-ID"] for one in sent] == [f"<{row.message_id}>"]
    stored = desk.stored()
    assert [(one.subject, one.is_outgoing, one.is_read) for one in stored] == [("Lanterns", True, True)]
    assert row.stored_message == stored[0]
    assert row.raw == ""


def test_the_copy_in_sent_that_sync_sees_later_makes_no_second_message(desk: Desk) -> None:
    desk.send()
    desk.sync()
    desk.sync()
    assert len(desk.stored()) == 1
    assert Copy.objects.filter(folder__role="sent").count() == 1
    assert desk.account.folders.get(role="sent").on_server == 1


def test_sync_that_stored_the_copy_first_is_found_by_the_outbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.sync()
    row = desk.write()
    taken = delivery.mailbox_work.file_copy

    def with_sync_in_between(driver: Any, message: Any, is_mine: Any) -> None:
        driver.append("Sent", delivery.raw_of(message), flags=("\\Seen",))
        desk.sync()
        taken(driver, message, is_mine)

    monkeypatch.setattr(delivery.mailbox_work, "file_copy", with_sync_in_between)
    row = desk.send(row)
    assert row.state == SendState.FILED
    assert len(desk.in_folder("Sent")) == 1
    assert row.stored_message == desk.stored()[0] and len(desk.stored()) == 1


def test_bcc_gets_the_mail_and_stands_in_no_header(desk: Desk) -> None:
    row = desk.write(bcc=(("", "quiet@partner.example"),))
    desk.send(row)
    assert any("quiet@partner.example" in line for line in desk.smtp.lines if line.startswith("RCPT"))
    assert b"quiet@partner" not in desk.smtp.messages[0]
    assert "quiet@partner" not in str(desk.in_folder("Sent")[0])


def test_undo_within_ten_seconds_makes_it_a_draft_and_nothing_leaves(desk: Desk) -> None:
    row = services.queue(user=desk.user, draft=desk.write())
    assert timedelta(seconds=8) < row.due_at - timezone.now() <= timedelta(seconds=10)
    delivery.advance(row.pk)
    assert desk.smtp.messages == []
    row = services.undo_send(user=desk.user, message=row)
    row = desk.due(row)
    assert row.state == SendState.DRAFT and desk.smtp.messages == []


def test_undo_after_it_was_sent_is_refused(desk: Desk) -> None:
    row = desk.send()
    with pytest.raises(services.sending.WrongState):
        services.undo_send(user=desk.user, message=row)


def test_send_later_waits_for_its_time(desk: Desk) -> None:
    at = timezone.now() + timedelta(hours=3)
    row = services.send_later(user=desk.user, draft=desk.write(), at=at)
    assert row.is_scheduled and row.send_at == at
    delivery.advance(row.pk)
    assert desk.smtp.messages == []
    services.send_now(user=desk.user, message=row)
    delivery.advance(row.pk)
    assert len(desk.smtp.messages) == 1


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_a_refusal_for_now_at_any_step_is_tried_again_with_the_time_shown(
    make_desk: Callable[..., Desk], step: str
) -> None:
    desk = make_desk(smtp=ScriptedSmtp({step: ["451 4.7.1 greylisted, come back", "250 2.0.0 ok"], "EHLO": EHLO}))
    if step in ("greeting", "EHLO", "DATA"):
        good = {"greeting": "220 hello", "EHLO": EHLO, "DATA": "354 go ahead"}[step]
        desk.smtp.replies[step] = ["451 4.7.1 come back", good]
    row = desk.send()
    assert row.state == SendState.QUEUED and row.next_try_at > timezone.now()
    assert desk.smtp.messages == [] or step == "END"
    row = desk.due(row)
    assert row.state == SendState.FILED
    assert states(row) == {"ida@customer.example": "accepted"}


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "552 5.3.4 too large", "554 5.7.1 no"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_refusal_for_good_fails_loudly_with_what_the_server_said(
    make_desk: Callable[..., Desk], step: str, reply: str
) -> None:
    desk = make_desk(smtp=ScriptedSmtp({step: reply}))
    row = desk.send()
    assert row.state == SendState.FAILED and row.due_at is None
    recipient = row.recipients.get()
    assert recipient.state == "refused" and recipient.code == int(reply[:3])
    assert reply[4:12] in recipient.said or reply[4:12] in row.last_error_said
    assert desk.in_folder("Sent") == []
    desk.smtp.replies.clear()
    row = desk.due(services.retry(user=desk.user, message=row))
    assert row.state == SendState.FILED and states(row) == {"ida@customer.example": "accepted"}


def test_a_partial_refusal_names_who_was_refused_and_tries_only_those_who_wait(make_desk: Callable[..., Desk]) -> None:
    replies = {"RCPT": ["250 ok", "550 5.1.1 unknown", "451 4.2.0 later", "250 ok"]}
    desk = make_desk(smtp=ScriptedSmtp(replies))
    row = desk.send(desk.write("a@x.example", "b@x.example", "c@x.example"))
    assert states(row) == {"a@x.example": "accepted", "b@x.example": "refused", "c@x.example": "deferred"}
    assert row.state == SendState.QUEUED and row.next_try_at is not None
    assert row.sent_copy == SentCopy.FILED and len(desk.in_folder("Sent")) == 1
    row = desk.due(row)
    assert states(row) == {"a@x.example": "accepted", "b@x.example": "refused", "c@x.example": "accepted"}
    assert row.state == SendState.FILED
    rcpt = [line for line in desk.smtp.lines if line.startswith("RCPT")]
    assert [line.split("<")[1][0] for line in rcpt] == ["a", "b", "c", "c"]
    assert len(desk.in_folder("Sent")) == 1
    assert desk.smtp.messages[0] == desk.smtp.messages[1]


@pytest.mark.parametrize("step", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
def test_a_line_cut_before_the_end_is_tried_again(make_desk: Callable[..., Desk], step: str) -> None:
    good = {"greeting": "220 hello", "EHLO": EHLO, "AUTH": "235 ok", "DATA": "354 go"}.get(step, "250 ok")
    desk = make_desk(smtp=ScriptedSmtp({"EHLO": EHLO, step: [DROP, good]}))
    row = desk.send()
    assert row.state == SendState.QUEUED and row.last_error_kind == Trouble.UNREACHABLE
    assert desk.due(row).state == SendState.FILED
    assert len(desk.smtp.messages) == 1


def test_a_line_cut_in_the_middle_of_the_message_is_tried_again(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp(drop_after_bytes=200))
    row = desk.send(desk.write(html="<p>word</p>" * 20_000))
    assert row.state in (SendState.QUEUED, SendState.UNCERTAIN)
    assert desk.smtp.messages == []


def test_no_answer_after_the_end_is_uncertain_and_never_repeated_by_the_machine(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": DROP}))
    row = desk.send()
    assert row.state == SendState.UNCERTAIN and row.last_error_kind == Trouble.UNCERTAIN
    for _ in range(5):
        row = desk.due(row)
        schedule.ring_due(delivery.advance)
    assert row.state == SendState.UNCERTAIN and row.due_at is None
    assert len(desk.smtp.messages) == 1


def test_an_uncertain_mail_found_in_sent_is_sent(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": DROP}))
    row = desk.write()
    desk.mail.folders["Sent"].add(f"Message-ID: <{row.message_id}>\r\nFrom: anna@example.com\r\n\r\nhi\r\n".encode())
    row = desk.send(row)
    assert row.state == SendState.FILED and states(row) == {"ida@customer.example": "accepted"}
    assert len(desk.in_folder("Sent")) == 1 and len(desk.smtp.messages) == 1


@pytest.mark.parametrize("outcome_, messages", [("sent", 1), ("again", 2)])
def test_a_person_resolves_what_is_uncertain(make_desk: Callable[..., Desk], outcome_: Any, messages: int) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": [DROP, "250 ok"]}))
    row = desk.send()
    row = desk.due(services.resolve_uncertain(user=desk.user, message=row, outcome=outcome_))
    assert row.state == SendState.FILED
    assert len(desk.smtp.messages) == messages and len(desk.in_folder("Sent")) == 1


def claimed(desk: Desk, *, has_left: bool) -> OutgoingMessage:
    row = services.queue(user=desk.user, draft=desk.write())
    past = timezone.now() - timedelta(minutes=1)
    OutgoingMessage.objects.filter(pk=row.pk).update(
        state=SendState.SENDING, holder="gone:1:aa", held_until=past, due_at=past, send_at=past,
        left_at=past if has_left else None, attempts=1,
    )  # fmt: skip
    return row


def test_a_worker_that_died_before_anything_left_costs_a_second_try(desk: Desk) -> None:
    row = claimed(desk, has_left=False)
    schedule.ring_due(delivery.advance)
    row.refresh_from_db()
    assert row.state == SendState.FILED and len(desk.smtp.messages) == 1


def test_a_worker_that_died_when_it_may_have_left_leaves_a_question(desk: Desk) -> None:
    row = claimed(desk, has_left=True)
    for _ in range(4):
        schedule.ring_due(delivery.advance)
        row.refresh_from_db()
        row = desk.due(row)
    assert row.state == SendState.UNCERTAIN and row.last_error_kind == Trouble.INTERRUPTED
    assert desk.smtp.messages == []


def test_a_slow_worker_whose_claim_ran_out_does_not_send(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    row = services.queue(user=desk.user, draft=desk.write())
    real = delivery.raw_of

    def slow(message: OutgoingMessage) -> bytes:
        OutgoingMessage.objects.filter(pk=message.pk).update(held_until=timezone.now() - timedelta(seconds=1))
        schedule.recover_dead()
        return real(message)

    monkeypatch.setattr(delivery, "raw_of", slow)
    past = timezone.now() - timedelta(seconds=1)
    OutgoingMessage.objects.filter(pk=row.pk).update(due_at=past, send_at=past)
    delivery.deliver(row.pk)
    row.refresh_from_db()
    assert row.state == SendState.QUEUED and desk.smtp.messages == []


def test_a_worker_called_dead_that_was_only_slow_still_tells_the_outcome(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outcome.after_receipt

    def late(row: OutgoingMessage, *rest: Any) -> None:
        OutgoingMessage.objects.filter(pk=row.pk).update(held_until=timezone.now() - timedelta(seconds=1))
        schedule.recover_dead()
        assert OutgoingMessage.objects.get(pk=row.pk).state == SendState.UNCERTAIN
        real(row, *rest)

    monkeypatch.setattr(delivery.outcome, "after_receipt", late)
    assert desk.send().state == SendState.FILED


def test_two_workers_at_once_send_one_mail(desk: Desk) -> None:
    row = services.queue(user=desk.user, draft=desk.write())
    past = timezone.now() - timedelta(seconds=1)
    OutgoingMessage.objects.filter(pk=row.pk).update(due_at=past, send_at=past)
    first = delivery._claim(row.pk, "one:1:x")
    assert first is not None and delivery._claim(row.pk, "two:1:x") is None


def test_filing_that_broke_after_the_append_files_no_second_copy(desk: Desk) -> None:
    row = services.queue(user=desk.user, draft=desk.write())
    desk.mail.folders["Sent"].add(f"Message-ID: <{row.message_id}>\r\nFrom: anna@example.com\r\n\r\nhi\r\n".encode())
    row = desk.due(row)
    assert row.state == SendState.FILED and len(desk.in_folder("Sent")) == 1


def test_a_mailbox_that_is_away_delays_filing_and_loses_nothing(desk: Desk) -> None:
    desk.mail.fail_next = [errors.ServerUnreachable("away", kind="timeout")]
    row = desk.send()
    assert row.state == SendState.SENT and row.sent_copy == SentCopy.WAITING and row.server_due_at > timezone.now()
    row = desk.due(row)
    assert row.state == SendState.FILED and len(desk.in_folder("Sent")) == 1 and len(desk.smtp.messages) == 1


def test_a_server_that_files_by_itself_gets_no_copy_from_us(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outbox.sent_copies.files_by_itself", lambda driver, row: True)
    row = desk.send()
    assert row.state == SendState.SENT and desk.in_folder("Sent") == []
    desk.mail.folders["Sent"].add(desk.smtp.messages[0])
    row = desk.due(row)
    assert row.state == SendState.FILED and len(desk.in_folder("Sent")) == 1 and len(desk.stored()) == 1


def test_a_mailbox_that_only_sends_is_done_when_sent(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(can_receive=False)
    row = desk.send()
    assert row.state == SendState.SENT and row.sent_copy == SentCopy.UNAVAILABLE and row.server_due_at is None


def test_a_wrong_password_is_tried_three_times_and_then_fails(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"AUTH": "535 5.7.8 no"}))
    row = desk.send()
    assert row.state == SendState.QUEUED and row.last_error_kind == Trouble.SIGN_IN
    row = desk.due(desk.due(row))
    assert row.state == SendState.FAILED and row.last_error_kind == Trouble.SIGN_IN


def test_after_two_days_of_refusals_it_fails(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"RCPT": "451 4.7.1 later"}))
    row = desk.send()
    OutgoingMessage.objects.filter(pk=row.pk).update(queued_at=timezone.now() - timedelta(hours=49))
    row = desk.due(row)
    assert row.state == SendState.FAILED and row.last_error_kind == Trouble.EXPIRED
    assert row.recipients.get().state == OutgoingRecipient.State.REFUSED


def test_while_sending_is_stopped_nothing_leaves_and_after_it_does(desk: Desk) -> None:
    row = services.queue(user=desk.user, draft=desk.write())
    services.stop_sending(reason="maintenance")
    row = desk.due(row)
    assert row.state == SendState.QUEUED and desk.smtp.lines == []
    draft = desk.write()
    with pytest.raises(services.sending.SendingIsStopped):
        services.queue(user=desk.user, draft=draft)
    services.start_sending()
    assert desk.due(row).state == SendState.FILED


def test_an_answer_marks_the_original_answered_and_threads_with_it(desk: Desk) -> None:
    desk.mail.folders["INBOX"].add(
        b"From: Ida Lindqvist <ida@customer.example>\r\nTo: anna@example.com\r\nSubject: Lanterns\r\n"
        b"Message-ID: <one@customer.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHow many?\r\n"
    )
    desk.sync()
    original = Message.objects.get()
    draft = services.start_draft(user=desk.user, original=original, kind="reply")
    row = desk.send(draft)
    assert row.state == SendState.FILED
    assert row.stored_message.thread_id == original.thread_id
    original.refresh_from_db()
    assert original.is_answered
    assert Change.objects.get().add == ["\\Answered"]
    desk.sync()
    assert "\\answered" in next(iter(desk.mail.folders["INBOX"].copies.values())).flags


def test_an_uncertain_mail_that_sync_finds_later_is_sent(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(smtp=ScriptedSmtp({"END": DROP}))
    row = desk.send()
    assert row.state == SendState.UNCERTAIN
    desk.mail.folders["Sent"].add(desk.smtp.messages[0], flags=("\\Seen",))
    desk.sync()
    schedule.ring_due(delivery.advance)
    row.refresh_from_db()
    assert row.state == SendState.FILED and row.stored_message is not None
    assert len(desk.smtp.messages) == 1 and len(desk.in_folder("Sent")) == 1


def test_a_worker_killed_just_before_the_end_leaves_the_work_due(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(row: OutgoingMessage) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("outbox.mailbox_work._forget_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        desk.send()
    row = OutgoingMessage.objects.get()
    assert row.server_due_at is not None and row.raw


def test_a_mailbox_that_is_never_to_be_changed_gets_no_copy_and_no_draft(desk: Desk) -> None:
    EmailAccount.objects.update(is_read_only=True)
    draft = desk.write()
    draft = OutgoingMessage.objects.get(pk=draft.pk)
    with desk.mail.driver() as driver:
        server_drafts.keep(driver, draft)
    row = desk.send(draft)
    assert len(desk.smtp.messages) == 1, "it is sent all the same"
    assert row.sent_copy == SentCopy.UNAVAILABLE and "never to be changed" in row.copy_error
    assert desk.in_folder("Sent") == [] and desk.in_folder("Drafts") == []
    assert not [call for call in desk.mail.calls if call.startswith(("append", "replace_draft", "delete", "set_flags"))]
