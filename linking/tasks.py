"""Tasks of linking: doorbells only, the rows say what is due."""

from celery import shared_task

from linking import past


@shared_task
def link_past_mail() -> None:
    """Link some noted mail of the past; rings again while some is left."""
    past.link_past_mail(limit=20_000)
    if not past.is_past_mail_linked():
        link_past_mail.delay()
