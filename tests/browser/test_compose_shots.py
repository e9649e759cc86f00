"""Pictures of the composer in every state, three widths, both themes: made only when SHOTS names a folder."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.services import add_alias
from contacts.models import ContactAddress
from mail.models import Thread
from notifications.models import Kind
from notifications.services import notify
from outbox.models import BounceNote, OutgoingMessage, OutgoingRecipient
from outbox.services import save_template, start_draft
from outbox.services.templates import TemplateFields
from tests.browser.test_compose import READY, written
from tests.factories import ContactFactory, EmailAccountFactory, EmailAccountServerFactory
from tests.panel.demo import believable

SHOTS = os.environ.get("SHOTS", "")
SIZES = ((1440, 900), (900, 800), (390, 844))
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not SHOTS, reason="SHOTS names no folder"),
]
STATES: dict[str, dict[str, Any]] = {
    "failed": {"state": "failed", "last_error_kind": "refused", "last_error_said": "550 5.1.1 No such user here"},
    "uncertain": {"state": "uncertain", "last_error_kind": "uncertain"},
    "waiting": {"state": "queued", "last_error_kind": "deferred", "attempts": 2},
    "later": {"state": "queued", "is_scheduled": True},
}


def world() -> tuple[User, OutgoingMessage, Thread]:
    """A person with two mailboxes, an alias, templates, an answer in the making."""
    user, account = believable()
    account.display_name = "Maren Solheim"
    account.signature_html = "<p>Maren Solheim · Nordlys Lighting</p>"
    account.save()
    EmailAccountServerFactory(email_account=account)
    EmailAccountServerFactory(email_account=account, protocol="smtp", host="smtp.mail.example", port=465)
    add_alias(account, address="sales@nordlys.example", display_name="Nordlys Sales")
    EmailAccountFactory(owner=user, address="second@nordlys.example")
    ContactFactory(first_name="Tomas", last_name="Figueiredo", address="tomas@azulejos.example")
    for name in ("Samples are on the way", "A template with quite a long name that no menu of this width can hold"):
        save_template(user=user, fields=TemplateFields(name, "", "<p>Dear {{contact.first_name}}</p>"))
    thread = Thread.objects.order_by("-message_count")[0]
    return user, written(user, thread), thread


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_composer_is_photographed_as_one_writes(open_page: Any, width: int, height: int, scheme: str) -> None:
    user, draft, thread = world()
    page = open_page(user, "/keys/", width=width, height=height, scheme=scheme)
    Camera(page, f"{width}-{scheme}").all(draft, thread)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_becomes_of_a_mail_is_photographed(open_page: Any, width: int, height: int, scheme: str) -> None:
    user, draft, _thread = world()
    told(user, draft)
    page = open_page(user, "/keys/", width=width, height=height, scheme=scheme)
    camera = Camera(page, f"{width}-{scheme}")
    for name, values in STATES.items():
        soon = timezone.now() + timedelta(hours=3)
        blank = {"attempts": 0, "is_scheduled": False, "last_error_said": "", "due_at": soon, "send_at": soon}
        OutgoingMessage.objects.filter(pk=draft.pk).update(**(blank | values))
        camera.go(f"state-{name}", f"/compose/{draft.pk}/")
    camera.go("outbox", "/?view=drafts")
    camera.go("notifications", "/notifications/")
    account = f"/settings/email-accounts/{draft.email_account_id}/"
    camera.go("aliases", account, "section:has(h2:text-is('Aliases'))")
    camera.go("signature", account, "[data-signature-tools]")
    note = BounceNote.objects.select_related("message").get()
    camera.go("bounce", f"/threads/{note.message.thread_id}/?message={note.message_id}", ".msg .banner-danger")
    camera.go("contact", f"/contacts/{ContactAddress.objects.exclude(invalid_since=None).get().contact_id}/")


def told(user: User, draft: OutgoingMessage) -> None:
    """Everything that went wrong with the answer, told everywhere."""
    rows = [
        OutgoingRecipient(
            message=draft, kind="to", name=name, address=address, address_key=address, state=state, said=said
        )
        for name, address, state, said in (
            ("Inês Duarte", "ines@azulejos.example", "accepted", ""),
            ("Piet Vandenbroucke", "piet@bouw.example", "refused", "550 5.1.1 <piet@bouw.example>: user unknown"),
            ("", "a.very.long.address.of.somebody@a-very-long-domain-name.example", "deferred", "451 4.7.1 Greylisted"),
        )
    ]
    OutgoingRecipient.objects.bulk_create(rows)
    data = {"outgoing": draft.pk, "subject": draft.subject, "to": "Piet Vandenbroucke", "trouble": "refused"}
    for kind in (Kind.SEND_FAILED, Kind.SEND_UNCERTAIN):
        notify(user=user, kind=kind, key=str(kind), email_account=draft.email_account, data=data)
    data = {"outgoing": draft.pk, "subject": draft.subject, "addresses": ["piet@bouw.example"], "came_back": True}
    notify(user=user, kind=Kind.MAIL_RETURNED, key="r", email_account=draft.email_account, data=data)
    ContactAddress.objects.filter(address="tomas@azulejos.example").update(
        invalid_since=timezone.now(), invalid_reason="5.1.1 550 user unknown"
    )
    message = draft.email_account.messages.filter(is_outgoing=False).order_by("received_at")[0]
    BounceNote.objects.create(
        message=message, kind="failed", outgoing=draft, failures=[["piet@bouw.example", "5.1.1", "550 user unknown"]]
    )


class Camera:
    """Takes pictures named `compose-<what>-<size>-<scheme>.png`."""

    def __init__(self, page: Any, tail: str) -> None:
        self.page, self.tail = page, tail

    def shoot(self, name: str) -> None:
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=Path(SHOTS) / f"compose-{name}-{self.tail}.png")

    def go(self, name: str, path: str, show: str = "") -> None:
        self.page.goto(path)
        self.page.wait_for_timeout(300)
        if show:
            self.page.locator(show).first.scroll_into_view_if_needed()
        self.shoot(name)

    def all(self, draft: OutgoingMessage, thread: Thread) -> None:
        """The composer docked and full, its menus, dialogs and notes."""
        page, own = self.page, f"/compose/{draft.pk}/"
        self.go("thread", f"/threads/{thread.pk}/", ".outgoing-in-thread")
        page.locator("a[data-compose-open]").last.click()
        frame = page.frame_locator("iframe.dock")
        frame.locator(READY).wait_for()
        self.shoot("docked")
        for name, menu in (
            ("later", "summary[aria-label='Send later']"),
            ("templates", "#templates summary"),
            ("more", "#more summary"),
        ):
            frame.locator(menu).click()
            self.shoot(f"docked-{name}")
            frame.locator(menu).click()
        frame.locator("#to-typed").press_sequentially("tom")
        frame.locator("#to-people [role=option]").first.wait_for()
        self.shoot("docked-people")
        frame.locator("#to-typed").fill("nonsense, b@x.example")
        frame.locator("#send").click()
        self.shoot("docked-problem")
        self.go("full", own)
        page.locator("[data-tools]").click()
        page.locator("#file").set_input_files(
            [
                {
                    "name": "Certificate_Ria-4 with a rather long name of its own.pdf",
                    "mimeType": "application/pdf",
                    "buffer": b"x" * 110000,
                }
            ]
        )
        page.locator(".file[data-file]").first.wait_for()
        page.locator("[data-open-quote]").click()
        self.shoot("full-tools")
        page.evaluate("document.getElementById('link-dialog').showModal()")
        self.shoot("full-link")
        page.evaluate("document.getElementById('link-dialog').close()")
        page.locator("#more summary").click()
        page.locator("[data-toggle-plain]").click()
        self.shoot("full-plain")
        asked = start_draft(user=draft.author, email_account=draft.email_account)
        page.goto(f"/compose/{asked.pk}/")
        page.wait_for_selector(READY)
        self.shoot("new")
        page.locator("#to-typed").fill("ida@customer.example")
        page.locator("#send").click()
        page.locator("#ask[open]").wait_for()
        self.shoot("ask")
        page.locator("#ask [data-yes]").click()
        page.locator("#outgoing .toast").wait_for()
        self.shoot("toast")
        OutgoingMessage.objects.filter(pk=asked.pk).delete()
