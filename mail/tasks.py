"""Doorbells of the mail store."""

from __future__ import annotations

from celery import shared_task

from mail.erase import erase_mail


@shared_task(ignore_result=True)
def erase_email_account(email_account_id: int) -> None:
    """Erase a removed mailbox, a minute's slice at a time."""
    if not erase_mail(email_account_id):
        erase_email_account.delay(email_account_id)
