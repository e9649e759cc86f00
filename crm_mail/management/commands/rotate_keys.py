"""`rotate_keys`: secrets of mailboxes and of two-step verification are encrypted anew with the first of CREDENTIAL_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.second_step import rotate_second_steps
from accounts.vault import rotate
from base.crypto import CryptoError


class Command(BaseCommand):
    help = "Encrypt every kept secret with the first key of CREDENTIAL_KEYS; afterwards the old keys may go."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            changed = rotate() + rotate_second_steps()
        except CryptoError as error:
            said = "Nothing was lost: bring the missing key back into CREDENTIAL_KEYS and run this again."
            raise CommandError(f"{error} {said}") from None
        self.stdout.write(f"{changed} secrets were encrypted anew. The old keys may go from CREDENTIAL_KEYS.")
