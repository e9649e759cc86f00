"""Composes the rooms: settings, urls, celery, asgi. Knows no rule of the business."""

from crm_mail.celery import app as celery_app

__all__ = ["celery_app"]
