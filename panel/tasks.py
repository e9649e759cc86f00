"""Doorbells of the panel, for what a person waits for."""

from __future__ import annotations

from celery import shared_task

from accounts.services import run_check
from panel.services.doorbell import ring
from panel.services.wizard import announce
from sync.tasks import refresh_folders, sync_email_account


@shared_task(ignore_result=True)
def check_server(check_id: int) -> None:
    """One live check of the wizard; when its run is done: the question, and the folders."""
    run_check(check_id)
    email_account = announce(check_id)
    if email_account is not None:
        ring(sync_email_account if email_account.answered_at else refresh_folders, email_account.pk)
