"""Small words for the templates: icons, times, initials, sizes, names."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from lucide.templatetags.lucide import lucide as lucide_icon

from mail.pictures import MAX_BYTES
from panel.moments import clock, day_label, exact, row_time, when

register = template.Library()

PREVIEWED = ("image/png", "image/jpeg", "image/gif", "image/webp")


@lru_cache(maxsize=512)
def _icon(name: str, label: str, tone: str) -> str:
    css = f"icon {tone}".strip()
    if label:
        svg = lucide_icon(name, size=None, **{"class": css, "role": "img", "aria-label": label})
    else:
        svg = lucide_icon(name, size=None, **{"class": css, "aria-hidden": "true"})
    return str(format_html("{}", svg))


@register.simple_tag
def icon(name: str, label: str = "", tone: str = "") -> SafeString:
    """A lucide icon inline; decorative without `label`, else announced. `tone`: ok | warn | bad | ""."""
    return mark_safe(_icon(name, label, tone))  # noqa: S308 - made by format_html


for _filter in (clock, day_label, exact, row_time, when):
    register.filter(_filter)


@register.filter
def initials(name: Any) -> str:
    """At most two letters for an avatar; "?" where there is none."""
    words = [word for word in "".join(_letter(char) for char in str(name)[:200].split("@")[0]).split() if word]
    if not words:
        return "?"
    if len(words) == 1:
        return words[0][: 1 if ord(words[0][0]) > 0x2E80 else 2].upper()
    return (words[0][0] + words[-1][0]).upper()


def _letter(char: str) -> str:
    return char if unicodedata.category(char)[0] in "LN" else " "


@register.filter
def size(count: int | None) -> str:
    """Bytes for people: 312 kB, 2.4 MB (decimal units, as file managers show them)."""
    number = float(count or 0)
    if number < 1000:
        return _("%(count)d bytes") % {"count": number}
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000 or unit == "GB":
            return f"{number:.1f} {unit}" if number < 10 and unit != "kB" else f"{number:.0f} {unit}"
    return ""


@register.filter
def plus(count: int, cap: int = 999) -> str:
    """A count that is only known up to a cap: 999+."""
    return f"{cap}+" if count >= cap else str(count)


@register.filter
def file_kind(part: Any) -> str:
    """Three or four letters that say what a file is: PDF, JPG, FILE."""
    extension = part.file_name.rsplit(".", 1)[-1] if "." in part.file_name else part.content_type.rsplit("/", 1)[-1]
    kept = "".join(char for char in extension if char.isascii() and char.isalnum())
    return kept.upper() if 0 < len(kept) <= 4 else _("FILE")


@register.filter
def can_preview(part: Any) -> bool:
    """Whether a picture can be made new and shown."""
    return part.content_type in PREVIEWED and part.size <= MAX_BYTES
