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
_ALL_AT_ONCE = (  # one JSON value: one statement, one parameter to bind, whatever the number of rows
    f"{_COLUMNS} SELECT m, c, o, r, e, FALSE, %s FROM"  # noqa: S608
    " jsonb_to_recordset(%s::jsonb) AS row (m bigint, c bigint, o bigint, r text, e jsonb) ON CONFLICT DO NOTHING"
)


def insert_links(proposals: Sequence[Proposed]) -> None:
    """Insert these links, those that exist left alone; joins the caller's transaction."""
    if not proposals:
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            records = [
                {
                    "m": one.message_id,
                    "c": one.target.contact,
                    "o": one.target.company,
                    "r": one.reason,
                    "e": one.evidence,
                }
                for one in proposals
            ]
            cursor.execute(_ALL_AT_ONCE, [now, json.dumps(records)])
        else:
            rows = [
                (one.message_id, one.target.contact, one.target.company, one.reason, json.dumps(one.evidence), now)
                for one in proposals
            ]
            cursor.executemany(_ONE_BY_ONE, rows)
