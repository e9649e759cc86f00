"""The lookup as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.domain_csv import MAX_CHARACTERS, read_domains, safe_cell, write_domains

NAMES = {"gmail": "gmail", "fastmail": "fastmail", "my mail": "my-mail"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_exported_cell_starts_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    cells = next(csv.reader(io.StringIO(write_domains([(text, "exact", text)]).split("\n", 1)[1])))
    assert all(cell.startswith("'") or cell == "exact" for cell in cells)


def test_what_is_written_is_read_again() -> None:
    rows = [("gmail.com", "exact", "gmail"), ("xn--bcher-kva.example", "suffix", "fastmail")]
    lines = read_domains(write_domains(rows), NAMES)
    assert [(line.domain, line.match, line.provider_key) for line in lines] == rows
    assert not any(line.error for line in lines)


def test_semicolons_a_byte_order_mark_and_names_are_understood() -> None:
    lines = read_domains("\ufeffDomain;Provider\r\nBücher.example;My Mail\r\n\r\n", NAMES)
    assert [(line.number, line.domain, line.provider_key, line.error) for line in lines] == [
        (2, "xn--bcher-kva.example", "my-mail", "")
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no domain,exact,gmail", "is no domain"),
        ("a.example,regex,gmail", "not exact or suffix"),
        ("a.example,exact,nobody", "no provider"),
        ("b.example,exact,gmail", "line 2 already"),
        ("", ""),
    ],
)
def test_each_wrong_line_says_what_is_wrong(line: str, said: str) -> None:
    lines = read_domains(f"domain,applies_to,provider\nb.example,exact,gmail\n{line}\n", NAMES)
    assert (lines[-1].error == "" and len(lines) == 1) if not said else said in lines[-1].error


def test_a_file_without_a_header_or_too_large_is_one_error() -> None:
    for text in ("gmail.com,exact,gmail", "", "x" * (MAX_CHARACTERS + 1)):
        (line,) = read_domains(text, NAMES)
        assert line.error


@given(st.text(max_size=400))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    for line in read_domains("domain,provider\n" + text, NAMES):
        assert line.error or line.provider_key
