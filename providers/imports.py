"""Importing and exporting the *Email providers domains* table.

Invariant: an import is applied whole or not at all, and only after a preview without errors.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from providers.domain_csv import DomainLine, read_domains, write_domains
from providers.models import DomainSource, Provider, ProviderDomain
from providers.services import add_domain


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an import would do: lines with errors, new ones, moves (with the provider of today), how many are known."""

    errors: tuple[DomainLine, ...]
    new: tuple[DomainLine, ...]
    moves: tuple[tuple[DomainLine, str], ...]
    known: int

    @property
    def is_good(self) -> bool:
        """Whether it may be applied: no errors and something to do."""
        return not self.errors and bool(self.new or self.moves)


def export_domains() -> str:
    """Return the lookup as CSV, without the removed rows."""
    rows = ProviderDomain.objects.filter(is_removed=False).order_by("domain", "match")
    return write_domains(rows.values_list("domain", "match", "provider__key"))


def preview_import(text: str) -> ImportPreview:
    """Return what importing this CSV would do; writes nothing."""
    lines = read_domains(text, _provider_names())
    rows = ProviderDomain.objects.filter(is_removed=False).select_related("provider")
    present = {(row.domain, row.match): row.provider for row in rows}
    new, moves, known = [], [], 0
    for line in lines:
        if line.error:
            continue
        owner = present.get((line.domain, line.match))
        if owner is None:
            new.append(line)
        elif owner.key == line.provider_key:
            known += 1
        else:
            moves.append((line, owner.name))
    return ImportPreview(tuple(line for line in lines if line.error), tuple(new), tuple(moves), known)


@transaction.atomic
def import_domains(text: str) -> int:
    """Apply a CSV and return how many rows were written. Raises ValidationError if the preview has errors."""
    preview = preview_import(text)
    if preview.errors:
        said = _("Nothing was imported. Mend these lines first: %s.")
        raise ValidationError(said % ", ".join(str(line.number) for line in preview.errors[:20]))
    by_key = {provider.key: provider for provider in Provider.objects.all()}
    lines = [*preview.new, *(line for line, _owner in preview.moves)]
    for line in lines:
        add_domain(
            domain=line.domain,
            provider=by_key[line.provider_key],
            match=line.match,
            source=DomainSource.IMPORT,
            replace=True,
        )
    return len(lines)


def _provider_names() -> dict[str, str]:
    pairs = list(Provider.objects.values_list("key", "name"))
    return {name.lower(): key for key, name in pairs} | {key.lower(): key for key, _name in pairs}
