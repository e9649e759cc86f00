"""`seed_demo`: the demo's people, provider, mailbox and contacts; may be run again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm_mail import demo


class Command(BaseCommand):
    help = "Make the demo's users, provider, connected mailbox and contacts. script/start calls it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--imap-port", type=int, required=True)
        parser.add_argument("--smtp-port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        owner = demo.seed_people()
        demo.seed_provider(imap_port=options["imap_port"], smtp_port=options["smtp_port"])
        call_command("import_contacts", str(settings.BASE_DIR / "demo" / "people.csv"), stdout=self.stdout)
        try:
            demo.wait_for_server(options["imap_port"])
            demo.wait_for_server(options["smtp_port"])
            demo.connect_mailbox(owner)
        except demo.DemoError as error:
            raise CommandError(str(error)) from None
        folder = settings.DATA_DIR / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "said.txt").write_text(demo.what_to_try(), encoding="utf-8")
        self.stdout.write("The demo is ready.")
