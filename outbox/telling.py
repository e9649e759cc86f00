"""Telling whoever wrote a mail that it was not sent, perhaps sent, or came back.

Invariant: a question about a mail is open exactly while it waits for a person; every notice leads to the mail itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from accounts.models import User
from accounts.shares import may
from notifications.models import Kind
from notifications.services import close, notify
from outbox.models import OutgoingMessage, OutgoingRecipient, SendState

_QUESTIONS = {SendState.FAILED: Kind.SEND_FAILED, SendState.UNCERTAIN: Kind.SEND_UNCERTAIN}
NAMED = 20  # addresses in a notice


def tell(row: OutgoingMessage) -> None:
    """Ask about a failed or uncertain mail; in every other state the question is answered."""
    kind = _QUESTIONS.get(SendState(row.state))
    if kind is None:
        close(key=_key(row))
        return
    notify(
        user=_whom(row),
        kind=kind,
        key=_key(row),
        email_account=row.email_account,
        data={"outgoing": row.pk, "subject": row.subject, "to": _names(row), "trouble": str(row.last_error_kind)},
    )


def tell_not_delivered(row: OutgoingMessage, recipients: Iterable[OutgoingRecipient], *, came_back: bool) -> None:
    """Some people did not get a mail that was sent: refused at once, or `came_back` as a report."""
    addresses = [one.address for one in recipients][:NAMED]
    if not addresses:
        return
    notify(
        user=_whom(row),
        kind=Kind.MAIL_RETURNED,
        key=f"returned:{row.pk}",
        email_account=row.email_account,
        data={"outgoing": row.pk, "subject": row.subject, "addresses": addresses, "came_back": came_back},
    )


def close_question(row: OutgoingMessage) -> None:
    """A person decided about it."""
    close(key=_key(row))


def _key(row: OutgoingMessage) -> str:
    return f"send:{row.pk}"


def _whom(row: OutgoingMessage) -> User:
    """The author, or the mailbox's owner where there is none or the author has no more to do with it."""
    author = row.author
    return author if author is not None and may(author, row.email_account, "see") else row.email_account.owner


def _names(row: OutgoingMessage) -> str:
    people = [str(name or address) for name, address in [*row.to, *row.cc, *row.bcc]]
    return ", ".join(people[:3]) + (f" +{len(people) - 3}" if len(people) > 3 else "")
