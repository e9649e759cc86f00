"""What a person changes about a connected email account: the first answer, download, sending, sharing, removal.

Invariant: nothing is downloaded before the first answer; `since` is fixed on the day a period is chosen; widening or
narrowing changes only `since` and asks sync to look again, it removes nothing here.
"""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts.models import AccountState, Credential, EmailAccount, EmailAccountShare, Period, ShareLevel, User
from accounts.oauth_revoke import plan_revocation
from accounts.setup import SENDING, since_for
from base.addresses import clean_line


def answer_download(email_account: EmailAccount, *, yes: bool, today: date | None = None) -> EmailAccount:
    """The answer to "Download the emails of the last week?", or the end of *Change settings*: from now on active.

    With `yes` False nothing older than `today` is downloaded, new mail is.
    """
    today = today or timezone.localdate()
    email_account.since = since_for(email_account.period, today) if yes else today
    email_account.answered_at = timezone.now()
    email_account.state = AccountState.ACTIVE
    email_account.sync_requested_at = timezone.now()
    email_account.save(update_fields=["since", "answered_at", "state", "sync_requested_at"])
    return email_account


def change_download(
    email_account: EmailAccount, *, period: str, auto_download: bool, today: date | None = None
) -> EmailAccount:
    """Another period (its first day counted from `today`) and whether new mail comes by itself."""
    period = Period(period).value
    if period != email_account.period or email_account.answered_at is None:
        email_account.period = period
        email_account.since = since_for(period, today or timezone.localdate())
        email_account.sync_requested_at = timezone.now() if email_account.answered_at else None
    email_account.auto_download = auto_download
    email_account.save(update_fields=["period", "since", "sync_requested_at", "auto_download"])
    return email_account


def change_signature(email_account: EmailAccount, *, display_name: str, signature_html: str) -> EmailAccount:
    """The name that receivers see and the signature, already cleaned HTML."""
    email_account.display_name = clean_line(display_name, 200)
    email_account.signature_html = signature_html
    email_account.save(update_fields=["display_name", "signature_html"])
    return email_account


def change_touching(email_account: EmailAccount, *, is_read_only: bool) -> EmailAccount:
    """Whether changes made here stay here: while on, nothing is ever changed on its server; off, they are sent."""
    email_account.is_read_only = is_read_only
    email_account.save(update_fields=["is_read_only"])
    return email_account


@transaction.atomic
def change_sending(email_account: EmailAccount, *, can_send: bool, is_default_sender: bool) -> EmailAccount:
    """Whether mail may be sent with it (only where a sending server is known), and the owner's default sender."""
    email_account.can_send = can_send and email_account.servers.filter(protocol__in=SENDING).exists()
    email_account.is_default_sender = is_default_sender and email_account.can_send
    if email_account.is_default_sender:
        others = EmailAccount.objects.filter(owner_id=email_account.owner_id).exclude(pk=email_account.pk)
        others.update(is_default_sender=False)
    email_account.save(update_fields=["can_send", "is_default_sender"])
    return email_account


def _go(email_account: EmailAccount, *, allowed: tuple[str, ...], to: str) -> bool:
    changed = EmailAccount.objects.filter(pk=email_account.pk, state__in=allowed).update(state=to)
    email_account.refresh_from_db(fields=["state"])
    return bool(changed)


def pause(email_account: EmailAccount) -> bool:
    """Stop receiving until resumed; returns whether it was active."""
    return _go(email_account, allowed=(AccountState.ACTIVE,), to=AccountState.PAUSED)


def resume(email_account: EmailAccount) -> bool:
    """Receive again, beginning now; returns whether it was paused."""
    resumed = _go(email_account, allowed=(AccountState.PAUSED,), to=AccountState.ACTIVE)
    return resumed and request_sync(email_account)


def request_sync(email_account: EmailAccount) -> bool:
    """A person asks for a sync now; returns False where the state forbids it."""
    now = timezone.now()
    asked = EmailAccount.objects.filter(pk=email_account.pk, state=AccountState.ACTIVE).update(
        sync_requested_at=now, next_sync_at=now
    )
    return bool(asked)


@transaction.atomic
def remove_email_account(email_account: EmailAccount, *, erase: bool) -> None:
    """Stop for good; its secret goes at once. Without `erase` its mail stays readable; with it the row says *erasing*
    and mail.erase deletes everything in slices. Nothing on the mail server is changed; a sign-in without a password is
    taken back at its service, where it has an endpoint for that.
    """
    plan_revocation(email_account)
    Credential.objects.filter(email_account=email_account).delete()
    email_account.state = AccountState.ERASING if erase else AccountState.REMOVED
    email_account.is_default_sender = False
    email_account.sync_requested_at = None
    email_account.next_sync_at = None
    email_account.save(update_fields=["state", "is_default_sender", "sync_requested_at", "next_sync_at"])


def share(
    email_account: EmailAccount, *, level: str, user: User | None = None, group: Group | None = None
) -> EmailAccountShare:
    """Let a user or a group see, send with or set up this mailbox. Raises ValueError for neither, both or the owner."""
    if (user is None) == (group is None) or (user is not None and user.pk == email_account.owner_id):
        raise ValueError("share with one user or one group, not with the owner")
    row, _created = EmailAccountShare.objects.update_or_create(
        email_account=email_account, user=user, group=group, defaults={"level": ShareLevel(level).value}
    )
    return row


def unshare(email_account: EmailAccount, *, share_id: int) -> None:
    """Take a share back."""
    EmailAccountShare.objects.filter(email_account=email_account, pk=share_id).delete()
