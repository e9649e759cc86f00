"""Outgoing mail in words and rows: drafts in their tab, what waits, and loudly what failed or is uncertain.

Invariants: what a server said is hostile text that templates escape; each sentence says what happened, what it means for
the email, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from mail.models import Message, Thread
from outbox import queries
from outbox.models import OutgoingMessage, SendState
from outbox.plain_text import html_to_plain
from outbox.policy import Trouble
from panel.letters import Letter

SHOWN = 100
SNIPPET = 140  # characters


@dataclass(frozen=True, slots=True)
class Story:
    """Where an email stands. `tone`: danger | warn | "". `acts` name what `compose_decide` takes; "undo" is its own."""

    title: str
    text: str
    tone: str
    symbol: str
    acts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OutgoingRow:
    """An outgoing message in a list."""

    message: OutgoingMessage
    url: str
    names: str
    snippet: str
    story: Story

    @property
    def is_loud(self) -> bool:
        """A person is needed."""
        return self.message.state in queries.LOUD


def troubles() -> dict[str, str]:
    """Why an email was not sent, in a sentence: outbox.policy.Trouble → words."""
    return {
        Trouble.SIGN_IN: _(
            "The server does not accept the sign-in of this email account. Sign in again, then try again."
        ),
        Trouble.UNREACHABLE: _("The server did not answer."),
        Trouble.CERTIFICATE: _("The server’s certificate could not be verified, so nothing was handed over."),
        Trouble.BUSY: _("The server asks to come back later."),
        Trouble.REFUSED: _("The server refused it for good. Correct what it names and send again."),
        Trouble.DEFERRED: _("The server refused it for now."),
        Trouble.TOO_LARGE: _("The server takes no email this large. Take attachments out and send again."),
        Trouble.PROTOCOL: _("The server answered in a way we do not understand."),
        Trouble.NOT_BUILT: _(
            "An attachment is no longer there, or an address cannot be written. Edit it and send again."
        ),
        Trouble.EXPIRED: _("It was tried for two days without success."),
        Trouble.STOPPED: _("An administrator stopped all sending. It leaves when mail may leave again."),
    }


def story_of(row: OutgoingMessage) -> Story:
    """Where it stands, in words, with what can be done."""
    why = troubles().get(row.last_error_kind, "")
    if row.state == SendState.UNCERTAIN:
        return Story(
            _("Perhaps sent"),
            _(
                "The connection broke after the email was handed over, so nobody knows whether it arrived. We look for it"
                " in the Sent folder and do not send it again by ourselves. Ask a recipient, or decide here."
            ),
            "danger",
            "circle-question-mark",
            (("sent", _("It arrived")), ("again", _("Send it again, perhaps twice"))),
        )
    if row.state == SendState.FAILED:
        text = _("Nothing is lost: the email is kept here.")
        acts = (("retry", _("Try again")), ("edit", _("Edit")))
        return Story(_("Not sent"), f"{why} {text}".strip(), "danger", "mail-warning", acts)
    if row.state == SendState.QUEUED:
        return _waiting(row, why)
    if row.state == SendState.SENDING:
        return Story(_("Being sent"), _("It is being handed to the server."), "", "send")
    if row.state == SendState.DRAFT:
        return Story(_("Draft"), "", "", "file-pen-line")
    if row.last_error_kind or row.recipients.filter(state="refused").exists():
        return Story(_("Sent, but not to everybody"), _("The recipients below did not get it."), "warn", "mail-warning")
    return Story(_("Sent"), _("The server accepted it."), "", "check")


def _waiting(row: OutgoingMessage, why: str) -> Story:
    undo, now = ("undo", _("Undo")), ("now", _("Send now"))
    if row.attempts:
        at = date_format(timezone.localtime(row.due_at), "D j M, H:i") if row.due_at else ""
        text = f"{why} " + _("Nothing is lost. It is tried again at %(at)s.") % {"at": at}
        acts = (("now", _("Try now")), ("give_up", _("Give up")), *([undo] if row.may_be_undone else []))
        return Story(_("Waiting for another try"), text.strip(), "warn", "hourglass", acts)
    if row.is_scheduled and row.send_at:
        at = date_format(timezone.localtime(row.send_at), "l j F, H:i")
        return Story(_("Sent later"), _("It leaves on %(at)s.") % {"at": at}, "", "clock", (undo, now))
    return Story(_("Waiting to be sent"), _("It leaves within seconds."), "", "send", (undo, now))


def outgoing_row(row: OutgoingMessage) -> OutgoingRow:
    """A row of it."""
    people = [str(name or address) for name, address in [*row.to, *row.cc, *row.bcc]]
    names = ", ".join(people[:3]) + (f" +{len(people) - 3}" if len(people) > 3 else "")
    text = row.text if row.is_plain else html_to_plain(row.html[:20_000])
    url = reverse("panel:compose", args=[row.pk])
    return OutgoingRow(row, url, names or _("(nobody yet)"), " ".join(text.split())[:SNIPPET], story_of(row))


def draft_rows(user: Any, accounts: Sequence[int]) -> list[OutgoingRow]:
    """The person's drafts in these visible mailboxes (ids)."""
    rows = queries.drafts(user, accounts)
    return [outgoing_row(row) for row in rows[:SHOWN]]


def unfinished_rows(user: Any, accounts: Sequence[int]) -> list[OutgoingRow]:
    """What has not certainly left these visible mailboxes (ids), the loud ones first; one query."""
    rows = queries.outbox(user, accounts)
    return sorted((outgoing_row(row) for row in rows[:SHOWN]), key=lambda one: not one.is_loud)


def answering(user: Any, thread: Thread, letters: Sequence[Letter]) -> dict[str, Any]:
    """What stands under a visible thread: unfinished answers, and which message the next one answers."""
    rows = queries.of_thread(user, thread.pk, [thread.email_account_id])
    answered = next((one for one in reversed(letters) if not one.message.is_draft), None)
    return {
        "reply_to": answered.message if answered else None,
        "has_others": bool(answered and answered.has_others),
        "outgoing_rows": [outgoing_row(row) for row in rows],
    }


def note_troubles(messages: Sequence[Message]) -> None:
    """Give sent messages `troubles` (recipients that were refused or whose mail came back), reports `bounce`.

    At most two queries.
    """
    found = queries.troubles_of([one.pk for one in messages if one.is_outgoing])
    reports = queries.bounces_among([one.pk for one in messages if not one.is_outgoing])
    for message in messages:
        message.troubles = found.get(message.pk, [])  # type: ignore[attr-defined]  # read by _message.html
        message.bounce = reports.get(message.pk)  # type: ignore[attr-defined]
