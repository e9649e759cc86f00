"""`create_administrator`: the first user of an installation, who then invites the others."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.services.users import create_administrator
from base.addresses import is_valid


class Command(BaseCommand):
    help = "Make an administrator; the password comes on standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--password-stdin", action="store_true", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\r\n")
        if not is_valid(options["email"]):
            raise CommandError("This is not a complete email address.", returncode=2)
        try:
            user = create_administrator(email=options["email"], name=options["name"], password=password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from None
        self.stdout.write(f"{user.email} may now sign in as administrator.")
