"""Attachments that are kept unasked, by the mailbox's setting: after the emails, a few at a time, newest first.

Invariants: nothing is begun while emails wait; the cache's cap and the daily budget hold; what cannot be had is left.
"""

from __future__ import annotations

import time

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Sum

from accounts.models import AccountState, EmailAccount
from drivers.errors import DriverError, MessageGone
from linking.models import MessageLink
from mail.models import Copy, CopyState, Part
from sync import claims, pace
from sync.models import Attachments
from sync.parts import PartTooLarge, keep_part

log = structlog.get_logger(__name__)
SECONDS = 20.0  # of a slice: the connection is free for others after it
AT_ONCE = 50


def wanted(email_account_id: int) -> QuerySet[Part]:
    """The attachments that this mailbox wants and does not have, newest first."""
    here = Copy.objects.filter(message=OuterRef("message"), state=CopyState.STORED, missing_since=None)
    parts = Part.objects.filter(Exists(here), message__email_account=email_account_id, stored="", stored_at=None)
    choice = pace.attachments_of(email_account_id)
    if choice == Attachments.ON_DEMAND:
        return parts.none()
    if choice == Attachments.LINKED:
        parts = parts.filter(Exists(MessageLink.objects.filter(message=OuterRef("message"), is_rejected=False)))
    return parts.select_related("message").order_by("-message__received_at", "pk")


def is_wanted(email_account_id: int) -> bool:
    """Whether there is something to do: no email waits, there is room and budget, an attachment is missing."""
    if pace.attachments_of(email_account_id) == Attachments.ON_DEMAND or claims.is_waiting(email_account_id):
        return False
    return _room(email_account_id) > 0 and wanted(email_account_id).exists()


def _room(email_account_id: int) -> int:
    used = Part.objects.exclude(stored="").aggregate(total=Sum("size"))["total"] or 0
    left = pace.allowance(email_account_id).history_bytes
    room = settings.MAIL_PART_CACHE_BYTES * 9 // 10 - used
    return room if left is None else min(room, left)


def fetch_some(email_account_id: int) -> int:
    """One slice; returns how many attachments were fetched. Errors of the server end it: the next run goes on."""
    account = EmailAccount.objects.get(pk=email_account_id)
    if account.state != AccountState.ACTIVE or not is_wanted(email_account_id):
        return 0
    room, end, done = _room(email_account_id), time.monotonic() + SECONDS, 0
    for part in wanted(email_account_id)[:AT_ONCE]:
        if time.monotonic() >= end or part.size > room:
            break
        try:
            keep_part(part)
        except (MessageGone, PartTooLarge):
            continue
        except DriverError as error:
            log.info("attachments_stopped", email_account=email_account_id, error=type(error).__name__)
            break
        pace.spend(email_account_id, part.size)
        room -= part.size
        done += 1
    return done
