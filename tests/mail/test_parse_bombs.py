"""Mail made to stop a mail program: it ends in time, within the memory, and what is safe of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import make_dataclass

import pytest

from mail import parse
from mail.parse import Unreadable, parse_message, parse_safely, scan


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < 15


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return b"Subject: deep\n" + head + b"\n\nhello"


@pytest.mark.parametrize("unit", [b'"', b",", b"(", b"<", b'\\"', b"=?a?q?", b";a=", b"=?utf-8?q?a?= ", b"<a", b"\t"])
@pytest.mark.parametrize(
    "name", [b"From", b"Subject", b"Content-Type: text/plain;", b"References", b"Date", b"Content-Disposition"]
)
def test_fifty_kilobytes_in_one_header(name: bytes, unit: bytes) -> None:
    message = parse_message(name + b": " + unit * (50_000 // len(unit)) + b"\nTo: ann@example.org\n\nthe body")
    assert message.to[0].address == "ann@example.org"
    assert "the body" in message.text


def test_white_space_between_parameters_takes_no_time() -> None:
    message = parse_message(
        b"Content-Type: text/plain; a" + b" " * 60_000 + b"b" + b"\n \t" * 20_000 + b"c=d\n\nthe body"
    )
    assert message.text == "the body"


def test_two_thousand_nested_parts_are_cut_and_said() -> None:
    message = parse_message(nested(2000))
    assert message.subject == "deep"
    assert "too-deep" in message.problems
    assert message.parts


def test_nested_messages_are_cut_and_said() -> None:
    message = parse_message(b"Content-Type: message/rfc822\n\n" * 3000 + b"hi")
    assert "too-deep" in message.problems


def test_a_hundred_thousand_parts_are_cut_and_said() -> None:
    message = parse_safely(b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000)
    assert "too-many-parts" in message.problems
    assert len(message.parts) <= 1001
    assert message.text.startswith("x")


def test_a_huge_header_goes_through_the_helper_process() -> None:
    raw = b"X-Long: " + b"a" * 20_000_000 + b"\nSubject: still read\n\nhi"
    assert scan(raw) == "header"
    message = parse_safely(raw)
    assert (message.subject, message.text) == ("still read", "hi")
    assert len(message.header_block) <= 64 * 1024


def test_a_million_header_lines_end() -> None:
    assert parse_safely(b"Subject: x\n" + b"X-A: a\n" * 1_000_000 + b"\nhi").subject == "x"


def test_a_million_lines_that_are_no_headers_are_text() -> None:
    assert parse_safely(b"junk\n" * 1_000_000).text.startswith("junk")


def test_deep_html_gives_its_words() -> None:
    message = parse_safely(b"Content-Type: text/html\n\n" + b"<div>" * 100_000 + b"the word")
    assert message.text == "the word"


def test_ordinary_mail_is_not_sent_to_the_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> bytes:
        raise AssertionError("no helper for ordinary mail")

    monkeypatch.setattr(parse.jail, "run", forbidden)
    raw = (
        b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n\n"
        + b"QUFB\n" * 100_000
        + b"\n--b--\n"
    )
    assert parse_safely(raw).subject == "x"


def test_what_even_the_helper_cannot_read_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "JAIL_SECONDS", 0.01)
    with pytest.raises(Unreadable) as caught:
        parse_safely(b"X-Long: " + b"a" * 300_000 + b"\n\nhi")
    assert caught.value.reason


def test_left_out_parts_survive_the_helper() -> None:
    part = make_dataclass("part", ["id", "content_type", "size", "file_name", "content_id", "disposition"])
    raw = b"X-Long: " + b"a" * 300_000 + b"\n\nhi"
    message = parse_safely(raw, left_out=[part("2", "image/png", 7, "a.png", "", "inline")])
    assert [(p.id, p.size, p.is_left_out) for p in message.parts] == [("2", 7, True)]
