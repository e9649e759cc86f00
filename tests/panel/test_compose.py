"""Writing over HTTP: begin, save, conflict, send, undo, files, people; a page without scripts does it too."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from mail.models import Correspondent, MessageAddress
from outbox.models import OutgoingMessage, SendState
from outbox.services import start_draft
from tests.factories import ContactFactory, EmailAccountFactory, MessageFactory, PartFactory, ShareFactory, UserFactory

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


@pytest.fixture
def desk(client: Client) -> Any:
    """(client, user, account) of a person who may send."""
    user = UserFactory(name="Maren Solheim")
    account = EmailAccountFactory(owner=user, address="maren@nordlys.example", signature_html="<p>Maren</p>")
    client.force_login(user)
    return client, user, account


def typed(draft: OutgoingMessage, **more: Any) -> dict[str, Any]:
    return {
        "version": draft.version,
        "to": "Ida <ida@customer.example>",
        "subject": "Lamps",
        "html": "<p>Hello</p>",
    } | more


def test_write_begins_a_draft_with_the_signature_and_shows_it(desk: Any) -> None:
    client, user, account = desk
    answer = client.post(reverse("panel:compose_new"), {"kind": "new", "frame": "1"})
    draft = OutgoingMessage.objects.get()
    assert answer.headers["Location"] == f"/compose/{draft.pk}/?frame=1"
    page = client.get(answer.headers["Location"]).content.decode()
    assert draft.author == user and draft.email_account == account
    assert "Maren" in page and "New email" in page and 'class="rail"' not in page


def test_only_the_composer_allows_style_attributes_and_being_framed(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    answer = client.get(f"/compose/{draft.pk}/?frame=1")
    policy = answer.headers["Content-Security-Policy"]
    assert "style-src-attr 'unsafe-inline'" in policy and "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN" and "script-src 'self'" in policy
    other = client.get("/").headers["Content-Security-Policy"]
    assert "unsafe-inline" not in other and "frame-ancestors 'none'" in other


def test_an_answer_quotes_threads_and_goes_to_the_sender(desk: Any) -> None:
    client, _user, account = desk
    message = MessageFactory(
        email_account=account, from_name="Ida", from_address="ida@customer.example", subject="Lamps", text="The 14th?",
        html="<p>The 14th?</p>", to=[("", account.address)],
    )  # fmt: skip
    client.post(reverse("panel:compose_new"), {"kind": "reply", "original": message.pk})
    draft = OutgoingMessage.objects.get()
    assert draft.subject == "Re: Lamps" and draft.to == [["Ida", "ida@customer.example"]]
    assert draft.in_reply_to == message.message_id
    quote = client.get(reverse("panel:compose_quote", args=[draft.pk])).json()
    assert "The 14th?" in quote["html"] and "> The 14th?" in quote["text"]
    assert "Quoted text" in client.get(f"/compose/{draft.pk}/").content.decode()
    thread = client.get(f"/threads/{message.thread_id}/").content.decode()
    assert f"/compose/{draft.pk}/" in thread, "the draft stands in its thread"


def test_a_forward_takes_the_attachments_along_and_begins_with_nobody(desk: Any) -> None:
    client, _user, account = desk
    message = MessageFactory(email_account=account, subject="Lamps", text="See the drawing")
    part = PartFactory(message=message, file_name="drawing.pdf")
    client.post(reverse("panel:compose_new"), {"kind": "forward", "original": message.pk})
    draft = OutgoingMessage.objects.get()
    assert draft.subject == "Fwd: Lamps" and draft.to == [] and draft.in_reply_to == ""
    assert draft.attachments.get().part == part
    assert "drawing.pdf" in client.get(f"/compose/{draft.pk}/?frame=1").content.decode()


def test_the_tab_of_drafts_asks_the_servers_for_what_other_programs_left(
    desk: Any, doorbell: Any, django_capture_on_commit_callbacks: Any
) -> None:
    client, _user, account = desk
    with django_capture_on_commit_callbacks(execute=True):
        client.get("/?view=drafts")
        client.get("/?view=drafts")
    rung = [one for one in doorbell.rung if one.name == "outbox.tasks.read_drafts"]
    assert [one.args for one in rung] == [(account.pk,)], "once in thirty seconds"


def test_a_save_tells_its_time_and_version_and_keeps_odd_addresses(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    fields = typed(draft, to='"Lind, Ida" <ida@customer.example>; nonsense', cc="bo@y.example\nkim@z.example")
    told = client.post(f"/compose/{draft.pk}/", fields, headers=JSON).json()
    draft.refresh_from_db()
    assert told == {"version": draft.version, "saved_at": timezone.localtime(draft.updated_at).strftime("%H:%M")}
    assert draft.to == [["Lind, Ida", "ida@customer.example"], ["", "nonsense"]]
    assert draft.cc == [["", "bo@y.example"], ["", "kim@z.example"]]
    page = client.get(f"/compose/{draft.pk}/").content.decode()
    assert "&quot;Lind, Ida&quot; &lt;ida@customer.example&gt;, nonsense" in page


def test_what_a_script_would_run_is_not_kept(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    client.post(f"/compose/{draft.pk}/", typed(draft, html='<p onclick="x()">a<script>x()</script></p>'), headers=JSON)
    draft.refresh_from_db()
    assert draft.html == "<p>a</p>"


def test_a_second_window_is_told_and_both_texts_can_be_kept(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    client.post(f"/compose/{draft.pk}/", typed(draft, html="<p>First</p>"), headers=JSON)
    late = typed(draft, html="<p>Second</p>")
    refused = client.post(f"/compose/{draft.pk}/", late, headers=JSON)
    assert refused.status_code == 409 and refused.json()["kind"] == "conflict"
    both = client.post(f"/compose/{draft.pk}/copy/", late, headers=JSON).json()
    copy = OutgoingMessage.objects.exclude(pk=draft.pk).get()
    draft.refresh_from_db()
    assert (draft.html, copy.html) == ("<p>First</p>", "<p>Second</p>")
    assert both["url"] == f"/compose/{copy.pk}/" and copy.message_id != draft.message_id


def test_send_waits_ten_seconds_and_undo_makes_it_a_draft_again(desk: Any, doorbell: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    told = client.post(f"/compose/{draft.pk}/send/", typed(draft), headers=JSON).json()
    draft.refresh_from_db()
    assert draft.state == SendState.QUEUED and told["seconds"] == 10 and told["to"] == "Ida"
    assert "Waiting to be sent" in client.get("/?view=drafts").content.decode()
    undone = client.post(f"/compose/{draft.pk}/undo/", headers=JSON).json()
    draft.refresh_from_db()
    assert draft.state == SendState.DRAFT and undone["url"] == f"/compose/{draft.pk}/" and draft.html == "<p>Hello</p>"


def test_send_later_reads_the_time_in_the_persons_zone(desk: Any) -> None:
    client, user, _account = desk
    user.time_zone = "Europe/Oslo"
    user.save()
    draft = start_draft(user=user)
    day = timezone.now().date() + timezone.timedelta(days=3)
    told = client.post(f"/compose/{draft.pk}/send/", typed(draft, later="1", at=f"{day}T08:00"), headers=JSON).json()
    draft.refresh_from_db()
    assert draft.is_scheduled and draft.send_at.astimezone(timezone.get_fixed_timezone(0)).hour in (6, 7)
    assert "08:00" in told["at"]
    assert "Sent later" in client.get(f"/compose/{draft.pk}/").content.decode()


def test_a_forgotten_attachment_is_asked_about_and_the_text_was_kept(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    fields = typed(draft, html="<p>The drawing is attached.</p>")
    asked = client.post(f"/compose/{draft.pk}/send/", fields, headers=JSON)
    draft.refresh_from_db()
    assert asked.status_code == 409 and asked.json()["kind"] == "confirm"
    assert asked.json()["version"] == draft.version and "attached" in draft.html
    told = client.post(f"/compose/{draft.pk}/send/", fields | {"confirmed": "1"}, headers=JSON)
    draft.refresh_from_db()
    assert told.status_code == 200 and draft.state == SendState.QUEUED


def test_an_unfit_draft_says_what_is_wrong_and_stays(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    told = client.post(f"/compose/{draft.pk}/send/", typed(draft, to="nonsense"), headers=JSON)
    draft.refresh_from_db()
    assert told.status_code == 422 and "nonsense" in told.json()["problems"]["to"] and draft.state == SendState.DRAFT


def test_files_come_and_go_and_too_much_is_refused(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    file = SimpleUploadedFile("../offer.pdf", b"%PDF-", content_type="application/pdf")
    told = client.post(f"/compose/{draft.pk}/files/", {"file": file}, headers=JSON).json()
    kept = draft.attachments.get()
    assert told["files"][0]["name"] == "offer.pdf" and told["files"][0]["kind"] == "PDF"
    client.post(told["files"][0]["remove"], headers=JSON)
    assert not draft.attachments.exists() and kept.size == 5
    monkeypatch.setattr("outbox.services.files.size_limit", lambda account: 3)
    refused = client.post(f"/compose/{draft.pk}/files/", {"file": SimpleUploadedFile("b.pdf", b"12345")}, headers=JSON)
    assert refused.status_code == 422 and "not attached" in refused.json()["error"]


def test_a_picture_of_the_text_is_kept_by_its_content_id_and_shown_made_new(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    out = io.BytesIO()
    Image.new("RGB", (3, 3), "teal").save(out, "PNG")
    picture = SimpleUploadedFile("p.png", out.getvalue(), content_type="image/png")
    url = client.post(f"/compose/{draft.pk}/files/", {"file": picture, "inline": "1"}, headers=JSON).json()["files"][0][
        "url"
    ]
    client.post(f"/compose/{draft.pk}/", typed(draft, html=f'<p><img src="{url}"></p>'), headers=JSON)
    draft.refresh_from_db()
    cid = draft.attachments.get().content_id
    assert f'src="cid:{cid}"' in draft.html
    shown = client.get(url)
    assert shown.headers["Content-Type"] == "image/png" and "sandbox" in shown.headers["Content-Security-Policy"]
    assert url in client.get(f"/compose/{draft.pk}/").content.decode()


def test_people_are_offered_from_contacts_and_from_visible_mail_only(desk: Any) -> None:
    client, _user, account = desk
    ContactFactory(first_name="Tomas", last_name="Figueiredo", address="tomas@azulejos.example")
    for box, address in ((account, "tom.okafor@lagos.example"), (EmailAccountFactory(), "tom.secret@other.example")):
        who = Correspondent.objects.create(address=address, domain=address.partition("@")[2])
        message = MessageFactory(email_account=box, from_address=address)
        MessageAddress.objects.create(message=message, correspondent=who, role="f")
    found = {one["address"]: one for one in client.get("/compose/people/?q=tom").json()["people"]}
    assert found["tomas@azulejos.example"]["is_known"] and not found["tom.okafor@lagos.example"]["is_known"]
    assert "tom.secret@other.example" not in found


def test_another_sender_brings_its_signature_and_only_those_one_may_send_with(desk: Any) -> None:
    client, user, _account = desk
    sales = EmailAccountFactory(owner=user, address="sales@nordlys.example", signature_html="<p>Sales team</p>")
    seen = ShareFactory(user=user, level="see").email_account
    draft = start_draft(user=user, email_account=_account)
    fields = typed(draft, html=draft.html)
    told = client.post(f"/compose/{draft.pk}/sender/", fields | {"account": sales.pk}, headers=JSON).json()
    assert "Sales team" in told["html"] and "Maren" not in told["html"]
    fields |= {"version": told["version"], "html": told["html"], "account": seen.pk}
    assert client.post(f"/compose/{draft.pk}/sender/", fields, headers=JSON).status_code == 404


def test_a_colleague_who_may_send_with_the_mailbox_does_not_see_my_draft(desk: Any) -> None:
    _client, user, account = desk
    colleague = ShareFactory(email_account=account, level="send").user
    draft = start_draft(user=user)
    other = Client()
    other.force_login(colleague)
    assert other.get(f"/compose/{draft.pk}/").status_code == 404
    assert other.post(f"/compose/{draft.pk}/", typed(draft)).status_code == 404
    assert f"/compose/{draft.pk}/" not in other.get("/?view=drafts").content.decode()


def test_who_may_only_see_a_mailbox_cannot_write_with_it(desk: Any) -> None:
    _client, user, account = desk
    reader = ShareFactory(email_account=account, level="see").user
    other = Client()
    other.force_login(reader)
    message = MessageFactory(email_account=account)
    refused = other.post(reverse("panel:compose_new"), {"kind": "reply", "original": message.pk})
    assert refused.status_code == 403 and "no email account to send with" in refused.content.decode()
    assert not OutgoingMessage.objects.filter(author=reader).exists() and user.pk != reader.pk


def test_a_stranger_answers_no_mail_of_others(desk: Any) -> None:
    _client, _user, account = desk
    stranger = EmailAccountFactory().owner
    other = Client()
    other.force_login(stranger)
    message = MessageFactory(email_account=account)
    answer = other.post(reverse("panel:compose_new"), {"kind": "reply", "original": message.pk})
    assert answer.status_code == 404 and not OutgoingMessage.objects.exists()


def test_without_scripts_a_form_saves_and_sends_plain_text(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    fields = typed(draft, text="Hello Ida", is_plain="1", html=draft.html)
    saved = client.post(f"/compose/{draft.pk}/", fields)
    draft.refresh_from_db()
    assert saved.headers["Location"] == f"/compose/{draft.pk}/" and draft.text == "Hello Ida" and draft.is_plain
    fields |= {"version": draft.version, "text": "See the attached list"}
    asked = client.post(f"/compose/{draft.pk}/send/", fields)
    assert asked.headers["Location"].endswith("?ask=1")
    assert "Send anyway" in client.get(asked.headers["Location"]).content.decode()
    client.post(f"/compose/{draft.pk}/send/", fields | {"version": draft.version + 1, "confirmed": "1"})
    draft.refresh_from_db()
    assert draft.state == SendState.QUEUED


@pytest.mark.parametrize(
    ("state", "words", "acts"),
    [("failed", "Not sent", ("retry", "edit")), ("uncertain", "Perhaps sent", ("sent", "again"))],
)
def test_what_went_wrong_is_loud_and_says_what_to_do(desk: Any, state: str, words: str, acts: tuple[str, ...]) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    client.post(f"/compose/{draft.pk}/send/", typed(draft), headers=JSON)
    OutgoingMessage.objects.filter(pk=draft.pk).update(
        state=state, last_error_kind="refused", last_error_said="550 <script>no</script>"
    )
    page = client.get("/").content.decode()
    assert words in page and 'role="alert"' in page
    own = client.get(f"/compose/{draft.pk}/").content.decode()
    assert all(f'value="{act}"' in own for act in acts) and "<script>no" not in own
    client.post(f"/compose/{draft.pk}/decide/", {"what": acts[1]})
    draft.refresh_from_db()
    assert draft.state == (SendState.DRAFT if state == "failed" else SendState.QUEUED)


def test_a_recipient_who_did_not_get_it_is_named_at_the_sent_message(desk: Any) -> None:
    client, user, account = desk
    draft = start_draft(user=user)
    client.post(f"/compose/{draft.pk}/send/", typed(draft), headers=JSON)
    stored = MessageFactory(email_account=account, is_outgoing=True)
    OutgoingMessage.objects.filter(pk=draft.pk).update(state="filed", stored_message=stored)
    draft.recipients.update(state="bounced", said="550 5.1.1 <b>unknown</b>")
    page = client.get(f"/threads/{stored.thread_id}/").content.decode()
    assert "did not get the email" in page and "&lt;b&gt;unknown" in page
    assert "did not get the email" in client.get(f"/messages/{stored.pk}/").content.decode()


def test_a_template_is_kept_and_filled_for_the_first_recipient(desk: Any) -> None:
    client, user, _account = desk
    ContactFactory(first_name="Ida", last_name="Lind", address="ida@customer.example")
    draft = start_draft(user=user)
    kept = client.post(
        "/compose/templates/", {"name": "Hello", "html": "<p>Dear {{contact.first_name}}</p>"}, headers=JSON
    ).json()
    url = reverse("panel:compose_template", args=[draft.pk, kept["id"]])
    assert client.get(url, {"to": "ida@customer.example"}).json()["html"] == "<p>Dear Ida</p>"
    assert client.get(url, {"to": "nobody@customer.example"}).json()["missing"] == ["contact.first_name"]


def test_discard_deletes_the_draft(desk: Any) -> None:
    client, user, _account = desk
    draft = start_draft(user=user)
    assert client.post(f"/compose/{draft.pk}/discard/", headers=JSON).json()["back"] == "/?view=drafts"
    assert not OutgoingMessage.objects.exists()
