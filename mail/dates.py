"""Moments out of Date headers: by the letter, obsolete and broken. Pure.

Invariant: what leaves here is aware UTC or None, for any bytes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

from base.addresses import clean_line
from mail.decoding import decode_words
from mail.headers import raw_text, without_comments

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_USUAL_DATE = re.compile(
    rb"[ \t]{0,9}(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) (" + b"|".join(_MONTHS) + rb") ((?:19|20)\d\d)"
    rb" (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)(?: \([A-Z]{1,5}\))?[ \t\r]{0,9}"
)
_ZONE = re.compile(r"(?i)\(?(?:GMT|UTC)?\s*([+-])(\d{1,2}):(\d{2})\)?\s*$")

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


def parse_date(value: bytes) -> datetime | None:
    """Return a Date value as aware UTC, None where nobody can read it. Tolerates the obsolete and the broken forms."""
    usual = _USUAL_DATE.fullmatch(value)
    if usual:
        return _usual_date(usual)
    text = clean_line(decode_words(raw_text(value, 400)), 300)
    if not text:
        return None
    if "(" in text:
        text = without_comments(text)
    text = _ZONE.sub(r" \1\2\3", text)
    try:
        found = parsedate_tz(text)
        if not found:
            return _parse_iso(text)
        year, month, day, hour, minute, second = found[:6]
        offset = timedelta(seconds=found[9] or 0)
        if abs(offset) >= _DAY:
            offset = timedelta(0)
        leap = timedelta(seconds=1) if second == 60 else timedelta(0)
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone(offset))
        return moment.astimezone(UTC) + leap
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _usual_date(match: re.Match[bytes]) -> datetime | None:
    """Return the moment of a date written by the letter of RFC 5322 3.3, None where there is no such day or hour."""
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset >= _DAY:
        offset = timedelta(0)
    clock = int(second)
    try:
        moment = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), min(clock, 59), tzinfo=UTC)
    except ValueError:
        return None
    if clock == 60:
        moment += _SECOND
    return moment - offset if sign == b"+" else moment + offset


def _parse_iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
