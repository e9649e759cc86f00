"""Unusual silence, by a mailbox's own history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync.listener_silence import expected, is_unusual, rhythm

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday


def every(minutes: int, weeks: int = 4) -> list[datetime]:
    return [NOW - timedelta(minutes=n) for n in range(1, weeks * 7 * 24 * 60, minutes)]


def test_a_steady_mailbox_is_quiet_after_seven_mails_did_not_come():
    known = rhythm(every(10), NOW)
    assert not is_unusual(known, NOW - timedelta(minutes=60), NOW)
    assert is_unusual(known, NOW - timedelta(minutes=75), NOW)


def test_nights_are_quiet_without_alarm():
    by_day = [at for at in every(10) if 8 <= at.hour < 18]
    known = rhythm(by_day, NOW)
    night = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
    assert expected(known, night - timedelta(hours=11), night) == 0
    assert is_unusual(known, NOW - timedelta(hours=4), NOW)


def test_a_mailbox_without_history_is_never_quiet():
    assert not is_unusual(rhythm([], NOW), NOW - timedelta(days=60), NOW)


@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), max_size=30))
def test_any_history_gives_a_figure_that_grows_with_the_span(moments):
    known = rhythm(moments, NOW)
    spans = [expected(known, NOW - timedelta(hours=hours), NOW) for hours in (0, 1, 5, 48, 24 * 365)]
    assert spans == sorted(spans) and spans[0] == 0
