"""Small words for the templates: icons, times, initials, sizes, names."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from lucide.templatetags.lucide import lucide as lucide_icon

from mail.pictures import MAX_BYTES

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


@lru_cache(maxsize=4096)
def _date_words(day: date, pattern: str, language: str) -> str:
    return date_format(day, pattern)


def _words(day: date, pattern: str) -> str:
    """A date in the reader's language; lists show the same few again and again."""
    return _date_words(day, pattern, get_language() or "")


@lru_cache(maxsize=64)
def _mark_button(name: str, value: str, language: str) -> str:
    symbol, label, key = _MARKS[name, value]
    context = {"name": name, "value": value, "symbol": symbol, "label": label, "key": key, "mark_url": "@@"}
    return render_to_string("panel/_mark_button.html", context)


_MARKS = {
    ("processed", "1"): ("check", gettext_lazy("Mark as processed"), "e"),
    ("processed", "0"): ("undo-2", gettext_lazy("Mark as not processed"), "e"),
    ("read", "1"): ("mail-open", gettext_lazy("Mark as read"), ""),
    ("read", "0"): ("mail", gettext_lazy("Mark as unread"), ""),
}


@register.simple_tag
def mark_buttons(row: Any) -> SafeString:
    """The marks of a row, each button made once per language: a list has a hundred of them."""
    if not row.is_received:
        return mark_safe("")
    language, url = get_language() or "", escape(row.mark_url)
    made = _mark_button("processed", "1" if row.is_open else "0", language)
    made += _mark_button("read", "1" if row.is_unread else "0", language)
    return mark_safe(made.replace("@@", url))  # noqa: S308 - made by a template; the address is escaped


@register.simple_tag
def row_moment(moment: datetime) -> SafeString:
    """The time of a row with its exact title."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), _exact(local), _row_time(local)
    )


@register.filter
def when(moment: datetime | None) -> str:
    """A time in a list: 10:42 today, Fri 17:20 within a week, 9 Nov within a year, 9 Nov 2025 before."""
    if moment is None:
        return ""
    local, today = timezone.localtime(moment), timezone.localdate()
    age = (today - local.date()).days
    if age == 0:
        return f"{local:%H:%M}"
    if 0 < age < 7:
        return f"{_words(local.date(), 'D')} {local:%H:%M}"
    return _words(local.date(), "j M" if local.year == today.year else "j M Y")


@register.filter
def clock(moment: datetime | None) -> str:
    """Only the hour, for rows under the head of their day."""
    return f"{timezone.localtime(moment):%H:%M}" if moment else ""


@register.filter
def exact(moment: datetime | None) -> str:
    """A time to the second, for titles: Monday 23 November 2026, 10:42:07."""
    return _exact(timezone.localtime(moment)) if moment else ""


def _exact(local: datetime) -> str:
    return f"{_words(local.date(), 'l j F Y')}, {local:%H:%M:%S}"


@register.filter
def day_label(moment: datetime) -> str:
    """The head of a day in a list: Today, Yesterday, Friday 20 November, or a month further back."""
    local, today = timezone.localtime(moment), timezone.localdate()
    age = (today - local.date()).days
    if age <= 0:
        return _("Today")
    if age == 1:
        return _("Yesterday")
    if age < 7:
        return _words(local.date(), "l j F")
    return _words(local.date().replace(day=1), "F" if local.year == today.year else "F Y")


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
def row_time(moment: datetime | None) -> str:
    """The time in a row: the hour under the head of its day, the day under the head of its month."""
    return _row_time(timezone.localtime(moment)) if moment else ""


def _row_time(local: datetime) -> str:
    age = (timezone.localdate() - local.date()).days
    return f"{local:%H:%M}" if age < 7 else when(local)


@register.filter
def can_preview(part: Any) -> bool:
    """Whether a picture can be made new and shown."""
    return part.content_type in PREVIEWED and part.size <= MAX_BYTES
