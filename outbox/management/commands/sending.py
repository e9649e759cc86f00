"""The administrator's switch: `manage.py sending stop|start|status`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count

from outbox.models import OutgoingMessage
from outbox.services.stopping import sending_stop, start_sending, stop_sending


class Command(BaseCommand):
    """Stops all sending, starts it again, or says how things stand."""

    help = "Stop or start all sending, or show the outbox in figures."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["stop", "start", "status"])
        parser.add_argument("--reason", default="", help="Why it is stopped; people see it.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "stop":
            stop_sending(reason=options["reason"])
        elif options["action"] == "start":
            start_sending()
        stop = sending_stop()
        since = f" since {stop.stopped_at:%Y-%m-%d %H:%M} UTC" if stop else ""
        self.stdout.write(
            f"Sending is stopped{since}: {stop.reason or 'no reason given'}" if stop else "Mail may leave."
        )
        counts = OutgoingMessage.objects.values_list("state").annotate(count=Count("pk")).order_by("state")
        for state, count in counts:
            self.stdout.write(f"  {state}: {count}")
