"""Importing people from a CSV file."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.models import Company, CompanyDomain, Contact, ContactAddress, ContactPhone
from contacts.table import COLUMNS, MAX_ROWS, arm, disarm, read_table, write_table
from linking.models import MessageLink
from tests.factories import CompanyFactory, ContactFactory, ProviderDomainFactory, ProviderFactory
from tests.linking.letters import letter

HEADER = ",".join(COLUMNS)


def run(path: Path, text: str | bytes) -> dict[str, object]:
    """Import `text` by the command; its JSON."""
    path = path / "people.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    out = StringIO()
    call_command("import_contacts", str(path), "--json", stdout=out)
    found: dict[str, object] = json.loads(out.getvalue())
    return found


@pytest.mark.django_db
def test_run_twice_it_makes_nothing_twice(tmp_path: Path) -> None:
    text = f"""{HEADER}
Inês,Figueiredo,ines@azulejos.example,+351 22 555 0142,Head of procurement,Casa Azulejos,azulejos.example
Piet,Vandenbroucke,piet@azulejos.example,,Site manager,casa azulejos,
No,Address,,+351 22 555 0199,,Casa Azulejos,
,,,,,Only a company,only.example
"""
    first = run(tmp_path, text)
    assert (first["contacts_created"], first["companies_created"], first["bad_rows"]) == (3, 2, 0)
    counts = [model.objects.count() for model in (Contact, Company, ContactAddress, CompanyDomain, ContactPhone)]
    assert counts == [3, 2, 2, 2, 2]
    second = run(tmp_path, text)
    assert (second["contacts_created"], second["companies_created"], second["contacts_unchanged"]) == (0, 0, 3)
    assert counts == [
        model.objects.count() for model in (Contact, Company, ContactAddress, CompanyDomain, ContactPhone)
    ]
    assert Contact.objects.get(last_name="Vandenbroucke").company == Contact.objects.get(first_name="Inês").company
    assert ContactPhone.objects.get(contact__first_name="Inês").number == "+351225550142"


@pytest.mark.django_db
def test_a_bad_row_is_named_by_its_line_and_the_others_are_imported(tmp_path: Path) -> None:
    result = run(
        tmp_path, f'{HEADER}\n"Two\nlines",A,a@x.example,,,,\nBad,B,not an address,,,,\nGood,C,c@x.example,,,,\n'
    )
    assert result["bad"] == [{"line": 4, "reason": "“not an address” is not an email address"}]
    assert set(Contact.objects.values_list("last_name", flat=True)) == {"A", "C"}


@pytest.mark.django_db
def test_a_row_fills_gaps_of_a_card_and_overwrites_nothing(tmp_path: Path) -> None:
    ContactFactory(first_name="Ida", last_name="Kept", address="ida@x.example")
    result = run(tmp_path, f"{HEADER}\nOther,Name,IDA@X.example,+4791234567,Buyer,New company,\n")
    assert result["contacts_updated"] == 1
    ida = Contact.objects.get()
    assert (ida.last_name, ida.job_title, str(ida.company)) == ("Kept", "Buyer", "New company")


@pytest.mark.django_db
def test_a_public_mail_domain_makes_no_company_domain(tmp_path: Path) -> None:
    ProviderDomainFactory(domain="freemail.example", provider=ProviderFactory(kind="consumer"))
    result = run(tmp_path, f"{HEADER}\nA,B,a@freemail.example,,,Their company,freemail.example\n")
    assert result["companies_created"] == 1
    assert not CompanyDomain.objects.exists()
    assert [note["line"] for note in result["notes"]] == [2]  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_company_is_found_by_its_domain_whatever_name_the_file_gives_it(tmp_path: Path) -> None:
    company = CompanyFactory(name="Casa Azulejos, Lda.", domain="azulejos.example")
    run(tmp_path, f"{HEADER}\nA,B,a@azulejos.example,,,Azulejos,AZULEJOS.example\n")
    assert Contact.objects.get().company == company
    assert Company.objects.count() == 1


@pytest.mark.django_db
def test_mail_of_the_past_is_linked_after_an_import(tmp_path: Path) -> None:
    message = letter("ines@azulejos.example")
    other = letter("someone@mail.azulejos.example")
    result = run(tmp_path, f"{HEADER}\nInês,F,ines@azulejos.example,,,Casa Azulejos,azulejos.example\n")
    assert result["links"] == 3
    assert MessageLink.objects.filter(message=message).count() == 2
    assert MessageLink.objects.get(message=other).reason == "company_domain"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_of_spreadsheets_are_understood(encoding: str, delimiter: str) -> None:
    text = (
        delimiter.join(["First Name", "LAST_NAME", "Email"]) + "\r\n" + delimiter.join(["Zoë", "Müller", "z@x.example"])
    )
    (row,) = read_table(text.encode(encoding)).rows
    assert (row.line, row.cells["first_name"], row.cells["last_name"]) == (2, "Zoë", "Müller")


def test_a_file_without_known_columns_is_refused_with_their_names() -> None:
    assert "first_name" in read_table(b"a,b\n1,2\n").problem
    assert read_table(b"").problem


@pytest.mark.django_db
def test_the_command_says_when_the_file_cannot_be_read() -> None:
    with pytest.raises(CommandError, match="Nothing was imported"):
        call_command("import_contacts", "no-such-file.csv")


def test_a_quotation_mark_that_never_closes_costs_its_rows_only_and_is_named() -> None:
    table = read_table((f"{HEADER}\nA,B,a@x.example,,,,\n" + '"open,' + "x,y\n" * 50).encode())
    assert [row.line for row in table.rows] == [2]
    assert table.bad[0].line == 3


def test_rows_beyond_the_cap_are_said_not_read() -> None:
    table = read_table(f"{HEADER}\n".encode() + b"A,B,a@x.example,,,,\n" * (MAX_ROWS + 1))
    assert (len(table.rows), len(table.bad)) == (MAX_ROWS, 1)


def test_an_export_disarms_formulas_and_an_import_takes_them_back() -> None:
    cells = ["=1+1", "+4791", "-x", "@x", "a@x.example", "plain", "'=kept"]
    text = "".join(write_table([cells]))
    assert "'=1+1,'+4791,'-x,'@x,a@x.example,plain" in text
    (row,) = read_table(text.encode()).rows
    assert list(row.cells.values())[:6] == cells[:6]


@given(st.text())
def test_no_disarmed_cell_starts_a_formula(cell: str) -> None:
    assert not disarm(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    if not cell.startswith("'"):
        assert arm(disarm(cell)) == cell


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2000))
def test_any_bytes_give_a_table_or_a_sentence(data: bytes) -> None:
    table = read_table(f"{HEADER}\n".encode() + data)
    for row in table.rows:
        assert set(row.cells) == set(COLUMNS)
        assert not any(sign in cell for cell in row.cells.values() for sign in "\r\n\0")
    read_table(data)
