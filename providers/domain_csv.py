"""The *Email providers domains* table as CSV: written safely, read with suspicion (pure).

Invariant: no cell that is written can start a formula in a spreadsheet; no line that is read raises.
Columns: domain, applies_to (exact | suffix), provider (its key; when reading its name too).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from base.addresses import normalise_domain

COLUMNS = ("domain", "applies_to", "provider")
MAX_ROWS = 20_000
MAX_CHARACTERS = 2_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class DomainLine:
    """One line as read: `number` as a text editor counts it, `error` a sentence or ""."""

    number: int
    domain: str
    match: str
    provider_key: str
    error: str = ""


def safe_cell(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula (an apostrophe in front)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_domains(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return CSV of (domain, exact | suffix, provider key), with a header line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return out.getvalue()


def read_domains(text: str, providers: Mapping[str, str]) -> list[DomainLine]:
    """Return the lines of a CSV text. `providers` maps keys and lower-case names to keys.

    A file that is too large, has no header or cannot be read gives one line with the error.
    """
    if len(text) > MAX_CHARACTERS:
        return [DomainLine(0, "", "", "", _("The file is too large: at most %d characters.") % MAX_CHARACTERS)]
    text = text.removeprefix("\ufeff").replace("\x00", "")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    lines: list[DomainLine] = []
    seen: dict[tuple[str, str], int] = {}
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        if "domain" not in columns or "provider" not in columns:
            said = _("The first line must name the columns: %s.") % ", ".join(COLUMNS)
            return [DomainLine(1, "", "", "", said)]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(lines) >= MAX_ROWS:
                lines.append(DomainLine(reader.line_num, "", "", "", _("Only %d lines are read.") % MAX_ROWS))
                break
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
            lines.append(_line(reader.line_num, row, providers, seen))
    except csv.Error as error:
        lines.append(DomainLine(reader.line_num, "", "", "", _("This line cannot be read: %s") % error))
    return lines


def _line(
    number: int, row: Mapping[str, str], providers: Mapping[str, str], seen: dict[tuple[str, str], int]
) -> DomainLine:
    text = row.get("domain", "").lstrip("'").removeprefix("@")[:300]
    match = row.get("applies_to", "").lower() or "exact"
    named = row.get("provider", "").lstrip("'")[:200]
    domain, key = normalise_domain(text), providers.get(named.lower(), "")
    error = ""
    if not domain or "." not in domain or domain.startswith("["):
        error = _("“%s” is no domain.") % text
    elif match not in ("exact", "suffix"):
        error = _("“applies_to” is “%s”, not exact or suffix.") % match[:50]
    elif not key:
        error = _("There is no provider “%s”. Use its key or its name.") % named
    elif (domain, match) in seen:
        error = _("The domain stands in line %d already.") % seen[domain, match]
    seen.setdefault((domain, match), number)
    return DomainLine(number, domain or text, match, key, error)
