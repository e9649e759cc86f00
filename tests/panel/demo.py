"""Believable mail for tests that look at pages and for screenshots: several languages, threads, doubts, files."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone

from accounts.models import EmailAccount, User
from linking.models import MessageLink, Reason
from mail.models import Message
from mail.threads import refresh
from notifications.models import Kind
from notifications.services import notify
from tests.factories import (
    CompanyFactory,
    ContactFactory,
    EmailAccountFactory,
    FolderFactory,
    MessageFactory,
    PartFactory,
    UserFactory,
)

HTML = """<p>Good morning Maren,</p><p>thank you for moving so quickly. I spoke with the site this morning and we can take
the first 40 lanterns on the 14th if the crates come with the <em>short</em> brackets; the fitters cannot store the long
ones on the lower scaffold.</p><p>For OP-2231, as agreed, the second lot may follow in week 3. Three small things:</p>
<ul><li>Please confirm that the patina sample “Ria 4” is the one in production, not “Ria 3”.</li><li>The delivery note must
name the warehouse in Gaia, not the office.</li><li>Our accountant needs the new invoice split by lot.</li></ul>
<p>The marked-up drawing and the site plan are attached.</p><p>Com os melhores cumprimentos,<br>Inês</p>
<div class="gmail_quote"><div>On Fri, 20 Nov 2026 at 17:20, Maren Solheim wrote:</div>
<blockquote>Both dates work for us.</blockquote></div>"""
DOUBTFUL = """<p>Dear customer,</p><p>please note that our bank details have changed. Kindly pay invoice 2026-1184 to the new
account <u>today</u> and send us the confirmation.</p><p><a href="http://pay-portal.example/login">Open the payment portal</a></p>
<img src="http://tracker.example/1.png"><img src="http://tracker.example/2.png"><img src="http://tracker.example/3.png">"""
NEWSLETTER = """<body bgcolor="#f3efe6"><table width="640" cellpadding="24"><tr><td style="background:#fff;color:#222">
<h1 style="color:#8a4b08">What 2700 K really means</h1><p>Plus: the end of the halogen exemption.</p>
<img src="https://images.example/banner.jpg" width="592" height="200"><p><a href="https://lux.example/">Read on</a></p>
</td></tr></table></body>"""

MAILS: tuple[tuple[str, str, str, str, str, dict[str, Any]], ...] = (
    ("10:15", "Wolfgang Hinterleitner-Schönbrunner", "AW: Ausschreibung Straßenbeleuchtung Los 3 – Rückfragen der Bieter",
     "Sehr geehrte Frau Solheim,\n\nanbei die Rückfragen der Bieter bis Freitag.", "Stadtwerke Obernau", {"has_attachments": True}),
    ("09:58", "田辺 由紀", "ロビー照明の見積もりについて",
     "お世話になっております。先日のお見積もりの件です。", "Hoshizora Hotels", {}),
    ("08:20", "Oluwaseun Adébáyò", "Lagos showroom: dimming curves, take two", "Perfect. I signed it off this morning.", "",
     {"is_read": True, "processed_at": True}),
    ("-18:04", "Олена Ковальчук", "Запит на зразки: серія «Північ», 6 шт.",
     "Добрий день, Марен! Дякую за каталог.", "Дніпро Лайт", {}),
    ("-16:47", "Margaret O’Shaughnessy", "Re: Re: Fwd: samples", "The brass one is the favourite, by far.", "Foyle & Daughters",
     {"is_read": True}),
    ("-15:12", "نور الحداد", "عرض سعر لمشروع فندق قمر", "السيدة مارين، نشكركم على العرض", "Qamar Interiors", {"is_read": True}),
    ("-08:31", "Tomasz Wiśniewski-Brzęczyszczykiewicz", "Framework agreement 2027, second reading",
     "Thank you. The clause on delivery is fine.\n\n-- \nTomasz Wiśniewski\n+48 22 555 01 42", "Światło i Syn", {"is_read": True}),
)  # fmt: skip


def _moment(text: str) -> datetime.datetime:
    day = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    if text.startswith("-"):
        day, text = day - datetime.timedelta(days=1), text[1:]
    hour, minute = text.split(":")
    moment = day + datetime.timedelta(hours=int(hour), minutes=int(minute))
    return min(moment, timezone.now() - datetime.timedelta(minutes=1))


def believable(owner: User | None = None) -> tuple[User, EmailAccount]:
    """A user with one busy mailbox and one that waits for the first answer."""
    owner = owner or UserFactory(username="maren", name="Maren Solheim", email="maren.solheim@nordlys.example")
    account = EmailAccountFactory(owner=owner, address="maren.solheim@nordlys.example", last_sync_at=timezone.now())
    inbox = FolderFactory(email_account=account)
    FolderFactory(email_account=account, remote_id="Projects/Porto 2027")
    for time, name, subject, text, company, more in MAILS:
        values = dict(more)
        if values.pop("processed_at", None):
            values["processed_at"] = timezone.now()
        message = MessageFactory(
            email_account=account, folder=inbox, from_name=name, from_address=f"{abs(hash(name)) % 10**6}@mail.example",
            subject=subject, text=text, received_at=_moment(time), to=[("", account.address)], **values,
        )  # fmt: skip
        if company:
            _link(message, company)
        if message.has_attachments:
            PartFactory(message=message, file_name="Rueckfragen_Los_3.pdf", size=512_000)
    _lanterns(account, inbox)
    _doubtful(account, inbox)
    MessageFactory(
        email_account=account, folder=inbox, from_name="The Lux Weekly", from_address="news@lux.example", html=NEWSLETTER,
        subject="What 2700 K really means, and eleven other small wars", received_at=_moment("-09:00"), is_read=True,
        text="Plus: the end of the halogen exemption", processed_at=timezone.now(), is_automatic=True,
    )  # fmt: skip
    waiting = EmailAccountFactory(owner=owner, address="sales@nordlys.example", state="connected", answered_at=None)
    notify(user=owner, kind=Kind.DOWNLOAD_QUESTION, key="download", email_account=waiting)
    notify(user=owner, kind=Kind.DOWNLOAD_DONE, key="done", email_account=account, data={"stored": 8400})
    notify(user=owner, kind=Kind.SHARED_WITH_YOU, key="share", email_account=account, data={"by": "Ravi Menon"})
    refresh(Message.objects.values_list("thread_id", flat=True))
    return owner, account


def _link(message: Message, company: str) -> None:
    record = CompanyFactory(name=company)
    MessageLink.objects.create(message=message, company=record, reason=Reason.COMPANY_DOMAIN, evidence={"domain": "x"})


def _lanterns(account: EmailAccount, inbox: Any) -> None:
    subject, own = "Lantern order for the Ribeira façade: new delivery dates", account.address
    steps = (
        ("Maren Solheim", own, "The revised offer is attached: 96 lanterns in two lots, patina “Ria”, and", 14, True),
        ("Inês Figueiredo de Albuquerque", "ines@azulejos.example", "Thank you, we look at it.", 12, False),
        ("Maren Solheim", own, "Any news from the site?", 8, True),
        ("Inês Figueiredo de Albuquerque", "ines@azulejos.example", "Tomorrow, I promise.", 6, False),
        (
            "Piet Vandenbroucke",
            "piet@bouw.example",
            "From the site: scaffolding stays until the 20th, so both work.",
            3,
            False,
        ),
    )
    thread = None
    for name, address, text, days, is_own in steps:
        message = MessageFactory(
            email_account=account, folder=inbox, from_name=name, from_address=address, subject=subject, text=text,
            received_at=timezone.now() - datetime.timedelta(days=days), is_read=True, is_outgoing=is_own,
            processed_at=None if is_own else timezone.now(), **({"thread": thread} if thread else {}),
        )  # fmt: skip
        thread = thread or message.thread
    last = MessageFactory(
        email_account=account, folder=inbox, thread=thread, from_name="Inês Figueiredo de Albuquerque",
        from_address="ines@azulejos.example", subject=subject, html=HTML, received_at=_moment("10:42"), verdict="verified",
        text="Good morning Maren, we can take the first 40 lanterns on the 14th if the crates", is_read=True,
        has_attachments=True, to=[("Maren Solheim", own), ("Piet Vandenbroucke", "piet@bouw.example"), ("", "site@bouw.example")],
    )  # fmt: skip
    PartFactory(message=last, file_name="Ribeira_drawing_rev-D_marked-up.pdf", size=2_400_000)
    PartFactory(message=last, file_name="site-plan-gaia.jpg", content_type="image/jpeg", size=860_000, section="3")
    person = ContactFactory(first_name="Inês", last_name="Figueiredo", address="ines@azulejos.example")
    MessageLink.objects.create(message=last, contact=person, reason=Reason.CONTACT_ADDRESS, evidence={"address": "x"})
    _link(last, "Casa Azulejos")


def _doubtful(account: EmailAccount, inbox: Any) -> None:
    message = MessageFactory(
        email_account=account, folder=inbox, from_name="Nordlys Accounts", from_address="billing@nordlys-pay.example",
        subject="Updated bank details for the open invoice", html=DOUBTFUL, received_at=_moment("09:31"), verdict="failed",
        text="Dear customer, please note that our bank details have changed",
    )  # fmt: skip
    content = message.content
    content.recipients["reply_to"] = [["", "a.berg@fastpay.example"]]
    content.save()
