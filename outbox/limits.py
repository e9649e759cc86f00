"""How much may be sent: recipients in the last hour, per person and per email account, counted from rows."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox.errors import LimitReached
from outbox.models import OutgoingMessage, OutgoingRecipient

WINDOW = timedelta(hours=1)


def require_within_limits(row: OutgoingMessage, count: int) -> None:
    """Raises LimitReached when `count` more recipients would be too many in this hour."""
    recent = OutgoingRecipient.objects.filter(message__queued_at__gt=timezone.now() - WINDOW).exclude(message=row)
    if row.author_id is not None:
        _require(recent.filter(message__author=row.author_id), count, settings.SEND_PER_HOUR_USER)
    _require(recent.filter(message__email_account=row.email_account_id), count, settings.SEND_PER_HOUR_ACCOUNT)


def _require(recent: QuerySet[OutgoingRecipient], count: int, most: int) -> None:
    if recent.count() + count <= most:
        return
    oldest = recent.aggregate(oldest=Min("message__queued_at"))["oldest"]
    raise LimitReached(
        _("At most %(most)s recipients an hour may be written to. The draft is kept: send it later.") % {"most": most},
        free_at=oldest + WINDOW if oldest else None,
    )
