"""A letter as bytes: what an independent parser reads, what never stands in it, and what nobody can smuggle in."""

from __future__ import annotations

import email
import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.parse import parse_message
from outbox.compose import FilePart, Letter, Unwritable, build, needs_utf8
from outbox.header_lines import address_field, file_parameters, text_field, wire_form
from outbox.plain_text import flow, html_to_plain

WHEN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LETTER = Letter(
    sender=("Anna Berg", "anna@example.com"),
    message_id="0f1e2d3c@example.com",
    date=WHEN,
    to=(("Ida Lindqvist", "ida@customer.example"),),
    bcc=(("", "quiet@partner.example"),),
    subject="Lanterns",
    html="<p>Good morning</p>",
)
EVIL = (
    "\r\n", "\n", "\r", "\0", "\r\n\r\n", "\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\nBcc: x@evil.example\r\n",
    "\u2028", "\u2029",
    "\x85", "\x0b", "\x0c", "=?utf-8?q?=0D=0ABcc:_x@evil.example?=", "<", ">", "\"", "\\", "(", ")", ",", ";", ":", "@",
    "\r\nDATA\r\n", "\r\nMAIL FROM:<x@evil.example>\r\n",
    "\r\n.\r\nMAIL FROM:<x@evil.example>\r\nRCPT TO:<y@evil.example>\r\nDATA\r\n",
    "\n.\nRSET\n", "\ud800", "\U0001f512", "\u202e", "From ", ".", "..", "--=_", "%0d%0a",
)  # fmt: skip


def read(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=policy.default)


def assert_well_formed(raw: bytes) -> None:
    assert b"\0" not in raw
    assert b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.endswith(b"\r\n")


def test_an_independent_parser_reads_what_was_written() -> None:
    files = (
        FilePart("Größe – 見積.pdf", "application/pdf", b"%PDF-1.4 " + bytes(range(256)) * 20),
        FilePart("lantern.png", "image/png", b"\x89PNG", "pic1@inline"),
    )
    html = '<p>Grüße, <b>Ида</b></p><img src="cid:pic1@inline">'
    subject = "Grüße aus Köln, und vielen Dank für die schönen Laternen die gestern hier ankamen"
    raw = build(
        replace(LETTER, subject=subject, html=html, files=files, to=(("Ида, Линдквист", "ida@customer.example"),))
    )
    assert_well_formed(raw)
    mail = read(raw)
    assert mail["Subject"] == subject
    assert mail["To"].addresses[0].display_name == "Ида, Линдквист"
    assert mail["Message-ID"] == "<0f1e2d3c@example.com>"
    assert mail.get_content_type() == "multipart/mixed"
    assert mail.get_body(("html",)).get_content().count("Ида") == 1
    assert mail.get_body(("plain",)).get_content().startswith("Grüße, Ида")
    attachment = list(mail.iter_attachments())[0]
    assert attachment.get_filename() == "Größe – 見積.pdf" and attachment.get_content() == files[0].content
    ours = parse_message(raw)
    assert ours.subject == subject and [part.file_name for part in ours.parts] == ["lantern.png", "Größe – 見積.pdf"]
    assert ours.parts[0].is_inline and not ours.problems


def test_a_blank_between_two_encoded_words_is_not_lost() -> None:
    for length in range(1, 60):
        subject = "ä" * length + " " + "ö" * 40 + " und so weiter"
        assert read(build(replace(LETTER, subject=subject)))["Subject"] == subject


def test_bcc_and_everything_about_us_stays_at_home() -> None:
    raw = build(LETTER)
    assert b"quiet@partner" not in raw and b"bcc" not in raw.lower()
    names = {
        line.split(b":")[0].lower() for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if not line.startswith(b" ")
    }
    assert names == {b"date", b"from", b"to", b"subject", b"message-id", b"mime-version", b"content-type"}
    assert b"Bcc: quiet@partner.example" in build(LETTER, with_bcc=True)


def test_only_bcc_gives_undisclosed_recipients() -> None:
    assert b"To: undisclosed-recipients:;\r\n" in build(replace(LETTER, to=()))


def test_utf8_stands_in_a_header_only_where_an_address_needs_it() -> None:
    assert build(replace(LETTER, to=(("Ида", "ida@bücher.example"),))).isascii()
    foreign = replace(LETTER, to=(("Олена", "олена@nordlys.example"),))
    assert needs_utf8(foreign) and not needs_utf8(LETTER)
    assert "олена@nordlys.example".encode() in build(foreign)


def test_the_chain_of_references_survives_and_holds_no_broken_id() -> None:
    ids = tuple(f"id{n}@customer.example" for n in range(100)) + ("two words@x", "a>b@x", "\r\nX: y@x", "ü@x")
    mail = read(build(replace(LETTER, references=ids, in_reply_to="id99@customer.example")))
    assert mail["References"].split() == [f"<id{n}@customer.example>" for n in range(100)]
    assert mail["In-Reply-To"] == "<id99@customer.example>"


def test_a_data_picture_becomes_an_inline_part() -> None:
    raw = build(replace(LETTER, html='<p>See</p><img src="data:image/png;base64,iVBORw0KGgo=">'))
    assert b"data:image" not in raw
    parsed = parse_message(raw)
    assert [(part.content_type, part.is_inline) for part in parsed.parts] == [("image/png", True)]


def test_an_attached_mail_is_never_taken_for_a_part_of_this_one() -> None:
    raw = build(replace(LETTER, files=(FilePart("mail.eml", "message/rfc822", b"From: x\r\n\r\nhi"),)))
    assert b"message/rfc822" not in raw


@pytest.mark.parametrize(
    "address", ["a@b\r\nX: y", "a b@c.example", "a@b,c@d", "<a@b.example>", "", "a@", "a@b@c", "x" * 400 + "@y.example"]
)
def test_what_is_no_address_cannot_be_written(address: str) -> None:
    with pytest.raises(Unwritable):
        build(replace(LETTER, to=(("", address),)))


@settings(max_examples=200, deadline=None)
@given(
    subject=st.text(max_size=300),
    name=st.text(max_size=100),
    file_name=st.text(max_size=220),
    text=st.text(max_size=2000),
)
def test_any_text_makes_a_well_formed_mail(subject: str, name: str, file_name: str, text: str) -> None:
    letter = replace(LETTER, subject=subject, text=text, html="", to=((name, "ida@customer.example"),))
    raw = build(replace(letter, files=(FilePart(file_name, "text/plain", b"x"),)))
    assert_well_formed(raw)
    mail = read(raw)
    assert not mail.defects and mail.get_all("Bcc") is None
    assert [one.addr_spec for one in mail["To"].addresses] == ["ida@customer.example"]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("abc >\n-Fröm ."), max_size=600))
def test_flowed_text_gives_the_same_text_back(text: str) -> None:
    """Unflowed by RFC 3676 4.1 as another program would; trailing blanks of lines are not kept (4.2)."""
    lines: list[str] = []
    open_: tuple[int, str] | None = None
    for raw in flow(text).split("\n"):
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:].removeprefix(" ")
        if open_ is not None and open_[0] == depth:
            line = open_[1] + line
        open_ = (depth, line) if line.endswith(" ") and line != "-- " else None
        if open_ is None:
            lines.append(">" * depth + line)
    expected = [re.sub(r"^((?:> ?)*>) ?", lambda m: m[1].replace(" ", ""), one) for one in text.split("\n")]
    assert lines == [one if one == "-- " or one.lstrip(">") == "-- " else one.rstrip(" ") for one in expected]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_header_pieces_hold_no_line_of_their_own(text: str) -> None:
    for raw in (text_field("Subject", text), address_field("To", [(text, "a@b.example")])):
        assert re.fullmatch(rb"[A-Z][a-z]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\S[^\r\n]*\r\n)*", raw), raw
    for parameter in file_parameters(text):
        assert parameter.isascii() and not re.search(r"[\r\n\0]", parameter)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_an_address_on_the_wire_holds_nothing_but_itself(text: str) -> None:
    try:
        written = wire_form(f"{text}@b.example")
    except Unwritable:
        return
    assert not re.search(r"[\x00-\x1f\x7f<>\u2028\u2029]", written) and written.endswith("@b.example")


def test_html_to_plain_keeps_words_lists_quotes_links_and_tables() -> None:
    html = (
        "<h1>Offer</h1><p>See <a href='https://a.example/x?y=1'>the list</a>, <a href='https://b.example'>b.example</a>"
        "<br>second&nbsp;line</p><ol><li>one</li><li>two<ul><li>inner</li></ul></li></ol>"
        "<table><tr><th>Piece</th><th>Price</th></tr><tr><td>Lantern</td><td>12</td></tr></table>"
        "<blockquote><p>Hello</p><blockquote><p>deep</p></blockquote></blockquote><pre>a\n  b</pre><script>x</script>"
    )
    assert html_to_plain(html) == (
        "Offer\n\nSee the list <https://a.example/x?y=1>, b.example\nsecond line\n\n1. one\n2. two\n   - inner\n\n"
        "Piece   Price\nLantern   12\n\n> Hello\n>\n>> deep\n\na\n  b\n"
    )


PIECES = ("<p>", "<div>", "</div>", "<li>", "<blockquote>", "<pre>", "<a href=x>", "<td>", "word ", "\n", "&")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=300))
def test_any_html_becomes_text_without_raising(pieces: list[str]) -> None:
    html = "".join(pieces)
    assert html_to_plain(html).count("word") == html.count("word ")


def mutations(count: int, seed: int = 7) -> list[Letter]:
    """Letters with hostile bits anywhere a person or an original can put text."""
    dice = random.Random(seed)

    def spoiled(text: str) -> str:
        for _ in range(dice.randint(1, 3)):
            at = dice.randint(0, len(text))
            text = text[:at] + dice.choice(EVIL) + text[at:]
        return text

    found = []
    for _ in range(count):
        letter = LETTER
        for name in dice.sample(
            ["subject", "html", "text", "to", "sender", "references", "in_reply_to", "files"], dice.randint(1, 4)
        ):
            value: Any = {
                "to": lambda: (
                    (
                        spoiled("Ida"),
                        spoiled("ida@customer.example") if dice.random() < 0.3 else "ida@customer.example",
                    ),
                ),
                "sender": lambda: (spoiled("Anna Berg"), "anna@example.com"),
                "references": lambda: (spoiled("a@b.example"), "c@d.example"),
                "files": lambda: (
                    FilePart(
                        spoiled("a.txt"),
                        spoiled("text/plain"),
                        spoiled("body").encode("utf-8", "replace"),
                        spoiled("x@y") if dice.random() < 0.3 else "",
                    ),
                ),
                "html": lambda: f"<p>{spoiled('Good morning')}</p>",
            }.get(name, lambda name=name: spoiled(getattr(LETTER, name) or "text"))()
            letter = replace(letter, **{name: value})
        found.append(letter)
    return found


def test_two_thousand_mutations_make_well_formed_mails_or_none() -> None:
    built = 0
    for letter in mutations(2000):
        try:
            raw = build(letter)
        except Unwritable:
            continue
        built += 1
        assert_well_formed(raw)
        header = raw.split(b"\r\n\r\n")[0]
        names = [line.split(b":")[0].lower() for line in header.split(b"\r\n") if not line[:1].isspace()]
        assert len(names) == len(set(names)) and b"bcc" not in names, header
    assert built > 1000
