"""`prepare`: everything a start needs, in one process; each step may run again.

With the demo's ports also the demo's data, whose mailbox is connected like any other, so its mail server must run.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from crm_mail.checks import refuse_if_wrong


class Command(BaseCommand):
    help = (
        "Migrate, load the provider catalogue, collect static files; with ports of the demo mail server its data too."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-static", action="store_true", help="static files stand there already (Docker image)")
        parser.add_argument("--demo-imap-port", type=int, default=0)
        parser.add_argument("--demo-smtp-port", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_if_wrong()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("load_providers", stdout=self.stdout)
        if not options["no_static"]:
            call_command("collectstatic", interactive=False, verbosity=0)
        if options["demo_imap_port"]:
            call_command(
                "seed_demo",
                imap_port=options["demo_imap_port"],
                smtp_port=options["demo_smtp_port"],
                stdout=self.stdout,
            )
