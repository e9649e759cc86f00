"""Load the catalogue of providers; may be run again at any time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from providers.services import load_catalogue


class Command(BaseCommand):
    """`load_providers`: what an administrator edited, disabled or removed stays so."""

    help = "Loads the catalogue of mail providers. What an administrator edited, disabled or removed stays so."

    def handle(self, *args: Any, **options: Any) -> None:
        counts = load_catalogue()
        self.stdout.write(
            f"Providers: {counts.added} added, {counts.changed} changed, {counts.kept} with edits kept. "
            f"Domains: {counts.domains_added} added, {counts.domains_kept} kept as removed or changed by hand."
        )
