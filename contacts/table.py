"""Reads and writes CSV tables of people. Pure.

Invariants: any bytes give a table or a sentence, never an exception; rows and cells are bounded; a cell that a
spreadsheet would run as a formula is written as text.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from base.addresses import clean_line

COLUMNS = ("first_name", "last_name", "email", "phone", "job_title", "company", "company_domain")
MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 100_000
MAX_CELL = 500  # characters that are read of a cell
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the number of its line in the file and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that could not be taken, and why."""

    line: int
    said: str


@dataclass(slots=True)
class Table:
    """What stood in a file. `problem`: why nothing can be read at all, "" if something can."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    problem: str = ""


def read_table(data: bytes) -> Table:
    """Return the rows of a CSV file: UTF-8, UTF-16 with a mark, or Windows-1252; comma, semicolon or tab."""
    if len(data) > MAX_BYTES:
        return Table(problem=f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Nothing was imported.")
    text = _decode(data).replace("\x00", "")
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = _lines(reader)
    header = next((cells for _, cells, _said in lines if cells and any(cell.strip() for cell in cells)), None)
    names = [cell.strip().lower().replace(" ", "_") for cell in header or ()]
    if not {"email", "first_name", "last_name", "company"} & set(names):
        return Table(problem=f"The first line must name the columns: {', '.join(COLUMNS)}. Nothing was imported.")
    table = Table(unknown_columns=[clean_line(name, 60) for name in names if name and name not in COLUMNS])
    for line, cells, said in lines:
        if said:
            table.bad.append(BadRow(line, said))
        elif cells and any(cell.strip() for cell in cells):
            if len(table.rows) >= MAX_ROWS:
                table.bad.append(BadRow(line, f"Only the first {MAX_ROWS:,} rows are read"))
                break
            _take(table, line, names, cells)
    return table


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | None, str]]:
    """Yield (number of the line a row begins at, cells, "") or (line, None, what is wrong with it)."""
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, None, f"Not readable as CSV ({error})"
        else:
            yield line, cells, ""
        line = reader.line_num + 1  # type: ignore[attr-defined]


def _take(table: Table, line: int, names: Sequence[str], cells: Sequence[str]) -> None:
    if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
        table.bad.append(BadRow(line, f"{len(cells)} cells under {len(names)} columns"))
        return
    if any("\n" in cell and cell.count("\n") > 20 for cell in cells):
        table.bad.append(BadRow(line, "A quotation mark is never closed"))
        return
    found = {name: arm(clean_line(cell, MAX_CELL)) for name, cell in zip(names, cells, strict=False) if name in COLUMNS}
    table.rows.append(Row(line, {name: found.get(name, "") for name in COLUMNS}))


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def write_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield CSV lines with a byte order mark (for spreadsheets) and a header; formulas are disarmed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield "\ufeff"
    for row in itertools.chain([COLUMNS], rows):
        writer.writerow([disarm(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def disarm(cell: str) -> str:
    """Return the cell so that no spreadsheet runs it: "'" before =, +, -, @, tab and CR. read_table takes it off again."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def arm(cell: str) -> str:
    """Return what `disarm` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell
