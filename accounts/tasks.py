"""Doorbells of the wizard: rung with `delay_on_commit`; the tick rings again what is due."""

from __future__ import annotations

from celery import shared_task

from accounts import oauth_revoke, services


@shared_task(ignore_result=True)
def check_server(check_id: int) -> None:
    """One live check (receiving with its folders, or sending)."""
    services.run_check(check_id)


@shared_task(ignore_result=True)
def revoke_grants() -> None:
    """Take sign-ins of disconnected mailboxes back at their services."""
    oauth_revoke.revoke_grants()
