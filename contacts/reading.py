"""Reads what a person or a file gives as a name, address, domain or phone. Pure.

Invariant: what comes out is bounded, one line, and in the form that is stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers

from base.addresses import clean_line, normalise_domain, registrable_domain

MAX_PHONE = 40
_DIGIT = re.compile(r"\d")
_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.-]{0,20}:)?//", re.I)
_NOT_A_PHONE = re.compile(r"[^0-9+()/.\-\s;,xe#*t:lbofmhd]", re.I)


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number: E.164 where it could be understood, else as written; and as written."""

    number: str
    written: str


def read_phone(text: str, region: str | None = None) -> Phone | None:
    """Return the phone written in `text`, None if there is none. `region` (ISO 3166) reads national numbers."""
    written = clean_line(text, 60)
    if len(_DIGIT.findall(written)) < 3 or _NOT_A_PHONE.search(written):
        return None
    try:
        parsed = phonenumbers.parse(written, region)
        if phonenumbers.is_possible_number(parsed):
            return Phone(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), written)
    except phonenumbers.NumberParseException:
        pass
    return Phone(re.sub(r"\s+", " ", written)[:MAX_PHONE], written)


def show_phone(number: str) -> str:
    """Return an E.164 number in its international form ("+351 22 555 0142"); others as they are."""
    if not number.startswith("+"):
        return number
    try:
        return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return number


def read_domain(text: str) -> str:
    """Return the mail domain in `text` (a domain, @domain or a web address), "" if it is none that somebody registered."""
    text = _SCHEME.sub("", text.strip()).partition("/")[0].partition(":")[0]
    domain = normalise_domain(text.rpartition("@")[2].strip())
    domain = domain.removeprefix("www.")
    return domain if registrable_domain(domain) else ""


def split_name(name: str) -> tuple[str, str]:
    """Return (first name, last name) of a display name: "Figueiredo, Inês" and "Inês Figueiredo" alike."""
    name = clean_line(name, 300).strip("\"' ")
    if "@" in name:
        return "", ""
    last, comma, first = name.partition(",")
    if comma and first.strip() and "," not in first:
        return first.strip()[:150], last.strip()[:150]
    first, _, last = name.partition(" ")
    return first[:150], last.strip()[:150]
