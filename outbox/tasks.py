"""Doorbells: each takes an id, calls one function, may run twice, ends within minutes (the server's verdict on a mail).

Ring `advance.delay_on_commit(outgoing_id)` after *Send* (its ten seconds are waited for by the tick), *Try again*, *Send
now*; `read_drafts.delay(email_account_id)` when the list of drafts is opened.
"""

from __future__ import annotations

from celery import shared_task

from outbox import bounces, delivery, server_drafts


@shared_task
def advance(outgoing_id: int) -> None:
    """All that is due for one outgoing message: send, look up, file, mark, keep its draft on the server."""
    delivery.advance(outgoing_id)


@shared_task
def read_drafts(email_account_id: int) -> None:
    """Take in what other programs left in the server's Drafts folder."""
    server_drafts.read_drafts(email_account_id)


@shared_task
def note_bounces(message_ids: list[int]) -> None:
    """Look at stored mail that may report a failed delivery."""
    bounces.note_bounces(message_ids)
