"""`is_alive NAME`: for health checks of processes without a port."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from crm_mail.health import TICK_LATE
from sync.models import Heartbeat


class Command(BaseCommand):
    help = "Exit code 0 when a process of this kind (tick) left a heartbeat in the last 30 seconds, else 1."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        last = Heartbeat.objects.filter(name=options["name"]).values_list("at", flat=True).first()
        if last is None or (timezone.now() - last).total_seconds() > TICK_LATE:
            sys.exit(1)
