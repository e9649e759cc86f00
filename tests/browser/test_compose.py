"""A person writes: chips, autosave and recovery, undo of a send, an answer with its quote, files, keys, both themes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mail.models import Message, Thread
from outbox.models import OutgoingMessage, SendState
from outbox.services import save_draft, save_template, start_draft
from outbox.services.templates import TemplateFields
from outbox.types import DraftFields
from tests.browser.test_accessibility import AXE, RUN
from tests.factories import ContactFactory, EmailAccountFactory
from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
SHOTS = os.environ.get("SHOTS", "")
READY = "body[data-ready]"


def docked(page: Any, key: str) -> Any:
    """The composer that a key opens."""
    page.wait_for_timeout(300)
    page.keyboard.press(key)
    page.wait_for_selector("iframe.dock")
    frame = page.frame_locator("iframe.dock")
    frame.locator(READY).wait_for()
    return frame


def wait_saved(frame: Any) -> None:
    frame.locator("#saved:has-text('Saved')").wait_for(timeout=15_000)


def test_writing_is_saved_by_itself_and_a_reload_recovers_it(open_page: Any) -> None:
    user, _account = believable()
    ContactFactory(first_name="Tomas", last_name="Figueiredo", address="tomas@azulejos.example")
    page = open_page(user)
    frame = docked(page, "c")
    frame.locator("#to-typed").press_sequentially("tomas")
    frame.locator("#to-people [role=option]").first.wait_for()
    frame.locator("#to-typed").press("Enter")
    assert "Tomas Figueiredo" in frame.locator("[data-line=to] .chip").text_content()
    frame.locator("#subject-line").fill("Lanterns")
    frame.locator(".editor-root").click()
    page.keyboard.type("Good morning ")
    page.keyboard.press("Control+b")
    page.keyboard.type("Tomas")
    wait_saved(frame)
    draft = OutgoingMessage.objects.get()
    assert draft.subject == "Lanterns" and draft.to == [["Tomas Figueiredo", "tomas@azulejos.example"]]
    assert "<b>Tomas</b>" in draft.html
    page.keyboard.type(" and all")  # not saved by the timer: the page goes first
    page.reload()
    page.wait_for_timeout(800)
    page.goto("/?view=drafts")
    page.locator("a[data-compose-open]").first.click()
    frame = page.frame_locator("iframe.dock")
    frame.locator(READY).wait_for()
    assert "Good morning Tomas and all" in frame.locator(".editor-root").text_content().replace("\xa0", " ")


def test_a_pasted_list_becomes_chips_and_backspace_takes_the_last(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    frame = docked(page, "c")
    field = frame.locator("#to-typed")
    field.evaluate(
        """(field) => { const data = new DataTransfer();
        data.setData("text/plain", '"Lind, Ida" <ida@x.example>; bo@y.example\\nnonsense');
        field.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})) }"""
    )
    assert frame.locator("[data-line=to] .chip").count() == 3
    assert frame.locator(".chip-bad").text_content().strip() == "nonsense"
    field.press("Control+Enter")
    assert "is not an email address" in frame.locator("[data-note=problem]").text_content()
    field.focus()
    field.press("Backspace")
    assert frame.locator("[data-line=to] .chip").count() == 2


def test_send_can_be_undone_for_ten_seconds(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    frame = docked(page, "c")
    frame.locator("#to-typed").fill("ida@customer.example")
    frame.locator("#subject-line").fill("Lanterns")
    frame.locator(".editor-root").click()
    page.keyboard.type("On the 14th.")
    page.keyboard.press("Control+Enter")
    toast = page.locator("#outgoing .toast")
    toast.wait_for()
    assert "Sending to ida@customer.example" in toast.text_content()
    assert page.locator("iframe.dock").count() == 0
    assert OutgoingMessage.objects.get().state == SendState.QUEUED
    page.keyboard.press("z")
    page.wait_for_selector("iframe.dock")
    frame.locator(READY).wait_for()
    assert "On the 14th." in frame.locator(".editor-root").text_content()
    assert OutgoingMessage.objects.get().state == SendState.DRAFT


def test_an_answer_quotes_the_original_and_a_forgotten_attachment_is_asked_about(open_page: Any) -> None:
    user, _account = believable()
    thread = Thread.objects.order_by("-message_count")[0]
    page = open_page(user, f"/threads/{thread.pk}/")
    frame = docked(page, "r")
    assert frame.locator("#subject-line").input_value().startswith("Re: Lantern order")
    assert frame.locator("[data-line=to] .chip").count() == 1
    page.keyboard.type("The invoice is attached.")
    frame.locator("[data-open-quote]").click()
    frame.locator(".editor-root blockquote").first.wait_for()
    text = frame.locator(".editor-root").text_content()
    assert text.startswith("The invoice is attached.") and "short" in text
    frame.locator("#send").click()
    frame.locator("#ask[open]").wait_for()
    assert "attachment" in frame.locator("#ask-questions").text_content()
    frame.locator("#ask [data-yes]").click()
    page.locator("#outgoing .toast").wait_for()
    page.locator("#answers .row:has-text('Waiting to be sent')").wait_for()
    draft = OutgoingMessage.objects.get()
    assert draft.state == SendState.QUEUED and draft.original is not None and draft.in_reply_to
    assert draft.quoted_html == "" and "blockquote" in draft.html


def test_files_are_attached_and_a_dropped_picture_stands_in_the_text(open_page: Any, tmp_path: Path) -> None:
    user, _account = believable()
    page = open_page(user)
    frame = docked(page, "c")
    offer = tmp_path / "Offer.pdf"
    offer.write_bytes(b"%PDF-1.4 offer")
    frame.locator("#file").set_input_files(offer)
    frame.locator(".file[data-file]").wait_for()
    assert "Offer.pdf" in frame.locator("#files").text_content()
    frame.locator("#editor-pane").evaluate(
        """async (pane) => { const canvas = document.createElement("canvas"); canvas.width = canvas.height = 8;
        const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
        const data = new DataTransfer(); data.items.add(new File([blob], "site.png", {type: "image/png"}));
        const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
        pane.querySelector(".editor-root").dispatchEvent(event) }"""
    )
    frame.locator(".editor-root img").wait_for()
    wait_saved(frame)
    draft = OutgoingMessage.objects.get()
    picture = draft.attachments.exclude(content_id="").get()
    assert f"cid:{picture.content_id}" in draft.html and draft.attachments.count() == 2
    frame.locator("[data-remove]").click()
    frame.locator(".file").wait_for(state="detached")
    assert draft.attachments.count() == 1


def test_a_second_window_never_overwrites_silently(open_page: Any) -> None:
    user, _account = believable()
    draft = start_draft(user=user)
    page = open_page(user, f"/compose/{draft.pk}/")
    other = page.context.new_page()
    other.goto(f"/compose/{draft.pk}/")
    for one, text in ((page, "First text"), (other, "Second text")):
        one.bring_to_front()
        one.wait_for_selector(READY)
        one.locator(".editor-root").click()
        one.keyboard.type(text)
        one.wait_for_timeout(3000)
    other.locator("[data-note=conflict] button").first.click()
    other.wait_for_url(lambda url: f"/compose/{draft.pk}/" not in url)
    texts = sorted(one.html for one in OutgoingMessage.objects.all())
    assert len(texts) == 2 and "First text" in "".join(texts) and "Second text" in "".join(texts)


def test_escape_closes_and_keeps_and_an_untouched_draft_leaves_nothing(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    docked(page, "c")
    page.keyboard.press("Escape")
    page.wait_for_selector("iframe.dock", state="detached")
    assert not OutgoingMessage.objects.exists()
    frame = docked(page, "c")
    frame.locator("#subject-line").fill("Kept")
    page.keyboard.press("Escape")
    page.wait_for_selector("iframe.dock", state="detached")
    assert OutgoingMessage.objects.get().subject == "Kept"
    page.goto("/?view=drafts")
    page.locator("a[data-compose-open]").first.click()
    frame.locator(READY).wait_for()
    frame.locator("#discard").click()
    page.locator("[data-undo-discard]").click()
    frame.locator(READY).wait_for()
    assert OutgoingMessage.objects.get().subject == "Kept"


def test_tables_and_quotes_stay_intact_and_a_pasted_picture_comes_in(open_page: Any) -> None:
    user, _account = believable()
    draft = start_draft(user=user)
    html = (
        '<table width="300" border="1"><tbody><tr><td colspan="2" align="center" style="background-color: #eef">Lot 1</td></tr>'
        '</tbody></table><blockquote type="cite"><div>The 14th?</div></blockquote>'
    )
    save_draft(user=user, draft=draft, version=draft.version, fields=DraftFields(html=html))
    page = open_page(user, f"/compose/{draft.pk}/")
    page.wait_for_selector(READY)
    page.locator(".editor-root blockquote").click()
    page.keyboard.type("Yes: ")
    page.locator(".editor-root").evaluate(
        """async (root) => { const canvas = document.createElement("canvas"); canvas.width = canvas.height = 8;
        const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
        const data = new DataTransfer(); data.items.add(new File([blob], "site.png", {type: "image/png"}));
        root.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})) }"""
    )
    page.locator(".editor-root img").wait_for()
    wait_saved(page)
    draft.refresh_from_db()
    for piece in ('width="300"', 'colspan="2"', 'align="center"', "background-color", 'type="cite"', "cid:"):
        assert piece in draft.html, piece
    assert "Yes: " in draft.html.replace("&nbsp;", " ")


def test_the_full_page_sends_and_its_undo_waits_where_one_lands(open_page: Any) -> None:
    user, _account = believable()
    draft = start_draft(user=user)
    page = open_page(user, f"/compose/{draft.pk}/", width=390, height=844)
    page.wait_for_selector(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#to-typed").fill("ida@customer.example")
    page.locator("#subject-line").fill("Lanterns")
    page.locator("#send").click()
    page.locator("#outgoing .toast [data-undo-send]").wait_for()
    assert "/compose/" not in page.url
    page.locator("#outgoing [data-undo-send]").click()
    page.frame_locator("iframe.dock").locator(READY).wait_for()
    draft.refresh_from_db()
    assert draft.state == SendState.DRAFT and draft.subject == "Lanterns"
    box = page.locator("iframe.dock").bounding_box()
    assert (box["width"], box["height"]) == (390, 844), "the whole of a small screen"


def written(user: Any, thread: Thread) -> OutgoingMessage:
    """An answer in the making."""
    draft = start_draft(
        user=user, original=Message.objects.filter(thread=thread).order_by("-received_at")[0], kind="reply"
    )
    html = (
        "<div>Bom dia Inês,</div><div><br></div><div>the 14th it is, with short brackets. To your three points: it is “Ria 4”;"
        " the note will name the warehouse in Gaia; and you will have the invoice split by lot tomorrow.</div><div><br></div>"
        '<div>Kind regards,<br>Maren</div><div class="signature">Maren Solheim · Nordlys Lighting · Tromsø<br>+47 77 55 01 42</div>'
    )
    to = (*((name, address) for name, address in draft.to), ("Piet Vandenbroucke", "piet@bouw.example"))
    return save_draft(
        user=user, draft=draft, version=draft.version, fields=DraftFields(to=to, subject=draft.subject, html=html)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_composer_has_no_violation(open_page: Any, scheme: str) -> None:
    user, account = believable()
    account.signature_html = "<p>Maren</p>"
    account.save()
    EmailAccountFactory(owner=user, address="second@nordlys.example")
    draft = written(user, Thread.objects.order_by("-message_count")[0])
    page = open_page(user, "/", scheme=scheme)
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    found = {}
    for path in (f"/compose/{draft.pk}/?frame=1", f"/compose/{draft.pk}/", "/?view=drafts"):
        page.goto(path)
        page.wait_for_timeout(700)
        if "compose" in path:
            page.locator("[data-tools]").click()
        page.evaluate(AXE)
        if problems := page.evaluate(RUN):
            found[path] = problems
    OutgoingMessage.objects.filter(pk=draft.pk).update(state="failed", last_error_kind="refused")
    page.goto(f"/compose/{draft.pk}/")
    page.evaluate(AXE)
    found |= {"failed": problems} if (problems := page.evaluate(RUN)) else {}
    assert not found, found


@pytest.mark.skipif(not SHOTS, reason="SHOTS names no folder")
def test_the_composer_is_photographed(open_page: Any) -> None:
    user, account = believable()
    account.display_name = "Maren Solheim"
    account.save()
    EmailAccountFactory(owner=user, address="second@nordlys.example")
    ContactFactory(first_name="Tomas", last_name="Figueiredo", address="tomas@azulejos.example")
    ContactFactory(first_name="Tomasz", last_name="Wiśniewski-Brzęczyszczykiewicz", address="tomasz@swiatlo.example")
    save_template(user=user, fields=TemplateFields("Samples are on the way", "", "<p>Dear {{contact.first_name}}</p>"))
    thread = Thread.objects.order_by("-message_count")[0]
    draft = written(user, thread)
    for width, height in ((1440, 900), (900, 800), (390, 844)):
        for scheme in ("light", "dark"):
            page = open_page(user, f"/threads/{thread.pk}/", width=width, height=height, scheme=scheme)
            page.wait_for_timeout(500)
            page.locator(".outgoing-in-thread").scroll_into_view_if_needed()
            page.screenshot(path=Path(SHOTS) / f"compose-thread-{width}-{scheme}.png")
            page.locator("a[data-compose-open]").last.click()
            frame = page.frame_locator("iframe.dock")
            frame.locator(READY).wait_for()
            frame.locator("#to-typed").press_sequentially("tom")
            frame.locator("#to-people [role=option]").first.wait_for()
            frame.locator("#file").set_input_files(
                [{"name": "Certificate_Ria-4.pdf", "mimeType": "application/pdf", "buffer": b"x" * 110000}]
            )
            frame.locator(".file[data-file]").first.wait_for()
            page.wait_for_timeout(300)
            page.screenshot(path=Path(SHOTS) / f"compose-{width}-{scheme}.png")
            page.goto(f"/compose/{draft.pk}/")
            page.wait_for_selector(READY)
            page.locator("[data-tools]").click()
            page.locator("#templates summary").click()
            page.wait_for_timeout(400)
            page.screenshot(path=Path(SHOTS) / f"compose-full-{width}-{scheme}.png")
            draft.attachments.all().delete()
            page.context.close()
    OutgoingMessage.objects.filter(pk=draft.pk).update(state="uncertain", last_error_kind="uncertain")
    for width in (1440, 390):
        page = open_page(user, f"/compose/{draft.pk}/", width=width)
        page.wait_for_timeout(500)
        page.screenshot(path=Path(SHOTS) / f"compose-state-{width}-light.png")
        page.goto("/?view=drafts")
        page.wait_for_timeout(500)
        page.screenshot(path=Path(SHOTS) / f"compose-drafts-{width}-light.png")
