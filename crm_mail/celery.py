"""Celery: only the doorbell. The tick and every task re-derive due work from rows, so a lost message costs seconds."""

import os
from pathlib import Path

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")

app = Celery("crm_mail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

if not settings.REDIS_URL:
    for name in ("jobs", "control"):
        Path(settings.QUEUE_DIR / name).mkdir(parents=True, exist_ok=True)
