"""Who may do what with outgoing mail. Invariant: a draft is its author's alone; all else follows the mailbox's shares.

Every write locks the row first, so that two tabs, a worker and a person never decide at once.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from accounts.models import AccountState, EmailAccount
from accounts.shares import may
from outbox.errors import NotAllowed, WrongState
from outbox.models import OutgoingMessage, SendState

NOT_SENDING = (AccountState.SETUP, AccountState.REMOVED, AccountState.ERASING)


def require_sender(user: Any, email_account: EmailAccount) -> None:
    """Raises NotAllowed unless `user` may send with this email account and it can send."""
    is_away = email_account.state in NOT_SENDING
    if is_away or not email_account.can_send or not may(user, email_account, "send"):
        raise NotAllowed(_("You may not send with this email account. Nothing was sent. Choose another sender."))


def lock(message: OutgoingMessage) -> OutgoingMessage:
    """The row, fresh and locked; the caller is inside a transaction. Raises NotAllowed when it is gone."""
    rows = OutgoingMessage.objects.select_for_update(of=("self",)).select_related("email_account", "original")
    found = rows.filter(pk=message.pk).first()
    if found is None:
        raise NotAllowed(_("This email is no longer here. It was discarded, perhaps in another window."))
    return found


def lock_draft(user: Any, draft: OutgoingMessage) -> OutgoingMessage:
    """The draft, locked. Raises NotAllowed (not the author's, or no right any more) or WrongState (no draft any more)."""
    row = lock(draft)
    if row.author_id != user.pk:
        raise NotAllowed(_("This draft is somebody else's. It was not changed."))
    require_sender(user, row.email_account)
    if row.state != SendState.DRAFT:
        raise WrongState(_("This email is no longer a draft: it was sent or queued, perhaps in another window."), row)
    return row


def lock_outgoing(user: Any, message: OutgoingMessage) -> OutgoingMessage:
    """A queued or later message, locked, for somebody who may send with its email account."""
    row = lock(message)
    require_sender(user, row.email_account)
    if row.state in (SendState.DRAFT, SendState.DISCARDED) and row.author_id != user.pk:
        raise NotAllowed(_("This draft is somebody else's. It was not changed."))
    return row
