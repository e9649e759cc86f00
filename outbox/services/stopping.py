"""The administrator's stop: while it holds, nothing leaves this installation. What is queued waits."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from outbox.models import SendingStop


@transaction.atomic
def stop_sending(*, user: Any = None, reason: str = "") -> SendingStop:
    """Stop all sending, at once for what has not left yet; returns the stop that holds."""
    found = SendingStop.objects.first()
    return found or SendingStop.objects.create(stopped_by=user, reason=reason[:300])


def start_sending() -> bool:
    """Let mail leave again; True if it was stopped."""
    return bool(SendingStop.objects.all().delete()[0])


def sending_stop() -> SendingStop | None:
    """The stop that holds, None while mail may leave."""
    return SendingStop.objects.first()
