"""Every shortcut of the parser gives what the long way gives."""

from __future__ import annotations

import base64
import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mail import mime, parse
from mail.dates import parse_date
from mail.decoding import base64_bytes, base64_size, unix_lines
from mail.headers import message_ids
from mail.message import make_snippet, parse_message
from mail.parse import scan

ALPHABET = st.sampled_from([b"-", b"--", b"--a", b"--ab", b"a", b"b", b"\n", b"\r\n", b"QUFB" * 40])


def plain_places(data: bytes, mark: bytes, position: int, limit: int) -> list[int]:
    found = []
    while (place := data.find(mark, position, limit)) >= 0:
        found.append(place)
        position = place + len(mark)
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(ALPHABET, max_size=60).map(b"".join),
    st.sampled_from([b"--", b"---", b"--ab", b"--a-a"]),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_jumping_from_dash_to_dash_misses_no_delimiter(data: bytes, mark: bytes, begin: int, cut: int) -> None:
    limit = max(0, len(data) - cut)
    before = mime.NEAR, mime.FAR
    mime.NEAR, mime.FAR = 3, 12  # so that small data has many pieces
    try:
        assert list(mime._places(data, mark, begin, limit)) == plain_places(data, mark, begin, limit)
    finally:
        mime.NEAR, mime.FAR = before


def plain_scan(raw: bytes) -> str:
    """The rule of `scan` for mail between QUIET_SIZE and MAX_QUIET_RAW, as it reads."""
    ends = [end for end in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if end >= 0]
    if min(ends, default=len(raw)) > parse.MAX_QUIET_HEADER:
        return "header"
    if len(re.findall(rb"\n[Cc]ontent-", raw)) > parse.MAX_QUIET_FIELDS:
        return "parts"
    return "html" if raw.count(b"<") > parse.MAX_QUIET_TAGS else ""


@pytest.mark.parametrize("seed", range(40))
def test_the_scan_decides_by_the_exact_numbers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)  # noqa: S311
    monkeypatch.setattr(parse, "QUIET_SIZE", 0)
    monkeypatch.setattr(parse, "MAX_QUIET_HEADER", 60)
    monkeypatch.setattr(parse, "MAX_QUIET_FIELDS", 3)
    monkeypatch.setattr(parse, "MAX_QUIET_TAGS", 20)
    monkeypatch.setattr(parse, "STRETCH", 5)
    pieces = [
        b"\nContent-",
        b"\ncontent-",
        b" content-",
        b"ntent-",
        b"-",
        b"<",
        b"<<<<",
        b"\n",
        b"\r\n",
        b"QUFB" * 5,
        b"A:",
    ]
    verdicts = set()
    for _ in range(60):
        raw = b"".join(chance.choices(pieces, k=chance.randrange(40)))
        assert scan(raw) == plain_scan(raw), raw
        verdicts.add(scan(raw))
    assert len(verdicts) > 1


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", "ü".encode(), b" "]), max_size=30).map(b"".join))
def test_line_ends_are_those_of_the_plain_replacement(data: bytes) -> None:
    if re.search(rb"\r(?!\n)", data):
        assert unix_lines(data) == data
    else:
        assert unix_lines(data) == data.replace(b"\r\n", b"\n")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2098, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["+0000", "-0000", "+0130", "-1200", "+1400", "+0000 (UTC)", "-0700 (PDT)"]),
)
def test_a_date_by_the_letter_is_read_as_the_standard_library_reads_it(moment: datetime, zone: str) -> None:
    value = f" {moment:%a, %d %b %Y %H:%M:%S} {zone}\r"
    expected = parsedate_to_datetime(value)
    expected = expected.replace(tzinfo=UTC) if expected.tzinfo is None else expected.astimezone(UTC)
    assert parse_date(value.encode()) == expected
    # The long way round: two spaces are not by the letter.
    assert parse_date(value.replace(" ", "  ").encode()) == expected


@pytest.mark.parametrize("value", ["Mon, 31 Feb 2025 10:00:00 +0000", "Mon, 1 Jan 2025 24:00:00 +0000"])
def test_a_day_that_never_was_is_no_date(value: str) -> None:
    assert parse_date(value.encode()) is None


def test_a_leap_second_and_an_offset_of_days() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 +0000") == datetime(2017, 1, 1, tzinfo=UTC)
    assert parse_date(b"Sat, 31 Dec 2016 12:00:00 +9900") == datetime(2016, 12, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b" <a@b.example>\r", ("a@b.example",)),
        (b"\r\n <a@b.example>", ("a@b.example",)),
        (b" <a@b> <c@d> <a@b>", ("a@b", "c@d")),
        (b" <=?utf-8?q?a=40b?=>", ("a@b",)),
        (b" <a b@c>", ()),
    ],
)
def test_message_ids_alone_and_in_lists(value: bytes, ids: tuple[str, ...]) -> None:
    assert message_ids(value) == ids


def test_a_snippet_needs_no_more_than_the_beginning_and_takes_more_where_that_is_quoted() -> None:
    words = "word " * 200
    assert make_snippet(f"{words}\n> quoted") == (words[:199].rstrip() + "…")
    assert make_snippet("> quoted line\n" * 60 + "the answer") == "the answer"
    assert make_snippet("Ann wrote:\n> " + words).startswith("Ann wrote: > word")


def test_equal_heads_of_two_messages_are_read_once_and_stay_apart() -> None:
    def message(subject: bytes, kind: bytes) -> bytes:
        part = b"--b\nContent-Type: " + kind + b"; charset=utf-8\n\nhello " + subject + b"\n"
        return b"Subject: " + subject + b"\nContent-Type: multipart/mixed; boundary=b\n\n" + part * 2 + b"--b--\n"

    for subject in (b"one", b"two"):
        parsed = parse_message(message(subject, b"text/plain"))
        assert parsed.text == f"hello {subject.decode()}\n\nhello {subject.decode()}"
    digest = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\n\nhi\n--b--\n"
    mixed = digest.replace(b"digest", b"mixed")
    assert parse_message(digest).parts[0].content_type == "message/rfc822"
    assert parse_message(mixed).text == "Subject: inner\n\nhi"
    assert parse_message(digest).parts[0].content_type == "message/rfc822"


def test_text_that_is_only_html_is_decoded_once_and_its_broken_charset_is_said() -> None:
    parsed = parse_message(b"Content-Type: text/html; charset=no-such\n\n<p>caf\xe9</p>")
    assert parsed.text == "café"
    assert parsed.problems == ("charset",)


@settings(max_examples=300, deadline=None)
@example(b"\x00" * 13, 1, b"\n", b"", [(0, b" "), (0, b" ")])  # each second line end stands where one is expected
@given(
    st.binary(max_size=400),
    st.integers(1, 80),
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"\n", b"\r\n\r\n", b" \n"]),
    st.lists(st.tuples(st.integers(0, 600), st.sampled_from([b"\n", b"\r\n", b" ", b"\r", b"!"])), max_size=2),
)
def test_the_size_of_base64_is_that_of_its_letters(
    content: bytes, width: int, line_end: bytes, tail: bytes, more: list[tuple[int, bytes]]
) -> None:
    letters = base64.b64encode(content)
    data = line_end.join(letters[place : place + width] for place in range(0, len(letters), width)) + tail
    assert base64_size(data) == len(content) == len(base64_bytes(data))
    for place, foreign in more:  # lines of different lengths, foreign bytes: a few too many, none too few
        data = data[:place] + foreign + data[place:]
    assert len(content) <= base64_size(data) <= len(content) + 6
