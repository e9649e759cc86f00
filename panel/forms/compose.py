"""What the composer posts. Addresses are one line of text per field, as a person types or pastes them.

Invariant: nothing typed is dropped: what is no address stays in its field, so that it is shown and asked about.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from outbox.types import Addresses, DraftFields

MAX_TEXT = 4_000_000  # characters of a text; the web server's own limit of a form comes first
MAX_LINE = 200_000  # characters of an address field
MAX_PEOPLE = 1000
KINDS = ("new", "reply", "reply_all", "forward", "draft")


def read_addresses(text: str) -> Addresses:
    """((name, address), …) of a typed or pasted list: "Ida <ida@x.example>, bo@y.example; …". Linear; keeps what is odd."""
    return tuple(pair for piece in _pieces(text[:MAX_LINE])[:MAX_PEOPLE] if (pair := _pair(piece)) != ("", ""))


def _pieces(text: str) -> list[str]:
    """Split at commas, semicolons and line ends outside of quotes and angle brackets."""
    pieces, start, is_quoted, is_angle = [], 0, False, False
    for place, char in enumerate(text):
        if char == '"' and not is_angle and (place == 0 or text[place - 1] != "\\"):
            is_quoted = not is_quoted
        elif char in "<>" and not is_quoted:
            is_angle = char == "<"
        elif char in "\r\n" or (char in ",;" and not is_quoted and not is_angle):
            pieces.append(text[start:place])
            start, is_quoted, is_angle = place + 1, False, False
    return [*pieces, text[start:]]


def _pair(piece: str) -> tuple[str, str]:
    piece = piece.strip()
    name, bracket, rest = piece.rpartition("<")
    if not bracket or not rest.endswith(">"):
        return "", piece
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return name, rest[:-1].strip()


def write_addresses(pairs: Any) -> str:
    """The text that `read_addresses` reads again."""
    return ", ".join(_written(str(name), str(address)) for name, address in pairs)


def _written(name: str, address: str) -> str:
    if not name:
        return address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


class People(forms.CharField):
    """An address field."""

    def __init__(self) -> None:
        super().__init__(max_length=MAX_LINE, required=False)

    def clean(self, value: Any) -> Addresses:  # type: ignore[override]
        """Return the pairs."""
        return read_addresses(super().clean(value))


class DraftForm(forms.Form):
    """All that is written. `quote` is "opened" once the original was opened into the text, "off" when it is left out."""

    version = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    to, cc, bcc = People(), People(), People()
    subject = forms.CharField(max_length=2000, required=False)
    html = forms.CharField(max_length=MAX_TEXT, required=False, strip=False)
    text = forms.CharField(max_length=MAX_TEXT, required=False, strip=False)
    is_plain = forms.BooleanField(required=False)
    quote = forms.ChoiceField(choices=[("", ""), ("on", "on"), ("off", "off"), ("opened", "opened")], required=False)

    def fields_with(self, html: str) -> DraftFields:
        """What the outbox keeps; `html` is the text with its pictures as cid:."""
        data = self.cleaned_data
        return DraftFields(
            to=data["to"],
            cc=data["cc"],
            bcc=data["bcc"],
            subject=data["subject"],
            html=html,
            text=data["text"],
            is_plain=data["is_plain"],
            keeps_quote=data["quote"] in ("on", "opened"),
            quoted_html="" if data["quote"] == "opened" else None,
        )


class BeginForm(forms.Form):
    """What a new message is begun as, and from which."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in KINDS])
    original = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    to = People()

    def clean(self) -> dict[str, Any]:
        """An answer needs what it answers."""
        data = super().clean() or {}
        if data.get("kind") != "new" and not data.get("original"):
            raise ValidationError(_("Say which email is answered."))
        return data


class SendForm(forms.Form):
    """When, and whether the questions were answered. `at` is read in the person's time zone."""

    at = forms.DateTimeField(required=False)
    later = forms.BooleanField(required=False)
    confirmed = forms.BooleanField(required=False)


class TemplateForm(forms.Form):
    """A template to keep."""

    name = forms.CharField(max_length=120)
    subject = forms.CharField(max_length=300, required=False)
    html = forms.CharField(max_length=500_000, strip=False)
    is_shared = forms.BooleanField(required=False)


class DecideForm(forms.Form):
    """What a person decides about an email that has not (certainly) left."""

    what = forms.ChoiceField(choices=[(one, one) for one in ("now", "retry", "give_up", "edit", "sent", "again")])
