"""The ledger of one or all mailboxes, from the database: nothing is asked of a server."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.models import EmailAccount
from sync import status
from sync.management.commands.sync_account import as_table, find_email_account


class Command(BaseCommand):
    """`mailbox_status [ADDRESS] [--json]`: an object for one address, a list without."""

    help = "Shows what is on the server, stored, filtered, failed and pending, with state and last error."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?")
        parser.add_argument("--json", action="store_true", help="Print as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        one = find_email_account(options["address"]) if options["address"] else None
        found = [one] if one else list(EmailAccount.objects.all())
        figures = [status.as_json(email_account) for email_account in found]
        if options["json"]:
            self.stdout.write(json.dumps(figures[0] if one else figures, indent=2))
            return
        for line in figures:
            error = f", last error: {line['last_error']}" if line["last_error"] else ""
            self.stdout.write(f"{line['address']}: {line['state']}{error}\n{as_table(line)}\n")
