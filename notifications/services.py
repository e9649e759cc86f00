"""Telling users. Invariants: one open notification per (user, key); a question stays open until it is answered."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import EmailAccount, User
from notifications.models import Kind, Notification

QUESTIONS = frozenset(  # kinds that wait for a person
    {Kind.DOWNLOAD_QUESTION, Kind.SIGN_IN_AGAIN, Kind.SEND_FAILED, Kind.SEND_UNCERTAIN}
)
MAX_DATA = 2000  # characters kept of a hostile string


def notify(
    *,
    user: User,
    kind: Kind | str,
    key: str,
    email_account: EmailAccount | None = None,
    data: dict[str, Any] | None = None,
) -> Notification:
    """Tell `user` something, once: an open notification of the same key gets the new data and stays one.

    `key` (at most 120 characters) names the matter, e.g. "download:12". `data` fills the sentence of its kind; the kinds of
    QUESTIONS stay until they are answered.
    """
    needs_answer = kind in QUESTIONS
    kept = {name: value[:MAX_DATA] if isinstance(value, str) else value for name, value in (data or {}).items()}
    values = {"kind": kind, "email_account": email_account, "data": kept, "needs_answer": needs_answer}
    try:
        with transaction.atomic():
            row, is_new = Notification.objects.get_or_create(user=user, key=key[:120], closed_at=None, defaults=values)
    except IntegrityError:  # another process told it in the same moment
        row, is_new = Notification.objects.get(user=user, key=key[:120], closed_at=None), False
    if not is_new and (row.data != kept or row.kind != kind or row.needs_answer != needs_answer):
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=[*values])
    return row


def close(*, key: str, user: User | None = None) -> int:
    """The matter is answered or mended: close its open notifications (of one user, else of all). Returns how many."""
    rows = Notification.objects.filter(key=key[:120], closed_at__isnull=True)
    if user is not None:
        rows = rows.filter(user=user)
    now = timezone.now()
    rows.filter(read_at__isnull=True).update(read_at=now)
    return rows.update(closed_at=now)


def mark_read(*, user: User, ids: list[int] | None = None) -> int:
    """Mark these, or all, notifications of `user` as read. Questions stay open. Returns how many changed."""
    rows = Notification.objects.filter(user=user, read_at__isnull=True)
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    return rows.update(read_at=timezone.now())


def dismiss(*, user: User, notification_id: int) -> bool:
    """Put a piece of news away. A question cannot be dismissed; it returns False."""
    rows = Notification.objects.filter(user=user, pk=notification_id, needs_answer=False, closed_at__isnull=True)
    now = timezone.now()
    return bool(rows.update(closed_at=now, read_at=now))
