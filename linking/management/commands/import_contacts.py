"""`import_contacts FILE.csv`: people and companies from a table. Lives in linking, because it links their past mail too."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contacts.imports import ImportResult
from contacts.table import COLUMNS, MAX_BYTES, read_table
from linking import past, people

SHOWN = 50  # lines that are named one by one


class Command(BaseCommand):
    """Run twice, it makes nothing twice."""

    help = f"Import contacts and companies from a CSV file with the columns {','.join(COLUMNS)}."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        table = read_table(_read(options["file"]))
        if table.problem:
            raise CommandError(table.problem)
        result = people.import_people(table)
        linked = past.link_past_mail()
        counts = {
            "rows": result.rows,
            "contacts_created": result.contacts_made,
            "contacts_updated": result.contacts_filled,
            "contacts_unchanged": result.contacts_unchanged,
            "companies_created": result.companies_made,
            "bad_rows": len(result.bad),
            "links": linked,
            "seconds": round(time.monotonic() - began, 2),
        }
        if options["json"]:
            named = {
                key: [{"line": row.line, "reason": row.said} for row in getattr(result, key)]
                for key in ("bad", "notes")
            }
            self.stdout.write(json.dumps(counts | named, ensure_ascii=False))
        else:
            self._say(counts, result, table.unknown_columns)

    def _say(self, counts: dict[str, Any], result: ImportResult, unknown: list[str]) -> None:
        if unknown:
            self.stderr.write(f"Columns that were not read: {', '.join(unknown)}")
        for row in (result.bad + result.notes)[:SHOWN]:
            self.stderr.write(f"Line {row.line}: {row.said}.")
        hidden = len(result.bad) + len(result.notes) - SHOWN
        if hidden > 0:
            self.stderr.write(f"And {hidden} more lines.")
        for name, count in counts.items():
            self.stdout.write(f"{name.replace('_', ' '):<20}{count:>10}")


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}. Nothing was imported.")
