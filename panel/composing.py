"""What the composer shows of a draft. Invariant: everything is read through outbox.queries, so a draft is its author's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import EmailAccount
from outbox import queries
from outbox.fitness import problems_of, questions_about
from outbox.letter_html import clean_written, for_editor, from_editor
from outbox.models import OutgoingAttachment, OutgoingMessage, ReplyKind
from outbox.plain_text import html_to_plain
from outbox.senders import Sender, senders_of, written_by
from outbox.services.files import size_limit
from outbox.services.sending import recipient_rows
from outbox.services.stopping import sending_stop
from outbox.templating import FIELDS
from panel.forms.compose import DraftForm, write_addresses

TITLES = {
    ReplyKind.NEW: gettext_lazy("New email"),
    ReplyKind.REPLY: gettext_lazy("Reply"),
    ReplyKind.REPLY_ALL: gettext_lazy("Reply to all"),
    ReplyKind.FORWARD: gettext_lazy("Forward"),
}


@dataclass(frozen=True, slots=True)
class Later:
    """A time that *Send later* offers; `value` as a form takes it, in the person's time zone."""

    label: str
    value: str
    shown: str


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of an email account, to be put in place of the one that is there."""

    email_account: EmailAccount
    html: str


def find_outgoing(user: Any, outgoing_id: int) -> OutgoingMessage:
    """The outgoing message; 404 where the user may not see it (a draft: where it is somebody else's)."""
    row = queries.visible_outgoing(user).filter(pk=outgoing_id).first()
    if row is None:
        raise Http404
    return row


def picture_urls(row: OutgoingMessage) -> dict[str, str]:
    """Content id → our URL, for the pictures of the text."""
    files = row.attachments.exclude(content_id="")
    return {one.content_id: reverse("panel:compose_picture", args=[row.pk, one.pk]) for one in files}


def kept_html(row: OutgoingMessage, form: DraftForm) -> str:
    """The editor's HTML with its pictures as cid:."""
    return from_editor(form.cleaned_data["html"], {url: cid for cid, url in picture_urls(row).items()})


def later_times(now: datetime) -> list[Later]:
    """Times worth offering after `now` (local)."""
    evening = now.replace(hour=18, minute=0, second=0, microsecond=0)
    morning = evening.replace(hour=8) + timedelta(days=1)
    monday = evening.replace(hour=8) + timedelta(days=7 - now.weekday())
    found = [(_("This evening"), evening)] if now < evening - timedelta(minutes=30) else []
    found.append((_("Tomorrow morning"), morning))
    if monday.date() != morning.date():
        found.append((_("Monday morning"), monday))
    return [Later(label, f"{at:%Y-%m-%dT%H:%M}", date_format(at, "D j M, H:i")) for label, at in found]


def back_url(row: OutgoingMessage) -> str:
    """Where closing leads: the thread that is answered, else the drafts."""
    if row.original is not None and row.original.thread_id and not row.is_from_server:
        return reverse("panel:thread", args=[row.original.thread_id])
    return reverse("panel:inbox") + ("?view=drafts" if row.reply_kind == ReplyKind.NEW else "")


def signatures_of(senders: list[Sender]) -> list[Signature]:
    """The signatures of the mailboxes, those that are not empty."""
    accounts = [one.email_account for one in senders if not one.is_alias]
    return [Signature(one, html) for one in accounts if (html := clean_written(one.signature_html))]


def files_of(row: OutgoingMessage) -> list[OutgoingAttachment]:
    """The files that a person sees as attachments."""
    return [one for one in row.attachments.all() if not one.is_inline]


def composer_context(user: Any, row: OutgoingMessage) -> dict[str, Any]:
    """Everything of a draft."""
    senders = senders_of(user)
    by, address = written_by(row)
    limit, used = size_limit(row.email_account), sum(one.size for one in row.attachments.all())
    return {
        "draft": row,
        "title": row.subject if row.is_from_server else TITLES.get(ReplyKind(row.reply_kind), _("New email")),
        "senders": senders,
        "sender_name": by,
        "sender_address": address,
        "to": write_addresses(row.to),
        "cc": write_addresses(row.cc),
        "bcc": write_addresses(row.bcc),
        "html": for_editor(row.html, picture_urls(row)),
        "plain": row.text if row.is_plain else html_to_plain(row.html),
        "files": files_of(row),
        "limit": limit,
        "free": max(0, limit - used),
        "has_quote": bool(row.quoted_html or row.quoted_text),
        "later": later_times(timezone.localtime()),
        "stop": sending_stop(),
        "template_fields": FIELDS,
        "templates": list(queries.templates(user)[:100]),
        "signatures": signatures_of(senders),
        "back_url": back_url(row),
    }


def questions_before(row: OutgoingMessage) -> dict[str, str]:
    """What would be asked before it leaves; empty when it cannot leave anyway."""
    return {} if problems_of(row) else questions_about(row, len(recipient_rows(row)))
