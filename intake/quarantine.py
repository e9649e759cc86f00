"""A message that cannot be read is parked: its raw source is kept, the ledger says why, its folder goes on."""

from __future__ import annotations

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils.crypto import get_random_string

from mail.models import Copy, CopyState
from mail.types import Claimed

log = structlog.get_logger(__name__)
RAW_KEPT = 32 * 1024 * 1024  # bytes; the server keeps the whole


def park(copy: Copy | Claimed, raw: bytes, reason: str) -> None:
    """Keep the raw source (capped) and settle the copy as failed with its reason."""
    name = copy.raw or _keep(copy, raw)
    Copy.objects.filter(pk=copy.pk).update(
        state=CopyState.FAILED, reason=reason[:300], raw=name, claimed_by="", claimed_until=None
    )


def _keep(copy: Copy | Claimed, raw: bytes) -> str:
    """The name of the kept source; "" without one, or where the disk takes no more: the server still has it."""
    if not raw:
        return ""
    wanted = f"quarantine/{copy.email_account_id}/{copy.pk}-{get_random_string(8)}.eml"
    try:
        return storages["mail"].save(wanted, ContentFile(raw[:RAW_KEPT]))
    except OSError as error:
        log.warning("source_not_kept", copy=copy.pk, error=type(error).__name__)
        return ""
