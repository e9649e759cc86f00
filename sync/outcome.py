"""What a run leaves in the email account's row, and who is told: success, or an error with when to try again."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from accounts.models import AccountState, EmailAccount
from base.bulk import update_rows
from drivers.errors import DriverError, ServerUnreachable
from mail.models import Folder
from notifications.models import Kind
from notifications.services import close, notify
from sync.listener_rows import is_listened
from sync.policy import decide

OTHER_FOLDERS_SECONDS = 120  # between two looks at folders that no line watches
GO_ON = timedelta(seconds=1)  # after a line that broke in the middle of work
NO_TROUBLE = {"failures": 0, "last_error_kind": "", "last_error_said": ""}
TOLD_AFTER = 4  # failures in a row before trouble is told


def trouble_key(email_account: EmailAccount) -> str:
    """The one open notification about receiving of this mailbox."""
    return f"receiving:{email_account.pk}"


def poll_interval(email_account: EmailAccount) -> timedelta:
    """Until the next look that nobody asked for: a mailbox whose line stands is looked at less often.

    A line watches the inbox alone: where mail is sorted into other folders, too, they are looked at more often.
    """
    if not is_listened(email_account.pk):
        return timedelta(seconds=settings.MAIL_POLL_SECONDS)
    sorted_into = Folder.objects.filter(email_account=email_account, is_followed=True, gone_at=None, on_server__gt=0)
    longest = settings.MAIL_LISTENED_POLL_SECONDS
    if sorted_into.exclude(role__in=("inbox", "sent", "drafts")).exists():
        longest = min(longest, max(settings.MAIL_POLL_SECONDS, OTHER_FOLDERS_SECONDS))
    return timedelta(seconds=longest)


def succeeded(email_account: EmailAccount, *, new_messages: int) -> None:
    """The mailbox was read to its end."""
    now = timezone.now()
    had_trouble = email_account.failures > 0 or bool(email_account.last_error_kind)
    values = {"last_sync_at": now, "next_sync_at": now + poll_interval(email_account), **NO_TROUBLE}
    if new_messages:
        values["last_new_mail_at"] = now
    update_rows(EmailAccount, tuple(values), [(*values.values(), email_account.pk)])
    if had_trouble:
        close(key=trouble_key(email_account))


def failed(email_account: EmailAccount, error: DriverError, *, has_progressed: bool = False) -> None:
    """The mailbox could not be read: nothing is lost, say when we try again, and ask the person where only they can mend.

    A run that `has_progressed` before its line broke is no failure in a row: it goes on soon where it ended.
    """
    now = timezone.now()
    if has_progressed and isinstance(error, ServerUnreachable):
        EmailAccount.objects.filter(pk=email_account.pk).update(failures=0, next_sync_at=now + GO_ON, last_error_at=now)
        return
    action = decide(error, email_account.failures + 1)
    EmailAccount.objects.filter(pk=email_account.pk).update(
        failures=F("failures") + 1,
        last_error_kind=action.kind,
        last_error_said=error.server_said,
        last_error_at=now,
        next_sync_at=now + timedelta(seconds=action.delay),
    )
    if action.asks_person:
        EmailAccount.objects.filter(pk=email_account.pk, state=AccountState.ACTIVE).update(
            state=AccountState.NEEDS_SIGN_IN
        )
        _tell(email_account, Kind.SIGN_IN_AGAIN, action.kind)
    elif email_account.failures + 1 == TOLD_AFTER:
        _tell(email_account, Kind.SYNC_TROUBLE, action.kind)


def _tell(email_account: EmailAccount, kind: Kind, error_kind: str) -> None:
    notify(
        user=email_account.owner,
        kind=kind,
        key=trouble_key(email_account),
        email_account=email_account,
        data={"address": email_account.address, "error": error_kind},
    )
