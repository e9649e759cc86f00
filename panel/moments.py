"""Times in words, in the reader's language and time zone: lists, titles, heads of days. Pure but for these two.

Invariant: the dates of a page are put into words once each; a list shows the same few again and again.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _


@lru_cache(maxsize=4096)
def _date_words(day: date, pattern: str, language: str) -> str:
    return date_format(day, pattern)


def _words(day: date, pattern: str) -> str:
    return _date_words(day, pattern, get_language() or "")


def when(moment: datetime | None) -> str:
    """A time in a list: 10:42 today, Fri 17:20 within a week, 9 Nov within a year, 9 Nov 2025 before."""
    return _when(timezone.localtime(moment), timezone.localdate()) if moment else ""


def clock(moment: datetime | None) -> str:
    """Only the hour, for rows under the head of their day."""
    return _clock(timezone.localtime(moment)) if moment else ""


def exact(moment: datetime | None) -> str:
    """A time to the second, for titles: Monday 23 November 2026, 10:42:07."""
    return _exact(timezone.localtime(moment)) if moment else ""


def row_time(moment: datetime | None) -> str:
    """The time in a row: the hour under the head of its day, the day under the head of its month."""
    return _row_time(timezone.localtime(moment), timezone.localdate()) if moment else ""


def moment_html(moment: datetime, today: date) -> SafeString:
    """The time of a row as `<time>` with its exact title; `today` is the reader's (asked for once per page)."""
    local = timezone.localtime(moment)
    written = local.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', written, _exact(local), _row_time(local, today))


def day_label(moment: datetime) -> str:
    """The head of a day in a list: Today, Yesterday, Friday 20 November, or a month further back."""
    return day_words(timezone.localtime(moment).date(), timezone.localdate())


def day_words(day: date, today: date) -> str:
    """The head of a day, seen from today."""
    age = (today - day).days
    if age <= 0:
        return _("Today")
    if age == 1:
        return _("Yesterday")
    if age < 7:
        return _words(day, "l j F")
    return _words(day.replace(day=1), "F" if day.year == today.year else "F Y")


def _when(local: datetime, today: date) -> str:
    age = (today - local.date()).days
    if age == 0:
        return _clock(local)
    if 0 < age < 7:
        return f"{_words(local.date(), 'D')} {_clock(local)}"
    return _words(local.date(), "j M" if local.year == today.year else "j M Y")


def _clock(local: datetime) -> str:
    return f"{local.hour:02}:{local.minute:02}"  # strftime would take five times as long


def _exact(local: datetime) -> str:
    return f"{_words(local.date(), 'l j F Y')}, {_clock(local)}:{local.second:02}"


def _row_time(local: datetime, today: date) -> str:
    age = (today - local.date()).days
    return _clock(local) if age < 7 else _when(local, today)
