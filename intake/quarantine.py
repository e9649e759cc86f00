"""A message that cannot be read is parked: its raw source is kept, the ledger says why, its folder goes on."""

from __future__ import annotations

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils.crypto import get_random_string

from mail.models import Copy, CopyState

RAW_KEPT = 32 * 1024 * 1024  # bytes; the server keeps the whole


def park(copy: Copy, raw: bytes, reason: str) -> None:
    """Keep the raw source (capped) and settle the copy as failed with its reason."""
    name = copy.raw
    if raw and not name:
        wanted = f"quarantine/{copy.email_account_id}/{copy.pk}-{get_random_string(8)}.eml"
        name = storages["mail"].save(wanted, ContentFile(raw[:RAW_KEPT]))
    Copy.objects.filter(pk=copy.pk).update(
        state=CopyState.FAILED, reason=reason[:300], raw=name, claimed_by="", claimed_until=None
    )
