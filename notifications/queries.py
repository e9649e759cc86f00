"""What a user must know, newest first. Invariant: a notification is seen by its own user only."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from django.db.models import Q, QuerySet

from accounts.shares import visible_accounts
from notifications.models import Notification

SHOWN = 200  # newest notifications on the page
COUNTED = 5000  # open questions of a user, at most


def visible_notifications(user: Any) -> QuerySet[Notification]:
    """Notifications of `user`, without those about a mailbox that is not shared with them any more."""
    mine = Notification.objects.filter(user=user)
    return mine.filter(Q(email_account__isnull=True) | Q(email_account__in=visible_accounts(user)))


def open_questions(user: Any) -> list[Notification]:
    """What waits for an answer, newest first."""
    return list(
        visible_notifications(user)
        .filter(needs_answer=True, closed_at__isnull=True)
        .select_related("email_account")[:SHOWN]
    )


def news(user: Any) -> list[Notification]:
    """The rest: news, and questions that were answered."""
    rows = visible_notifications(user).filter(Q(needs_answer=False) | Q(closed_at__isnull=False))
    return list(rows.select_related("email_account")[:SHOWN])


def needs_you_count(user: Any, seen: Container[int]) -> int:
    """How many wait for an answer. `seen`: ids of the mailboxes whose mail they may read."""
    rows = Notification.objects.filter(user=user, needs_answer=True, closed_at__isnull=True).order_by()
    return sum(pk is None or pk in seen for pk in rows.values_list("email_account_id", flat=True)[:COUNTED])


def unread_count(user: Any) -> int:
    """How many were not read yet."""
    return visible_notifications(user).filter(read_at__isnull=True, closed_at__isnull=True).count()
