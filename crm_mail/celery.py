"""Celery: only the doorbell. The tick and every task re-derive due work from rows, so a lost message costs seconds."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import Celery, signals
from django.conf import settings

from base import addresses
from base.process import WORKER_WAIT, collect_seldom
from crm_mail import checks, logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")

app = Celery("crm_mail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

if not settings.REDIS_URL:
    for name in ("jobs", "control"):
        Path(settings.QUEUE_DIR / name).mkdir(parents=True, exist_ok=True)


@signals.setup_logging.connect
def _keep_our_logs(**kwargs: Any) -> None:
    """With a receiver, Celery leaves logging as the settings made it."""
    logs.configure(settings.LOGGING)


@signals.worker_init.connect
@signals.worker_process_init.connect
def _keep_connections(**kwargs: Any) -> None:
    """A worker's look at a mailbox finds the connection of the look before."""
    import_module("accounts.kept_connections").begin()


@signals.worker_ready.connect
@signals.worker_process_init.connect
def _collect_seldom(**kwargs: Any) -> None:
    addresses.load_suffixes()  # before it would be needed inside a mailbox's lock
    collect_seldom(WORKER_WAIT)


@signals.worker_shutdown.connect
@signals.worker_process_shutdown.connect
def _close_connections(**kwargs: Any) -> None:
    import_module("accounts.kept_connections").end()


@signals.worker_init.connect
def _refuse(**kwargs: Any) -> None:
    checks.refuse_if_wrong()
