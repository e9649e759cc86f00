"""Drafts: what an answer begins with, saving from two windows, files, the copy on the server, other people's drafts."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.storage import storages
from django.utils import timezone

from drivers.errors import ServerUnreachable
from mail.models import Message
from outbox import queries, server_drafts, services
from outbox.errors import (
    CannotSend,
    DraftConflict,
    FileRefused,
    LimitReached,
    NeedsConfirmation,
    NotAllowed,
    WrongState,
)
from outbox.leftovers import forget_leftovers
from outbox.letter_html import for_editor, from_editor
from outbox.models import OutgoingMessage, SendState
from outbox.types import DraftFields, NewFile
from tests.factories import ShareFactory, UserFactory
from tests.outbox.conftest import Desk

HOSTILE = (
    b"From: Ida Lindqvist <ida@customer.example>\r\nTo: Anna <anna@example.com>, Bo <bo@customer.example>\r\n"
    b"Cc: anna@example.com, Per <per@partner.example>\r\nReply-To: orders@customer.example\r\nSubject: Re: Lanterns\r\n"
    b"Message-ID: <two@customer.example>\r\nIn-Reply-To: <one@customer.example>\r\n"
    b"References: <zero@x.example> <one@customer.example>\r\n"
    b"List-Unsubscribe: <https://customer.example/leave?me>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n--r\r\n'
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p onclick="x()">How <b>many</b>?</p><script>alert(1)</script><img src="cid:logo"><img src="https://track.example/p.gif">\r\n'
    b"--r\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--r--\r\n"
    b"--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=offer.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--m--\r\n"
)


@pytest.fixture
def original(desk: Desk) -> Message:
    desk.mail.folders["INBOX"].add(HOSTILE)
    desk.sync()
    return Message.objects.get()


def test_a_reply_goes_to_reply_to_and_quotes_without_anything_that_fetches_or_runs(
    desk: Desk, original: Message
) -> None:
    draft = services.start_draft(user=desk.user, original=original, kind="reply")
    assert draft.to == [["", "orders@customer.example"]] and draft.cc == []
    assert draft.subject == "Re: Lanterns"
    assert draft.in_reply_to == "two@customer.example"
    assert draft.references == ["zero@x.example", "one@customer.example", "two@customer.example"]
    assert (
        "How <b>many</b>?" in draft.quoted_html
        and "Ida Lindqvist &lt;ida@customer.example&gt; wrote:" in draft.quoted_html
    )
    assert not any(bad in draft.quoted_html for bad in ("script", "onclick", "track.example", "unsubscribe"))
    assert [one.content_id for one in draft.attachments.all()] and draft.attachments.get().file_name == "logo.png"
    assert draft.needs_reply_to_check is False


def test_the_quote_tells_the_time_where_the_person_is(desk: Desk, original: Message) -> None:
    desk.user.time_zone = "Europe/Oslo"
    draft = services.start_draft(user=desk.user, original=original, kind="reply")
    assert "On 23 November 2026 at 11:00 CET, Ida" in draft.quoted_html
    desk.user.time_zone = "No/Where"
    assert "10:00 UTC" in services.start_draft(user=desk.user, original=original, kind="reply").quoted_text


def test_a_reply_to_all_leaves_me_out_and_names_each_once(desk: Desk, original: Message) -> None:
    draft = services.start_draft(user=desk.user, original=original, kind="reply_all")
    assert draft.to == [["", "orders@customer.example"]]
    assert draft.cc == [["Bo", "bo@customer.example"], ["Per", "per@partner.example"]]


def test_a_forward_keeps_attachments_and_begins_no_answer(desk: Desk, original: Message) -> None:
    draft = services.start_draft(user=desk.user, original=original, kind="forward")
    assert draft.to == [] and draft.in_reply_to == "" and draft.subject == "Fwd: Lanterns"
    assert sorted(one.file_name for one in draft.attachments.all()) == ["logo.png", "offer.pdf"]
    fields = DraftFields(to=(("", "per@partner.example"),), subject=draft.subject, html="<p>See below</p>")
    draft = services.save_draft(user=desk.user, draft=draft, version=1, fields=fields)
    assert desk.send(draft).state == SendState.FILED
    sent = desk.in_folder("Sent")[0]
    assert [one.get_filename() for one in sent.iter_attachments()] == ["offer.pdf"]
    assert next(iter(sent.iter_attachments())).get_content() == b"%PDF-1.4"
    html = sent.get_body(("html",)).get_content()
    assert "Forwarded message" in html and "cid:" in html
    assert 'src="https://track.example/p.gif"' in html, "its pictures of the web go along; nothing here loads them"


def test_a_reply_to_another_organisation_without_verification_is_asked_about(desk: Desk) -> None:
    desk.mail.folders["INBOX"].add(HOSTILE.replace(b"orders@customer.example", b"payments@else.example"))
    desk.sync()
    draft = services.start_draft(user=desk.user, original=Message.objects.get(), kind="reply")
    assert draft.needs_reply_to_check
    with pytest.raises(NeedsConfirmation) as caught:
        services.queue(user=desk.user, draft=draft)
    assert "reply_to" in caught.value.reasons


def test_answering_ones_own_mail_goes_on_to_those_it_went_to(desk: Desk) -> None:
    row = desk.send(desk.write("ida@customer.example", "bo@customer.example"))
    draft = services.start_draft(user=desk.user, original=row.stored_message, kind="reply")
    assert [address for _, address in draft.to] == ["ida@customer.example", "bo@customer.example"]


def test_a_second_window_never_overwrites_silently(desk: Desk) -> None:
    draft = services.start_draft(user=desk.user, email_account=desk.account)
    first = services.save_draft(user=desk.user, draft=draft, version=1, fields=DraftFields(html="<p>first</p>"))
    with pytest.raises(DraftConflict) as caught:
        services.save_draft(user=desk.user, draft=draft, version=1, fields=DraftFields(html="<p>second</p>"))
    assert caught.value.current.html == "<p>first</p>" and first.version == 2
    same = services.save_draft(user=desk.user, draft=draft, version=1, fields=DraftFields(html="<p>first</p>"))
    assert same.version == 2


def test_what_is_kept_of_html_holds_no_script_and_keeps_pictures_of_the_editor(desk: Desk) -> None:
    html = '<p onclick=x>Hi</p><script>1</script><img src="data:image/png;base64,iVBORw0KGgo="><img src="cid:a@inline">'
    draft = desk.write(html=html)
    assert "script" not in draft.html and "onclick" not in draft.html
    assert "data:" not in draft.html and draft.attachments.get().size == 8
    again = services.save_draft(
        user=desk.user, draft=draft, version=draft.version, fields=DraftFields(html=html + "<p>more</p>", subject="x")
    )
    assert again.attachments.count() == 1 and again.attachments.get().content_id in again.html
    assert 'src="cid:a@inline"' in draft.html


def test_pictures_go_to_the_editor_by_url_and_come_back_by_id() -> None:
    html = '<p>x</p><img alt="a" src="cid:a&amp;b@inline"><img src="https://x.example/p.png">'
    shown = for_editor(html, {"a&b@inline": "/drafts/1/files/2/?x=1&y=2"})
    assert 'src="/drafts/1/files/2/?x=1&amp;y=2"' in shown and 'src="https://x.example' not in shown
    assert from_editor(shown, {"/drafts/1/files/2/?x=1&y=2": "a&b@inline"}) == html


def test_the_signature_of_the_sender_is_there_and_is_swapped_with_it(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(signature_html="<p>Anna Berg</p>")
    other = make_desk("sales@example.com", owner=desk.user, signature_html="<div>Sales <div>desk</div></div>").account
    draft = services.start_draft(user=desk.user, email_account=desk.account)
    assert draft.html.count('class="signature"') == 1 and "Anna Berg" in draft.html
    draft = services.change_sender(user=desk.user, draft=draft, email_account=other)
    assert "Anna Berg" not in draft.html and "Sales" in draft.html
    draft = services.change_sender(user=desk.user, draft=draft, email_account=desk.account)
    assert "Sales" not in draft.html and draft.html.count('class="signature"') == 1


def test_the_sender_of_an_answer_is_the_mailbox_that_it_came_to(
    make_desk: Callable[..., Desk], desk: Desk, original: Message
) -> None:
    make_desk("first@example.com", owner=desk.user, is_default_sender=True)
    assert services.start_draft(user=desk.user, original=original, kind="reply").email_account == desk.account
    assert services.start_draft(user=desk.user).email_account.address == "first@example.com"


def test_strangers_and_those_who_may_only_see_cannot_write_change_or_send(desk: Desk, original: Message) -> None:
    stranger, reader, colleague = UserFactory(), UserFactory(), UserFactory()
    ShareFactory(email_account=desk.account, user=reader, level="see")
    ShareFactory(email_account=desk.account, user=colleague, level="send")
    draft = desk.write()
    for person in (stranger, reader):
        with pytest.raises(NotAllowed):
            services.start_draft(user=person, email_account=desk.account)
        with pytest.raises(NotAllowed):
            services.start_draft(user=person, original=original, kind="reply")
    for person in (stranger, reader, colleague):
        calls: list[Callable[[], Any]] = [
            lambda p=person: services.save_draft(user=p, draft=draft, version=2, fields=DraftFields(subject="x")),
            lambda p=person: services.queue(user=p, draft=draft),
            lambda p=person: services.discard_draft(user=p, draft=draft),
            lambda p=person: services.attach(user=p, draft=draft, file=NewFile("a", "b/c", io.BytesIO(b"x"))),
            lambda p=person: services.attach_part(user=p, draft=draft, part=original.parts.first()),
        ]
        for call in calls:
            with pytest.raises(NotAllowed):
                call()
        assert not queries.visible_outgoing(person).exists()
    row = services.queue(user=desk.user, draft=draft)
    assert queries.outbox(reader).get() == row and queries.outbox(colleague).get() == row
    assert not queries.outbox(stranger).exists()
    for person in (stranger, reader):
        with pytest.raises(NotAllowed):
            services.undo_send(user=person, message=row)
    assert services.undo_send(user=colleague, message=row).state == SendState.DRAFT


def test_files_are_kept_limited_and_leave_with_the_mail(desk: Desk) -> None:
    draft = desk.write()
    file = services.attach(
        user=desk.user, draft=draft, file=NewFile("../Über\r\nuns.pdf", "application/pdf", io.BytesIO(b"%PDF" * 9))
    )
    assert file.file_name == "Über uns.pdf" and file.size == 36
    desk.account.servers.filter(protocol="smtp").update(capabilities={"size_limit": 400_000})
    with pytest.raises(FileRefused):
        services.attach(user=desk.user, draft=draft, file=NewFile("big.bin", "x", io.BytesIO(b"x" * 200_000)))
    other = services.attach(user=desk.user, draft=draft, file=NewFile("b.txt", "text/plain", io.BytesIO(b"b")))
    services.detach(user=desk.user, attachment=other)
    desk.send(draft)
    attached = list(desk.in_folder("Sent")[0].iter_attachments())
    assert [(one.get_filename(), one.get_content()) for one in attached] == [("Über uns.pdf", b"%PDF" * 9)]


@pytest.mark.parametrize(
    "fields, kind",
    [
        ({"to": ()}, "to"),
        ({"to": (("", "not an address"),)}, "to"),
        ({"cc": (("", "a@b, c@d"),)}, "cc"),
        ({"bcc": tuple(("", f"p{n}@x.example") for n in range(300))}, "to"),
    ],
)
def test_what_is_unfit_to_leave_is_said_and_stays_a_draft(desk: Desk, fields: dict[str, Any], kind: str) -> None:
    draft = services.start_draft(user=desk.user, email_account=desk.account)
    values: dict[str, Any] = {"to": (("", "ida@customer.example"),), "subject": "x", **fields}
    draft = services.save_draft(user=desk.user, draft=draft, version=1, fields=DraftFields(**values))
    with pytest.raises(CannotSend) as caught:
        services.queue(user=desk.user, draft=draft, confirmed=True)
    assert kind in caught.value.problems
    assert OutgoingMessage.objects.get(pk=draft.pk).state == SendState.DRAFT


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"html": "<p>I attached the offer</p>"}, "attachment"),
        ({"html": "<p>Die Datei finden Sie anbei</p>"}, "attachment"),
        ({"subject": " "}, "subject"),
        ({"cc": tuple(("", f"p{n}@x.example") for n in range(25))}, "recipients"),
    ],
)
def test_some_things_are_asked_before_it_leaves(desk: Desk, fields: dict[str, Any], reason: str) -> None:
    draft = desk.write(**fields)
    with pytest.raises(NeedsConfirmation) as caught:
        services.queue(user=desk.user, draft=draft)
    assert set(caught.value.reasons) == {reason}
    assert services.queue(user=desk.user, draft=draft, confirmed=True).state == SendState.QUEUED


def test_the_hourly_limit_holds_per_person_and_says_when_it_is_free_again(desk: Desk, settings: Any) -> None:
    settings.SEND_PER_HOUR_USER = 3
    services.queue(user=desk.user, draft=desk.write("a@x.example", "b@x.example"))
    with pytest.raises(LimitReached) as caught:
        services.queue(user=desk.user, draft=desk.write("c@x.example", "d@x.example"))
    assert caught.value.free_at > timezone.now()
    services.queue(user=desk.user, draft=desk.write("c@x.example"))


def test_a_draft_is_one_copy_on_the_server_replaced_and_gone_when_sent(desk: Desk) -> None:
    draft = desk.due(desk.write(bcc=(("", "quiet@partner.example"),)))
    (kept,) = desk.in_folder("Drafts")
    assert kept["Bcc"] == "quiet@partner.example" and kept["Message-ID"] == f"<{draft.message_id}>"
    fields = DraftFields(subject="Second", to=(("", "half an addr"), ("", "ida@customer.example")), html="<p>2</p>")
    draft = desk.due(services.save_draft(user=desk.user, draft=draft, version=draft.version, fields=fields))
    (kept,) = desk.in_folder("Drafts")
    assert kept["Subject"] == "Second" and draft.server_due_at is None
    fields = DraftFields(subject="Second", to=(("", "ida@customer.example"),), html="<p>2</p>")
    draft = services.save_draft(user=desk.user, draft=draft, version=draft.version, fields=fields)
    assert desk.send(draft).state == SendState.FILED
    assert desk.in_folder("Drafts") == [] and len(desk.in_folder("Sent")) == 1


def test_a_draft_kept_by_a_worker_that_died_leaves_no_second_copy(desk: Desk) -> None:
    draft = desk.write()
    desk.mail.folders["Drafts"].add(f"Message-ID: <{draft.message_id}>\r\n\r\nhalf\r\n".encode())
    desk.due(draft)
    assert len(desk.in_folder("Drafts")) == 1 and desk.in_folder("Drafts")[0]["Subject"] == "Lanterns"


def test_a_discarded_draft_goes_from_the_server_too(desk: Desk) -> None:
    draft = desk.due(desk.write())
    services.discard_draft(user=desk.user, draft=draft)
    assert not queries.drafts(desk.user).exists()
    desk.mail.fail_next = [ServerUnreachable("away", kind="timeout")]
    desk.due(draft)
    assert len(desk.in_folder("Drafts")) == 1
    desk.due(draft)
    assert desk.in_folder("Drafts") == [] and not OutgoingMessage.objects.exists()


def test_a_draft_of_another_program_opens_here_and_replaces_itself(desk: Desk) -> None:
    desk.mail.folders["Drafts"].add(
        HOSTILE.replace(b"From: Ida Lindqvist <ida@customer.example>", b"From: anna@example.com")
    )
    assert server_drafts.read_drafts(desk.account.pk) == 1
    assert server_drafts.read_drafts(desk.account.pk) == 0
    draft = queries.drafts(desk.user).get()
    assert draft.subject == "Re: Lanterns" and "script" not in draft.html and draft.attachments.count() == 2
    fields = DraftFields(subject="Mine now", to=(("", "ida@customer.example"),), html=draft.html)
    draft = desk.due(services.save_draft(user=desk.user, draft=draft, version=draft.version, fields=fields))
    (kept,) = desk.in_folder("Drafts")
    assert kept["Subject"] == "Mine now"
    assert desk.send(draft).state == SendState.FILED and desk.in_folder("Drafts") == []


def test_a_draft_of_another_program_that_it_sent_is_gone_here_too(desk: Desk) -> None:
    key = desk.mail.folders["Drafts"].add(HOSTILE)
    server_drafts.read_drafts(desk.account.pk)
    OutgoingMessage.objects.update(updated_at=timezone.now() - timedelta(minutes=5))
    desk.mail.folders["Drafts"].remove(key)
    server_drafts.read_drafts(desk.account.pk)
    assert not OutgoingMessage.objects.exists()


def test_a_sent_mail_cannot_be_saved_as_a_draft_from_a_window_left_open(desk: Desk) -> None:
    row = desk.send()
    with pytest.raises(WrongState):
        services.save_draft(user=desk.user, draft=row, version=row.version, fields=DraftFields(subject="late"))


def test_files_of_a_mailbox_that_was_erased_do_not_stay(desk: Desk) -> None:
    kept, gone = desk.write(), desk.write()
    for draft in (kept, gone):
        services.attach(user=desk.user, draft=draft, file=NewFile("a.txt", "text/plain", io.BytesIO(b"a")))
    OutgoingMessage.objects.filter(pk=gone.pk).delete()
    assert forget_leftovers() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert forget_leftovers() == 1
    assert storages["mail"].exists(kept.attachments.get().stored)
