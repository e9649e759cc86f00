"""Writes links in bulk. Invariant: what exists (a refused link too) stays as it is, also with two workers at once."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from base.bulk import insert_rows
from linking.matching import Proposed
from linking.models import MessageLink

_ROW = ("message", "contact", "company", "reason", "evidence", "is_rejected", "created_at")


def insert_links(proposals: Sequence[Proposed]) -> None:
    """Insert these links, those that exist left alone; joins the caller's transaction."""
    now = timezone.now()
    rows = [
        (one.message_id, one.target.contact, one.target.company, one.reason, one.evidence, False, now)
        for one in proposals
    ]
    insert_rows(MessageLink, _ROW, rows, ignore_conflicts=True)
