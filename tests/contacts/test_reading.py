"""Names, domains and phones as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.reading import read_domain, read_phone, show_phone, split_name


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("azulejos.example", "azulejos.example"),
        ("@Azulejos.EXAMPLE", "azulejos.example"),
        ("https://www.azulejos.example/contact?x=1", "azulejos.example"),
        ("mail.bücher.example", "mail.xn--bcher-kva.example"),
        ("someone@azulejos.example", "azulejos.example"),
        ("co.uk", ""),
        ("localhost", ""),
        ("not a domain", ""),
        ("", ""),
        ("192.0.2.1", ""),
    ],
)
def test_a_domain_is_read_from_what_people_paste(written: str, domain: str) -> None:
    assert read_domain(written) == domain


def test_a_phone_with_a_country_is_kept_as_e164_and_shown_internationally() -> None:
    phone = read_phone("+351 22 555-0142")
    assert phone is not None
    assert (phone.number, phone.written) == ("+351225550142", "+351 22 555-0142")
    assert show_phone(phone.number) == "+351 22 555 0142"


def test_a_phone_without_a_country_is_kept_as_written_and_words_are_none() -> None:
    phone = read_phone("0221 555")
    assert phone is not None and phone.number == "0221 555"
    assert read_phone("call me 12") is None
    assert read_phone("<script>123456</script>") is None


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception_and_within_bounds(text: str) -> None:
    phone = read_phone(text)
    assert phone is None or (0 < len(phone.number) <= 40 and len(phone.written) <= 60)
    read_domain(text)
    first, last = split_name(text)
    assert len(first) <= 150 and len(last) <= 150
    show_phone(text)


def test_a_display_name_is_split_also_when_the_family_name_comes_first() -> None:
    assert split_name("Figueiredo, Inês") == ("Inês", "Figueiredo")
    assert split_name("Inês Figueiredo de Albuquerque") == ("Inês", "Figueiredo de Albuquerque")
    assert split_name("'Ida'") == ("Ida", "")
    assert split_name("ida@x.example") == ("", "")
