"""Claims: several workers fetch one mailbox, each its own slice of pending rows, newest first.

A claim lives 20 s and is renewed while its holder lives; settling checks that the row is still pending, so even a claim
that ran out costs a second fetch, never a second message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from base.arrays import one_of
from base.persistence import do_not_wait_for_the_disk
from base.plans import read_in_order
from base.process import is_dead
from mail.models import Copy, CopyState
from mail.types import Claimed
from sync import pace

LIFE = timedelta(seconds=20)
RENEWED_BELOW = LIFE - timedelta(seconds=6)  # left of a claim; a heart beats every 4 s
ATTEMPTS = 3  # fetches that brought nothing, before a copy is said to be unreadable

_COLUMNS = tuple(field.name for field in fields(Claimed))
_NEVER = datetime.min.replace(tzinfo=UTC)
_TAKE = f"""
    WITH free AS MATERIALIZED (
        SELECT id FROM mail_copy
        WHERE email_account_id = %s AND state = %s AND NOT is_out_of_scope AND missing_since IS NULL
            AND (claimed_until IS NULL OR claimed_until < statement_timestamp())
            AND coalesce(received_at >= %s::timestamptz, true)
        ORDER BY received_at DESC, uid DESC LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE mail_copy AS held SET claimed_by = %s, claimed_until = statement_timestamp() + make_interval(secs => %s)
    FROM free WHERE held.id = free.id RETURNING {", ".join(f"held.{name}" for name in _COLUMNS)}
"""  # noqa: S608 - names of our own columns

FREE = Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())


def _open(email_account_id: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a queryset
    return Copy.objects.filter(
        email_account_id=email_account_id, state=CopyState.PENDING, is_out_of_scope=False, missing_since__isnull=True
    )


def _allowed(email_account_id: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a queryset
    return _open(email_account_id).filter(pace.allowance(email_account_id).allows)


@transaction.atomic
def claim(email_account_id: int, holder: str, limit: int) -> list[Claimed]:
    """The newest unclaimed pending copies, now ours; at most `limit`."""
    do_not_wait_for_the_disk()
    read_in_order()
    allowed = pace.allowance(email_account_id)
    take = _take_at_once if connection.vendor == "postgresql" and allowed.is_simple else _take
    copies = take(email_account_id, holder, limit, allowed)
    if past := sum(copy.size or 0 for copy in copies if allowed.is_history(copy)):
        pace.spend(email_account_id, past)
    return copies


def _take(email_account_id: int, holder: str, limit: int, allowed: pace.Allowance) -> list[Claimed]:
    """Choose, then claim: what a budget covers is known only when the copies are."""
    rows = _open(email_account_id).filter(FREE, allowed.allows).order_by("-received_at", "-uid")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    copies = pace.within([Claimed(*row) for row in rows.values_list(*_COLUMNS)[:limit]], allowed)
    Copy.objects.filter(one_of("pk", [copy.id for copy in copies])).update(
        claimed_by=holder, claimed_until=Now() + LIFE
    )
    return copies


def _take_at_once(email_account_id: int, holder: str, limit: int, allowed: pace.Allowance) -> list[Claimed]:
    """The same by one statement of PostgreSQL: to read rows, lock them and then change them is half as dear again."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            [email_account_id, CopyState.PENDING.value, allowed.from_then_on, limit, holder, LIFE.total_seconds()],
        )
        copies = [Claimed(*row) for row in cursor.fetchall()]
    return sorted(copies, key=_age, reverse=True)


def _age(copy: Claimed) -> tuple[bool, datetime, int]:
    return copy.received_at is not None, copy.received_at or _NEVER, copy.uid or 0


def renew(holder: str) -> None:
    """The holder lives; what it claimed just now runs on as it is."""
    mine = Copy.objects.filter(state=CopyState.PENDING, claimed_by=holder, claimed_until__lt=Now() + RENEWED_BELOW)
    mine.update(claimed_until=Now() + LIFE)


def free_dead(email_account_id: int) -> None:
    """Give back what processes claimed that are known to be dead (others' claims run out by themselves)."""
    claimed = Copy.objects.filter(email_account_id=email_account_id, state=CopyState.PENDING).exclude(claimed_by="")
    for holder in set(claimed.order_by().values_list("claimed_by", flat=True).distinct()):
        if is_dead(holder):
            give_back(holder)


def give_back(holder: str) -> None:
    """The holder ends: what it did not settle is free at once."""
    Copy.objects.filter(state=CopyState.PENDING, claimed_by=holder).update(claimed_by="", claimed_until=None)


def not_brought(copies: Sequence[Claimed], reason: str) -> None:
    """The server did not bring these: perhaps gone (sync.absences looks), after three tries failed."""
    if not copies:
        return
    ids = [copy.pk for copy in copies]
    Copy.objects.filter(pk__in=ids).update(
        attempts=F("attempts") + 1, claimed_by="", claimed_until=None, missing_since=Now()
    )
    Copy.objects.filter(pk__in=ids, attempts__gte=ATTEMPTS, state=CopyState.PENDING).update(
        state=CopyState.FAILED, reason=reason[:300], missing_since=None
    )


def count_waiting(email_account_id: int, most: int) -> int:
    """How many pending copies are left, claimed or not, counted up to `most`."""
    return _allowed(email_account_id)[:most].count()


def count_free(email_account_id: int, most: int) -> int:
    """How many pending copies are left that nobody fetches, counted up to `most`."""
    return _allowed(email_account_id).filter(FREE)[:most].count()


def being_fetched(most: int) -> list[int]:
    """Email accounts with copies that somebody fetches just now, at most `most`."""
    live = Copy.objects.filter(state=CopyState.PENDING, claimed_until__gt=Now()).order_by()
    return list(live.values_list("email_account_id", flat=True).distinct()[:most])


def is_free(email_account_id: int) -> bool:
    """Whether pending copies are left that nobody fetches."""
    return _allowed(email_account_id).filter(FREE).exists()


def is_waiting(email_account_id: int) -> bool:
    """Whether pending copies are left that may be fetched now, claimed or not."""
    return _allowed(email_account_id).exists()
