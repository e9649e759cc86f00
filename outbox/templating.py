"""The fields of templates: {{contact.first_name}} and the like. Pure; no template engine ever sees a person's text.

Invariants: a field is a name from a fixed list; its value is put in once (a value that looks like a field stays text)
and escaped for HTML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any

_FIELD = re.compile(r"\{\{\s*([a-z]{1,20}\.[a-z_]{1,30})\s*(?:\|\s*([^{}|]{0,100}?)\s*)?\}\}")

FIELDS = (
    "contact.first_name", "contact.last_name", "contact.name", "contact.job_title", "contact.email",
    "company.name", "company.website", "user.name", "user.email", "sender.email",
)  # fmt: skip
"""All fields, in the order in which a menu shows them. {{contact.first_name | there}} gives a value for nobody."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled template; `missing` names the fields that had neither value nor fallback (left empty)."""

    subject: str
    html: str
    missing: tuple[str, ...]


def fields_of(user: Any, contact: Any, sender: str) -> dict[str, str]:
    """The values of all fields: `contact` is a contacts.Contact or None."""
    company = contact.company if contact is not None else None
    address = contact.addresses.first() if contact is not None else None
    return {
        "contact.first_name": contact.first_name if contact else "",
        "contact.last_name": contact.last_name if contact else "",
        "contact.name": f"{contact.first_name} {contact.last_name}".strip() if contact else "",
        "contact.job_title": contact.job_title if contact else "",
        "contact.email": address.address if address else "",
        "company.name": company.name if company else "",
        "company.website": company.website if company else "",
        "user.name": user.get_full_name(),
        "user.email": user.email or "",
        "sender.email": sender,
    }


def fill(subject: str, html: str, values: dict[str, str]) -> Filled:
    """Put the values in. Unknown fields stay as written, so that a slip of the pen is seen."""
    missing: dict[str, None] = {}

    def value(match: re.Match[str]) -> str | None:
        if match[1] not in FIELDS:
            return None
        found = values.get(match[1], "") or (match[2] or "")
        if not found:
            missing[match[1]] = None
        return found

    def in_html(match: re.Match[str]) -> str:
        found = value(match)
        return match[0] if found is None else escape(found)

    def in_line(match: re.Match[str]) -> str:
        found = value(match)
        return match[0] if found is None else " ".join(found.split())

    return Filled(_FIELD.sub(in_line, subject), _FIELD.sub(in_html, html), tuple(missing))
