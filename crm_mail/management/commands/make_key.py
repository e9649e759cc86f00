"""`make_key`: a fresh key for CREDENTIAL_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from base.crypto import generate_key


class Command(BaseCommand):
    help = "Print a fresh key for CREDENTIAL_KEYS. To rotate: put it first, keep the old ones behind it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(generate_key())
