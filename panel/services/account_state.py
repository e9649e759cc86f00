"""How an email account is doing, in words, for the settings and the list of email accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import AccountState, EmailAccount
from accounts.setup_errors import explain
from mail.models import Copy, CopyState

TOLD_AFTER = 3  # failures in a row before a person is bothered
OTHERS_MEND = ("permission", "oauth_application")  # whom to ask is said: there is no button for it


@dataclass(frozen=True, slots=True)
class StateLine:
    """One line: `tone` ok | warn | bad | "", `symbol` a lucide name, `at` since or last time, `pending` to download."""

    tone: str
    symbol: str
    text: str
    at: datetime | None = None
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """A banner until it is mended: `action` sign_in | sync | "" is the button."""

    title: str
    meaning: str
    why: str
    action: str
    link: str = ""
    label: str = ""
    said: str = ""
    is_danger: bool = True


def pending_counts(accounts: Sequence[EmailAccount]) -> dict[int, int]:
    """Messages still to download per email account, in one query on the partial index."""
    rows = Copy.objects.filter(
        email_account__in=[account.pk for account in accounts], state=CopyState.PENDING, is_out_of_scope=False
    )
    return dict(rows.order_by().values("email_account").annotate(n=Count("pk")).values_list("email_account", "n"))


def state_lines(accounts: Sequence[EmailAccount]) -> list[tuple[EmailAccount, StateLine]]:
    """Each email account with its line; two queries at most."""
    pending = pending_counts(accounts) if accounts else {}
    return [(account, state_line(account, pending.get(account.pk, 0))) for account in accounts]


def state_line(account: EmailAccount, pending: int = 0) -> StateLine:
    """The line of one email account."""
    fixed = {
        AccountState.NEEDS_SIGN_IN: StateLine("bad", "circle-alert", _("Sign in again"), account.last_error_at),
        AccountState.PAUSED: StateLine("", "circle-pause", _("Paused"), account.last_sync_at),
        AccountState.CONNECTED: StateLine(
            "warn", "circle-question-mark", _("Waits for your answer"), account.created_at
        ),
        AccountState.REMOVED: StateLine("", "circle-stop", _("Stopped, mail kept"), account.last_sync_at),
        AccountState.ERASING: StateLine("", "trash-2", _("Being erased")),
        AccountState.SETUP: StateLine("", "circle-dashed", _("Being set up")),
    }
    if account.state in fixed:
        return fixed[AccountState(account.state)]
    if account.failures >= TOLD_AFTER:
        return StateLine("bad", "circle-alert", _("Receiving has stopped"), account.last_error_at, pending)
    if pending:
        words = ngettext("Downloading, %(count)d to go", "Downloading, %(count)d to go", pending) % {"count": pending}
        return StateLine("", "circle-arrow-down", words, None, pending)
    if account.last_sync_at is None:
        return StateLine("", "circle-arrow-down", _("Beginning"), None)
    return StateLine("ok", "circle-check", _("Up to date"), account.last_sync_at)


def _told_as(account: EmailAccount) -> str:
    """The kind to explain: a server that refused the sign-in refused the password, or the token of a person."""
    kind = account.last_error_kind or "password"
    if kind != "sign_in":
        return kind
    return (
        "oauth_refused" if getattr(account, "credential", None) and account.credential.kind == "oauth2" else "password"
    )


def trouble_of(account: EmailAccount, host: str = "") -> Trouble | None:
    """What is wrong and how to mend it; None while all is well or trouble is young and mends itself."""
    needs_sign_in = account.state == AccountState.NEEDS_SIGN_IN
    if not needs_sign_in and not (account.state == AccountState.ACTIVE and account.failures):
        return None
    kind = _told_as(account)
    told = explain(kind, provider=account.provider, host=host)
    name = account.provider.name if account.provider else host
    title = _("%(name)s no longer accepts the password.") % {"name": name} if kind == "password" else told.title
    refused = ngettext("%(count)d try failed since", "%(count)d tries failed since", account.failures)
    why = refused % {"count": account.failures}
    return Trouble(
        title=title,
        meaning=f"{_('Nothing was lost: new mail waits on the server.')} {told.mend if kind in OTHERS_MEND else ''}".strip(),
        why=why,
        action="sign_in" if needs_sign_in else "sync",
        link=told.link,
        label=told.label,
        said=account.last_error_said,
        is_danger=needs_sign_in or account.failures >= TOLD_AFTER,
    )
