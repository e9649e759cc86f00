"""The past of a mailbox at its own pace: paused, or within a daily budget; new mail never waits for it.

History is what lay on the server before *Yes*; what came since is new mail and is always fetched. Invariant: the budget is
taken before bytes are asked for, so it is kept whatever happens after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from accounts.models import EmailAccount
from base.prepared import ID, Prepared, PreparedValues
from mail.models import Copy, CopyState
from mail.types import Claimed
from sync.models import Attachments, Pace

MEGABYTE = 1024 * 1024
PAUSE_BETWEEN = timedelta(minutes=5)  # a download that rested so long is measured anew
MEASURED_FOR = timedelta(seconds=10)  # before there is an estimate
_ASKED = PreparedValues(
    lambda pk: EmailAccount.objects.filter(pk=pk)
    .order_by()
    .values_list(
        "answered_at", "created_at", "pace__history_paused_at", "pace__daily_megabytes", "pace__spent_on",
        "pace__spent_bytes",
    ),
    ID,
)  # fmt: skip
_TO_SPEND = Prepared(lambda pk: Pace.objects.select_for_update().filter(pk=pk))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be fetched now: copies received since `since` (None: all), history up to `history_bytes` (None: no limit)."""

    since: datetime | None = None
    history_bytes: int | None = None

    @property
    def from_then_on(self) -> datetime | None:
        """Only copies received since then may be fetched, and those without a time; None: all."""
        return None if self.history_bytes is None or self.history_bytes > 0 else self.since

    @property
    def allows(self) -> Q:
        """The copies that may be fetched."""
        since = self.from_then_on
        return Q() if since is None else Q(received_at__isnull=True) | Q(received_at__gte=since)

    @property
    def is_simple(self) -> bool:
        """Whether all of the past may be fetched or nothing of it: no budget has to be counted."""
        return not self.history_bytes

    def is_history(self, copy: Claimed) -> bool:
        """Whether this copy lay there before *Yes*."""
        return self.since is not None and copy.received_at is not None and copy.received_at < self.since


def allowance(email_account_id: int) -> Allowance:
    """What may be fetched of this mailbox now. Raises EmailAccount.DoesNotExist."""
    for answered_at, created_at, paused_at, megabytes, spent_on, spent_bytes in _ASKED.fetch(email_account_id):
        left = 0 if paused_at is not None else _left(megabytes, spent_on, spent_bytes)
        return Allowance(answered_at or created_at, left)
    raise EmailAccount.DoesNotExist


def left_today(pace: Pace) -> int | None:
    """Bytes left of today's budget; None without one."""
    return _left(pace.daily_megabytes, pace.spent_on, pace.spent_bytes)


def _left(megabytes: int | None, spent_on: date | None, spent_bytes: int) -> int | None:
    if megabytes is None:
        return None
    return max(0, megabytes * MEGABYTE - (spent_bytes if spent_on == timezone.now().date() else 0))


def within(copies: list[Claimed], allowed: Allowance) -> list[Claimed]:
    """Of these (newest first) what the allowance covers: the last one may go beyond it, so that a big one is no stop."""
    if allowed.history_bytes is None:
        return copies
    left, kept = allowed.history_bytes, []
    for copy in copies:
        if allowed.is_history(copy):
            if left <= 0:
                continue
            left -= copy.size or 0
        kept.append(copy)
    return kept


@transaction.atomic
def spend(email_account_id: int, count: int) -> None:
    """Write down that `count` bytes of the past are being fetched, in the caller's transaction."""
    now = timezone.now()
    found = _TO_SPEND.fetch(email_account_id)
    pace = found[0] if found else Pace.objects.select_for_update().get_or_create(email_account_id=email_account_id)[0]
    if pace.spent_on != now.date():
        pace.spent_on, pace.spent_bytes = now.date(), 0
    if pace.last_at is None or not pace.last_at <= now <= pace.last_at + PAUSE_BETWEEN:
        pace.began_at, pace.went_bytes = now, 0
    pace.spent_bytes += count
    pace.went_bytes += count
    pace.last_at = now
    pace.save(update_fields=["spent_on", "spent_bytes", "began_at", "went_bytes", "last_at"])


@dataclass(frozen=True, slots=True)
class History:
    """How far the past has come: copies and bytes that wait, all copies of it; `state` is running | paused | spent | done;
    `seconds` until it is done, None where that cannot be said."""

    waiting: int
    waiting_bytes: int
    total: int
    state: str
    seconds: float | None

    @property
    def stored(self) -> int:
        """Copies of the past that no longer wait."""
        return self.total - self.waiting


def history(email_account: EmailAccount) -> History:
    """The past of a mailbox, as the settings page shows it."""
    since = email_account.answered_at or email_account.created_at
    past = Copy.objects.filter(
        email_account=email_account, received_at__lt=since, is_out_of_scope=False, missing_since=None
    )
    found = past.filter(state=CopyState.PENDING).aggregate(bytes=Sum("size"))
    waiting = past.filter(state=CopyState.PENDING).count()
    pace = _pace_of(email_account)
    state = "running" if waiting else "done"
    if waiting and pace is not None:
        state = "paused" if pace.history_paused_at else "spent" if left_today(pace) == 0 else state
    seconds = _seconds(pace, found["bytes"] or 0) if state in ("running", "spent") else None
    return History(waiting, found["bytes"] or 0, past.count() if waiting else 0, state, seconds)


def _seconds(pace: Pace | None, waiting_bytes: int) -> float | None:
    """By the speed of the download that goes on, and not faster than the budget."""
    estimates = []
    if pace is not None and pace.daily_megabytes:
        beyond_today = waiting_bytes - (left_today(pace) or 0)
        estimates.append(max(0.0, beyond_today / (pace.daily_megabytes * MEGABYTE)) * 86_400)
    if pace is not None and pace.began_at and pace.last_at and pace.last_at - pace.began_at >= MEASURED_FOR:
        estimates.append(waiting_bytes * (pace.last_at - pace.began_at).total_seconds() / max(1, pace.went_bytes))
    return max(estimates, default=None)


def set_history_paused(email_account: EmailAccount, *, is_paused: bool) -> None:
    """Pause the past or go on with it; new mail comes in either case."""
    Pace.objects.update_or_create(
        email_account=email_account, defaults={"history_paused_at": timezone.now() if is_paused else None}
    )


def change_pace(email_account: EmailAccount, *, daily_megabytes: int | None, attachments: str) -> None:
    """Set the daily budget (None: no limit) and which attachments are kept. Raises ValueError for an unknown choice."""
    values = {"daily_megabytes": daily_megabytes or None, "attachments": Attachments(attachments)}
    Pace.objects.update_or_create(email_account=email_account, defaults=values)


def attachments_of(email_account_id: int) -> str:
    """Which attachments this mailbox keeps unasked."""
    found = Pace.objects.filter(pk=email_account_id).values_list("attachments", flat=True).first()
    return found or Attachments.ON_DEMAND


def _pace_of(email_account: EmailAccount) -> Pace | None:
    return Pace.objects.filter(pk=email_account.pk).first()
