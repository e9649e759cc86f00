"""When is a mailbox unusually quiet? By its own history: how many mails came in the same hours of the week. Pure.

Invariant: a mailbox without much history is never called quiet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

WEEKS = 4  # of history
UNUSUAL = 7.0  # mails expected where none came: by chance once in a thousand times
HOUR = timedelta(hours=1)
LONGEST = timedelta(days=14)  # a silence is not measured beyond

Rhythm = Mapping[tuple[int, int], float]
"""Mails per hour by (day of the week, hour of the day), both in UTC; a missing key is 0."""


def rhythm(moments: Iterable[datetime], now: datetime) -> Rhythm:
    """Mails per hour of the week over the last `WEEKS` before `now`, of the times at which mail was received."""
    begin = now - timedelta(weeks=WEEKS)
    counted = Counter((at.weekday(), at.hour) for at in moments if begin <= at <= now)
    return {slot: count / WEEKS for slot, count in counted.items()}


def expected(known: Rhythm, begin: datetime, end: datetime) -> float:
    """How many mails usually come between `begin` and `end`."""
    begin = max(begin, end - LONGEST)
    total = 0.0
    while begin < end:
        hour_end = min(begin.replace(minute=0, second=0, microsecond=0) + HOUR, end)
        total += known.get((begin.weekday(), begin.hour), 0.0) * ((hour_end - begin) / HOUR)
        begin = hour_end
    return total


def is_unusual(known: Rhythm, begin: datetime, end: datetime) -> bool:
    """Whether silence from `begin` to `end` is hardly chance."""
    return expected(known, begin, end) >= UNUSUAL
