"""What happens while one writes: later, templates, plain text, files that are too large, crashes, keys alone, aliases, stops."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from PIL import Image

from accounts.models import EmailAccount, User
from accounts.services import add_alias
from contacts.models import ContactAddress
from mail.models import Message
from outbox.models import BounceNote, OutgoingMessage, SendState, Template
from outbox.services import save_template, start_draft
from outbox.services.templates import TemplateFields
from tests.browser.test_accessibility import AXE, RUN
from tests.browser.test_compose import READY, docked, wait_saved
from tests.browser.test_compose_shots import STATES, told, world
from tests.browser.test_isolation import Sink, _bodies, sink, walled, watched  # noqa: F401 - fixtures
from tests.factories import CompanyFactory, ContactFactory, EmailAccountFactory, EmailAccountServerFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def writer(db: None) -> User:
    """A person in New York with one mailbox that may send."""
    user = UserFactory(name="Maren Solheim", time_zone="America/New_York")
    account = EmailAccountFactory(owner=user, address="maren@nordlys.example", display_name="Maren Solheim")
    EmailAccountServerFactory(email_account=account)
    EmailAccountServerFactory(email_account=account, protocol="smtp", host="smtp.nordlys.example", port=465)
    return user


@pytest.fixture
def composer(open_page: Any, writer: User) -> Callable[..., Any]:
    """The full page of a new draft."""

    def open_one(**size: int) -> Any:
        page = open_page(writer, f"/compose/{start_draft(user=writer).pk}/", **size)
        page.wait_for_selector(READY)
        return page

    return open_one


def address(page: Any, subject: str = "Lanterns") -> None:
    page.locator("#to-typed").fill("ida@customer.example")
    page.locator("#subject-line").fill(subject)


def wait_state(state: str) -> OutgoingMessage:
    """The only outgoing message once it is in this state."""
    deadline = timezone.now() + timedelta(seconds=60)
    while timezone.now() < deadline:
        row = OutgoingMessage.objects.get()
        if row.state == state:
            return row
    raise AssertionError(f"it is {row.state}, not {state}")


def test_send_later_is_read_in_the_persons_time_zone_shown_in_the_outbox_and_undone(composer: Any) -> None:
    page = composer()
    address(page)
    page.locator("summary[aria-label='Send later']").click()
    day = (datetime.now(ZoneInfo("America/New_York")) + timedelta(days=3)).date()
    page.locator("#later-at").fill(f"{day}T08:30")
    page.locator("#later-at").press("Enter")
    page.locator("#outgoing .toast:has-text('Leaves on')").wait_for()
    row = wait_state(SendState.QUEUED)
    wanted = datetime(day.year, day.month, day.day, 8, 30, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
    assert row.is_scheduled and row.send_at == row.due_at == wanted
    page.goto("/?view=drafts")
    line = page.locator(".rows .row:has-text('Sent later')")
    line.click()
    frame = page.frame_locator("iframe.dock")
    assert "08:30" in frame.locator(".banner").text_content()
    frame.get_by_role("button", name="Undo").click()
    frame.locator(READY).wait_for()
    assert OutgoingMessage.objects.get().state == SendState.DRAFT


def test_a_time_that_is_offered_needs_one_click(composer: Any) -> None:
    page = composer()
    address(page)
    page.locator("summary[aria-label='Send later']").click()
    page.get_by_role("button", name="Tomorrow morning").click()
    row = wait_state(SendState.QUEUED)
    assert row.is_scheduled and row.send_at is not None
    assert row.send_at.astimezone(ZoneInfo("America/New_York")).hour == 8


def test_a_template_is_kept_with_fields_filled_for_the_recipient_removed_and_put_back(
    composer: Any, writer: User
) -> None:
    company = CompanyFactory(name="Azulejos & Filhos")
    ContactFactory(first_name="Inês", last_name="Duarte", address="ida@customer.example", company=company)
    save_template(user=UserFactory(is_staff=True), fields=TemplateFields("Shared one", "", "<p>x</p>", is_shared=True))
    save_template(user=UserFactory(), fields=TemplateFields("Somebody's", "", "<p>x</p>"))
    page = composer()
    menu = page.locator("#templates")
    page.locator(".editor-root").click()
    page.keyboard.type("Dear ")
    menu.locator("summary").click()
    assert menu.locator("[data-template]").all_text_contents() == ["Shared oneshared"]
    assert menu.locator("[data-remove-template]").count() == 0, "what is shared is an administrator's to remove"
    page.locator("#template-field").select_option("contact.first_name")
    page.keyboard.type(" of ")
    menu.locator("summary").click() if not menu.evaluate("(one) => one.open") else None
    page.locator("#template-field").select_option("company.name")
    page.locator("#template-name").fill("Greeting")
    page.locator("#template-name").press("Enter")
    page.locator("[data-note=template]:has-text('Kept as a template')").wait_for()
    kept = Template.objects.get(name="Greeting")
    assert kept.owner == writer and "Dear {{contact.first_name}} of {{company.name}}" in kept.html.replace(
        "&nbsp;", " "
    )
    page.locator("#to-typed").fill("ida@customer.example")
    menu.locator("summary").click()
    menu.locator("[data-template]:has-text('Greeting')").click()
    page.locator(".editor-root:has-text('Dear Inês of Azulejos & Filhos')").wait_for()
    menu.locator("summary").click()
    menu.get_by_role("button", name="Remove Greeting").click()
    note = page.locator("[data-note=template]:has-text('Template removed: Greeting')")
    note.wait_for()
    assert not Template.objects.filter(name="Greeting").exists()
    with page.expect_response("**/compose/templates/"):
        note.get_by_role("button", name="Undo").click()
    menu.locator("[data-template]:has-text('Greeting')").wait_for(state="attached")
    assert "{{contact.first_name}} of" in Template.objects.get(name="Greeting").html


def test_plain_text_mode_writes_and_sends_plain_text_and_comes_back(composer: Any) -> None:
    page = composer()
    address(page)
    page.locator(".editor-root").click()
    page.keyboard.type("Good ")
    page.keyboard.press("Control+b")
    page.keyboard.type("morning")
    page.locator("#more summary").click()
    page.locator("[data-toggle-plain]").click()
    assert page.locator("#text").input_value().replace("\xa0", " ") == "Good morning"
    assert page.locator("[data-tools]").is_hidden()
    page.locator("#text").press_sequentially("\nfrom Tromsø")
    wait_saved(page)
    row = OutgoingMessage.objects.get()
    assert row.is_plain and row.text.replace("\xa0", " ") == "Good morning\nfrom Tromsø"
    page.reload()
    page.wait_for_selector(READY)
    assert "from Tromsø" in page.locator("#text").input_value(), "it opens as it was"
    page.locator("#more summary").click()
    page.locator("[data-toggle-plain]").click()
    assert "from Tromsø" in page.locator(".editor-root").text_content()


def test_a_file_above_the_servers_size_is_refused_by_the_page_and_by_the_server(composer: Any) -> None:
    servers = EmailAccount.objects.get().servers.filter(protocol="smtp")
    servers.update(capabilities={"size_limit": 600_000})
    page = composer()
    big = {"name": "Site plan.bin", "mimeType": "application/octet-stream", "buffer": b"x" * 400_000}
    page.locator("#file").set_input_files([big])
    page.locator("[data-note=file]:has-text('“Site plan.bin” is too large')").wait_for()
    servers.update(capabilities={"size_limit": 400_000})  # the page does not know of it
    page.locator("#file").set_input_files([big | {"name": "b.bin", "buffer": b"x" * 200_000}])
    page.locator("[data-note=file]:has-text('The file was not attached')").wait_for()
    assert page.locator(".file").count() == 0 and not OutgoingMessage.objects.get().attachments.exists()
    page.locator("#file").set_input_files([big | {"name": "c.bin", "buffer": b"x" * 1_000}])
    page.locator(".file[data-file]").wait_for()
    assert page.locator("[data-note=file]").count() == 0


def test_text_that_was_typed_a_moment_before_a_crash_is_there_again(composer: Any) -> None:
    page = composer()
    address(page)
    wait_saved(page)
    page.route("**/compose/*/", lambda route: route.abort())  # from here on nothing that is posted arrives
    page.locator(".editor-root").click()
    page.keyboard.type("Typed just before the end")
    page.wait_for_function("() => Object.values(localStorage).some((text) => text.includes('before the end'))")
    assert "before the end" not in OutgoingMessage.objects.get().html
    url, context = page.url, page.context  # a copy of what the browser keeps, as it was when the tab died
    other = context.browser.new_context(storage_state=context.storage_state(), viewport={"width": 1440, "height": 900})
    found = other.new_page()
    found.goto(url)
    found.wait_for_selector(READY)
    found.locator("[data-note=restored]").wait_for()
    assert "Typed just before the end" in found.locator(".editor-root").text_content()
    wait_saved(found)
    assert "before the end" in OutgoingMessage.objects.get().html
    other.close()


def test_a_second_tab_leaves_the_text_of_the_first_alone(composer: Any) -> None:
    page = composer()
    page.locator(".editor-root").click()
    page.keyboard.type("Still being typed")
    page.wait_for_function("() => Object.values(localStorage).some((text) => text.includes('being typed'))")
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector(READY)
    assert other.locator("[data-note=restored]").count() == 0
    wait_saved(page)
    assert "Still being typed" in OutgoingMessage.objects.get().html and OutgoingMessage.objects.count() == 1


def test_a_mail_is_written_and_sent_by_keys_alone(open_page: Any, writer: User) -> None:
    page = open_page(writer)
    frame = docked(page, "c")
    page.keyboard.type("ida@customer.example,")
    frame.locator("[data-line=to] .chip").wait_for()
    where = "() => document.activeElement.id || document.activeElement.className"
    for _ in range(8):
        page.keyboard.press("Tab")
        if frame.locator("body").evaluate(where) == "subject-line":
            break
    page.keyboard.type("Lanterns")
    page.keyboard.press("Enter")
    page.keyboard.type("On the 14th.")
    page.keyboard.press("Control+Enter")
    page.locator("#outgoing .toast:has-text('Sending to ida@customer.example')").wait_for()
    row = wait_state(SendState.QUEUED)
    assert row.subject == "Lanterns" and "On the 14th." in row.html and row.recipients.count() == 1


def test_many_recipients_are_asked_about_and_the_cap_holds(composer: Any, settings: Any) -> None:
    settings.SEND_RECIPIENTS_ASK, settings.SEND_RECIPIENTS_MOST = 2, 4
    page = composer()
    address(page)
    field = page.locator("#to-typed")
    field.fill("a@x.example, b@x.example, c@x.example, d@x.example, e@x.example")
    page.locator("#send").click()
    page.locator("[data-note=problem]:has-text('may have 4 recipients')").wait_for()
    for _ in range(2):
        field.press("Backspace")
    page.locator("#send").click()
    page.locator("#ask[open]:has-text('Send this to')").wait_for()
    page.locator("#ask [data-no]").click()
    assert OutgoingMessage.objects.get().state == SendState.DRAFT
    page.locator("#send").click()
    page.locator("#ask[open] [data-yes]").click()
    wait_state(SendState.QUEUED)


def test_while_an_administrator_stopped_sending_the_draft_stays_and_says_why(composer: Any, open_page: Any) -> None:
    chief = UserFactory(is_staff=True, is_superuser=True)
    page = composer()
    address(page)
    admin = open_page(chief, "/admin/outbox/sendingstop/add/")
    admin.locator("[name=reason]").fill("We are moving the servers")
    admin.locator("[name=_save]").click()
    admin.wait_for_url("**/admin/outbox/sendingstop/")
    page.locator("#send").click()
    page.locator("[data-note=problem]:has-text('An administrator stopped all sending')").wait_for()
    assert OutgoingMessage.objects.get().state == SendState.DRAFT
    page.reload()
    page.locator(".banner:has-text('We are moving the servers')").wait_for()


def test_another_sender_is_chosen_by_alias(composer: Any) -> None:
    add_alias(EmailAccount.objects.get(), address="sales@nordlys.example", display_name="Nordlys Sales")
    page = composer()
    address(page)
    with page.expect_response("**/sender/"):
        page.locator("#account").select_option(label="Nordlys Sales – sales@nordlys.example")
    page.locator("#send").click()
    row = wait_state(SendState.QUEUED)
    assert row.from_address == "sales@nordlys.example"


def test_a_signature_gets_a_picture_in_the_settings_that_every_draft_carries(open_page: Any, writer: User) -> None:
    account = EmailAccount.objects.get()
    page = open_page(writer, f"/settings/email-accounts/{account.pk}/")
    page.locator("[role=textbox]").click()
    page.keyboard.type("Maren ")
    out = io.BytesIO()
    Image.new("RGB", (900, 300), "teal").save(out, "PNG")
    page.locator("[data-signature-picture]").set_input_files(
        [{"name": "Nordlys.png", "mimeType": "image/png", "buffer": out.getvalue()}]
    )
    page.locator("[role=textbox] img[width='480']").wait_for()
    page.locator(".save-bar .btn-primary").click()
    page.wait_for_load_state()
    account.refresh_from_db()
    assert "data:image/png;base64," in account.signature_html and 'alt="Nordlys"' in account.signature_html
    draft = start_draft(user=writer)
    page.goto(f"/compose/{draft.pk}/")
    page.wait_for_selector(READY)
    assert page.locator(".signature img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 480


def test_a_forward_keeps_pictures_of_the_web_and_nothing_here_loads_them(watched: Any, sink: Sink) -> None:  # noqa: F811
    user = UserFactory()
    picture = '<img src="http://remote.example/a.png" width="80" alt="Logo">'
    [one] = _bodies(user, [f'<p style="background:url(http://remote.example/b.png)">Offer</p>{picture}'])
    message = Message.objects.get(pk=one)
    EmailAccountServerFactory(email_account=message.email_account, protocol="smtp")
    page, ran = watched(user)
    draft = start_draft(user=user, original=message, kind="forward")
    page.goto(f"/compose/{draft.pk}/")
    page.wait_for_selector(READY)
    page.locator("[data-open-quote]").click()
    page.locator(".editor-root img[data-remote]").wait_for()
    page.locator("[data-note=remote]").wait_for()
    page.locator(".editor-root").press("Control+Home")
    page.keyboard.type("See below")
    wait_saved(page)
    page.reload()
    page.locator(".editor-root img[data-remote]").wait_for()
    draft.refresh_from_db()
    assert 'src="http://remote.example/a.png"' in draft.html and "data-remote" not in draft.html
    assert (ran, sink.calls) == ([], [])


def test_docked_on_a_small_screen_everything_is_within_reach(open_page: Any, writer: User) -> None:
    page = open_page(writer, "/", width=390, height=844)
    page.locator("[data-key-action=compose]").first.click()
    page.wait_for_selector("iframe.dock")
    frame = page.frame_locator("iframe.dock")
    frame.locator(READY).wait_for()
    assert frame.locator("html").evaluate("(one) => one.scrollWidth") <= 390
    for name in ("#send", "[data-tools]", "#templates summary", "#more summary", "#discard", "[data-close]"):
        box = frame.locator(name).first.bounding_box()
        assert (
            box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
        ), name
    address(frame)
    frame.locator("#send").click()
    page.locator("#outgoing .toast:has-text('Sending to')").wait_for()


def test_what_failed_after_it_was_sent_is_said_loudly_and_leads_to_it(open_page: Any, writer: User) -> None:
    page = open_page(writer)
    frame = docked(page, "c")
    address(frame)
    frame.locator("#send").click()
    page.locator("#outgoing .toast").wait_for()
    OutgoingMessage.objects.update(state=SendState.UNCERTAIN, last_error_kind="uncertain", due_at=None)
    page.locator("[data-send-now]").click()
    toast = page.locator("#outgoing .toast-bad:has-text('Perhaps sent')")
    toast.wait_for(timeout=60_000)
    toast.get_by_role("link", name="Look").click()
    frame.get_by_role("button", name="It arrived").click()
    frame.locator(".banner:has-text('Sent')").wait_for()
    wait_state(SendState.SENT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_told_about_a_mail_has_no_violation(open_page: Any, scheme: str) -> None:
    user, draft, _thread = world()
    told(user, draft)
    OutgoingMessage.objects.filter(pk=draft.pk).update(**STATES["uncertain"])
    note = BounceNote.objects.select_related("message").get()
    contact = ContactAddress.objects.exclude(invalid_since=None).get().contact_id
    paths = (
        f"/compose/{draft.pk}/", "/notifications/", f"/settings/email-accounts/{draft.email_account_id}/",
        f"/threads/{note.message.thread_id}/?message={note.message_id}", f"/contacts/{contact}/",
    )  # fmt: skip
    page = open_page(user, "/keys/", scheme=scheme)
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    found = {}
    for path in paths:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.evaluate(AXE)
        found |= {path: problems} if (problems := page.evaluate(RUN)) else {}
    assert not found, found
