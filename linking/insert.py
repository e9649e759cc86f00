"""Writes links in bulk. Invariant: what exists (a refused link too) stays as it is, also with two workers at once.

Hand-written SQL for both databases: `bulk_create` spends more time on its statement than the rest of linking takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import connection
from django.utils import timezone

from linking.matching import Proposed

_COLUMNS = (
    "INSERT INTO linking_messagelink (message_id, contact_id, company_id, reason, evidence, is_rejected, created_at)"
)
_ONE_BY_ONE = f"{_COLUMNS} VALUES (%s, %s, %s, %s, %s, FALSE, %s) ON CONFLICT DO NOTHING"  # noqa: S608 - no value in it
_ALL_AT_ONCE = (  # arrays: one statement to parse and one round trip, whatever the number of rows
    f"{_COLUMNS} SELECT message, contact, company, reason, evidence::jsonb, FALSE, %s"  # noqa: S608
    " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])"
    " AS row (message, contact, company, reason, evidence) ON CONFLICT DO NOTHING"
)


def insert_links(proposals: Sequence[Proposed]) -> None:
    """Insert these links, those that exist left alone; joins the caller's transaction."""
    if not proposals:
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    rows = [
        (each.message_id, each.target.contact, each.target.company, str(each.reason), _json(each.evidence))
        for each in proposals
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_ALL_AT_ONCE, [now, *(list(column) for column in zip(*rows, strict=True))])
        else:
            cursor.executemany(_ONE_BY_ONE, [(*row, now) for row in rows])


def _json(evidence: dict[str, object]) -> str:
    return json.dumps(evidence)
