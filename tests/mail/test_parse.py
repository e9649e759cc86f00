"""What comes out of the parser: text, addresses, parts with IMAP sections, and never an exception."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.message import extract_part, parse_message
from mail.types import Address, ParsedMessage
from mail.wire import dump_message, load_message

MAILS = Path(__file__).resolve().parent.parent / "mails"


@dataclass(frozen=True)
class Part:
    id: str
    content_type: str
    size: int
    file_name: str = ""
    content_id: str = ""
    disposition: str = ""


def strings_of(message: ParsedMessage) -> list[str]:
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, tuple):
            for item in value:
                walk(item)
        elif hasattr(value, "__dataclass_fields__"):
            for field in fields(value):  # type: ignore[arg-type]
                walk(getattr(value, field.name))

    walk(message)
    return found


def assert_storable(message: ParsedMessage) -> None:
    for text in strings_of(message):
        assert "\x00" not in text
        text.encode("utf-8")
    for line in (message.subject, message.message_id, message.snippet, message.list_id, *message.references):
        assert "\r" not in line
        assert "\n" not in line
    for part in message.parts:
        assert not set("\r\n/\x00") & set(part.file_name)


def parse_fixture(name: str) -> ParsedMessage:
    return parse_message((MAILS / name).read_bytes())


def test_a_reply_with_attachments_gives_text_html_and_numbered_parts() -> None:
    message = parse_fixture("offer_with_pdf.eml")
    assert message.subject == "AW: Angebot für Müller & Söhne"
    assert message.from_ == (Address("Jörg Müller", "jorg@example.org"),)
    assert message.to == (Address("Ann Example", "ann@example.com"), Address("", "team@example.com"))
    assert message.date == datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    assert message.message_id == "offer-2@example.org"
    assert message.in_reply_to == "offer-1@example.com"
    assert message.references == ("start@example.com", "offer-1@example.com")
    assert message.text.startswith("Guten Tag Frau Example,")
    assert "<b>Angebot</b>" in message.html
    assert [(p.id, p.content_type, p.file_name, p.is_inline) for p in message.parts] == [
        ("1.2.2", "image/png", "logo.png", True),
        ("2", "application/pdf", "Angebot für Müller.pdf", False),
    ]
    assert message.problems == ()
    assert not message.is_automatic


def test_the_bytes_of_a_part_are_found_by_its_section() -> None:
    raw = (MAILS / "offer_with_pdf.eml").read_bytes()
    part, content = extract_part(raw, "2")
    assert content == b"%PDF-1.4 not really"
    assert part.size == len(content)
    assert extract_part(raw, "1.1")[1].startswith(b"Guten Tag")
    with pytest.raises(KeyError):
        extract_part(raw, "7")


def test_sections_of_an_embedded_message_follow_imap() -> None:
    message = parse_fixture("forwarded.eml")
    assert [(p.id, p.content_type, p.file_name) for p in message.parts] == [
        ("2", "message/rfc822", "Minutes.eml"),
        ("2.2", "text/csv", "minutes.csv"),
    ]
    assert "Please see below." in message.text
    assert "We agreed on Friday." in message.text
    assert extract_part((MAILS / "forwarded.eml").read_bytes(), "2.2")[1].strip() == b"a,b"


def test_a_single_part_message_is_section_one() -> None:
    message = parse_message(b"Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\naGk=\n")
    assert [(p.id, p.size, p.file_name) for p in message.parts] == [("1", 2, "a.png")]


def test_a_left_out_part_is_listed_with_the_size_the_server_names() -> None:
    raw = (
        b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n"
        b"--b\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n--b--\n"
    )
    info = Part("2", "application/zip", 5_000_000, "a.zip", "", "attachment")
    message = parse_message(raw, left_out=[info, Part("3", "IMAGE/PNG", 9, "b/../c.png")])
    assert message.text == "hello"
    assert [(p.id, p.size, p.is_left_out, p.file_name) for p in message.parts] == [
        ("2", 5_000_000, True, "a.zip"),
        ("3", 9, True, "c.png"),
    ]


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "こんにちは、見積書です"),
        ("gb18030", "你好，这是报价单"),
        ("gb2312", "你好，这是报价单"),
        ("big5", "您好，這是報價單"),
        ("euc-kr", "안녕하세요 견적서입니다"),
        ("shift_jis", "こんにちは①②"),
        ("koi8-r", "Добрый день"),
        ("windows-1252", "Preis: 5 € – “gut”"),
        ("iso-8859-1", "Müller"),
        ("utf-16", "héllo"),
        ("utf-7", "Grüße"),
    ],
)
def test_text_of_every_charset_is_kept(charset: str, text: str) -> None:
    codec = {"shift_jis": "cp932"}.get(charset, charset)
    raw = f"Content-Type: text/plain; charset={charset}\n\n".encode() + text.encode(codec)
    assert parse_message(raw).text == text


@pytest.mark.parametrize("charset", ["x-unknown", "hex", "rot13", "punycode", "idna", "unicode_escape", "a" * 500])
def test_an_unknown_charset_loses_nothing_and_is_named(charset: str) -> None:
    raw = f'Content-Type: text/plain; charset="{charset}"\n\ngrüße \\u0041'.encode()
    message = parse_message(raw)
    assert message.text == "grüße \\u0041"
    assert "charset" in message.problems


def test_encoded_words_with_split_letters_and_hidden_line_breaks() -> None:
    raw = b"Subject: =?utf-8?B?w7w=?= =?utf-8?Q?_=E2=82?= =?utf-8?Q?=AC?= =?utf-8?Q?a=0D=0ABcc:_x?=\n\n"
    assert parse_message(raw).subject == "ü €a Bcc: x"


def test_a_line_break_in_an_encoded_display_name_does_not_break_the_header() -> None:
    message = parse_message(b"From: =?utf-8?Q?Eve=0D=0ABcc:_victim@example.com?= <eve@example.net>\n\n")
    assert message.from_ == (Address("Eve Bcc: victim@example.com", "eve@example.net"),)
    assert message.bcc == ()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"attachment; filename*=utf-8''%e2%82%ac%20rates.pdf", "€ rates.pdf"),
        (b"attachment; filename*1*=%C3%BC.pdf; filename*0*=utf-8''gr", "grü.pdf"),
        (b'attachment; filename*0="very long "; filename*1="name.pdf"', "very long name.pdf"),
        (b'attachment; filename="=?utf-8?B?w7wucGRm?="', "ü.pdf"),
        (b"attachment; filename=two words.pdf", "two words.pdf"),
        ('attachment; filename="grün.pdf"'.encode(), "grün.pdf"),
        (b'attachment; filename="..\\..\\evil.exe"', "evil.exe"),
        (b'attachment; filename="/etc/passwd"', "passwd"),
        ('attachment; filename="invoice\u202efdp.exe"'.encode(), "invoicefdp.exe"),
        (b'attachment; filename="a=0D=0A.pdf"', "a=0D=0A.pdf"),
    ],
)
def test_file_names_are_decoded_and_hold_no_path(header: bytes, name: str) -> None:
    raw = b"Content-Type: application/pdf\nContent-Disposition: " + header + b"\n\nx"
    assert parse_message(raw).parts[0].file_name == name


def test_flowed_text_is_joined_and_quotes_stay_apart() -> None:
    raw = b"Content-Type: text/plain; format=flowed\n\nA soft \nline.\n> quoted \n> on\nnext\n-- \nAnn\n"
    assert parse_message(raw).text == "A soft line.\n> quoted on\nnext\n-- \nAnn"


def test_a_boundary_that_never_comes_keeps_the_text() -> None:
    message = parse_message(b"Content-Type: multipart/mixed; boundary=x\n\nall the text\n")
    assert message.text == "all the text"
    assert message.problems


def test_a_wrong_boundary_is_guessed() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--y\nContent-Type: text/plain\n\none\n--y\n"
        b"Content-Type: text/plain\n\ntwo\n--y--\n"
    )
    assert parse_message(raw).text == "one\n\ntwo"


def test_a_missing_end_boundary_keeps_the_last_part() -> None:
    assert parse_message(b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n\ntwo").text == "one\n\ntwo"


def test_html_alone_gives_a_text_with_every_word() -> None:
    raw = b"Content-Type: text/html\n\n<style>p{}</style><p>He<b>ll</b>o</p><p>you<br>there</p><script>x()</script>"
    message = parse_message(raw)
    assert message.text.split() == ["Hello", "you", "there"]
    assert message.snippet == "Hello you there"


def test_winmail_dat_and_signatures_are_listed() -> None:
    raw = (
        b"Content-Type: multipart/signed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: application/pkcs7-signature;"
        b" name=smime.p7s\n\nx\n--b\nContent-Type: application/ms-tnef; name=winmail.dat\n\nx\n--b--\n"
    )
    assert [p.file_name for p in parse_message(raw).parts] == ["smime.p7s", "winmail.dat"]


@pytest.mark.parametrize(
    "header",
    [
        b"Auto-Submitted: auto-replied",
        b"Precedence: bulk",
        b"List-Id: <a.example.org>",
        b"Return-Path: <>",
        b"X-Autoreply: yes",
    ],
)
def test_machines_are_recognised(header: bytes) -> None:
    assert parse_message(header + b"\n\nx").is_automatic


def test_a_person_is_no_machine() -> None:
    assert not parse_message(b"Auto-Submitted: no\nFrom: a@example.org\n\nx").is_automatic


def test_authentication_results_come_raw_and_topmost_first() -> None:
    raw = b"Authentication-Results: mx.example.org;\n dkim=pass\nAuthentication-Results: other; spf=fail\n\n"
    assert parse_message(raw).authentication_results == ("mx.example.org; dkim=pass", "other; spf=fail")


def test_the_digest_is_the_same_over_protocols_and_differs_between_messages() -> None:
    one = (
        b"Message-ID: <a@b>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nFrom: A <a@example.org>\r\n"
        b"To: b@example.org\r\nSubject: Re: Hi\r\n\r\nx"
    )
    same = (
        b"Received: x\nSubject: AW: hi\nMessage-ID: <a@b>\nDate: Mon, 2 Nov 2026 09:00:00 +0000\n"
        b"From: a@EXAMPLE.org\nTo: b@example.org\n\ny"
    )
    other = one.replace(b"<a@b>", b"<c@b>")
    assert parse_message(one).digest == parse_message(same).digest
    assert parse_message(one).digest != parse_message(other).digest


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 2 Nov 2026 10:00:00 +0100 (CET)",
        "2 Nov 26 09:00:00 GMT",
        "Mon, 2 Nov 2026 10:00:00 GMT+01:00",
        "2026-11-02T09:00:00Z",
        "Mon, 2 Nov (a comment) 2026 09:00:00 -0000",
    ],
)
def test_dates_in_many_hands_mean_the_same_moment(value: str) -> None:
    assert parse_message(f"Date: {value}\n\n".encode()).date == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["", "yesterday", "Mon, 99 Foo 2026", "1 Jan 99999 00:00:00 +9999", "31 Dec 9999 23:59:60 -2359"]
)
def test_an_impossible_date_is_none(value: str) -> None:
    assert parse_message(f"Date: {value}\n\n".encode()).date is None


def test_a_header_line_that_is_none_is_kept_as_text() -> None:
    assert "This is no header" in parse_message(b"Subject: x\nThis is no header\nat all\n\nbody").text


def test_a_badly_folded_header_does_not_swallow_the_next_ones() -> None:
    message = parse_message(b"Subject: a long\nsubject\nFrom: a@example.org\nContent-Type: text/plain\n\nbody")
    assert message.from_[0].address == "a@example.org"
    assert message.text == "body"


def test_lone_carriage_returns_and_nuls_are_mended() -> None:
    message = parse_message(b"Subject: a\x00b\rFrom: a@example.org\r\rbo\x00dy\rtwo")
    assert (message.subject, message.text) == ("a b", "body\ntwo")
    assert_storable(message)


def test_a_message_survives_the_way_through_json() -> None:
    message = parse_fixture("offer_with_pdf.eml")
    assert load_message(dump_message(message)) == message


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2000))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    message = parse_message(raw)
    assert "parser-failed" not in message.problems
    assert_storable(message)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\n\n",
        b"--b\n",
        b"--b--\n",
        b"Content-Type: multipart/mixed; boundary=b\n",
        b"Content-Type: ",
        b"text/html; charset=",
        b"utf-7",
        b"utf-16",
        b"=?utf-8?q?",
        b"?=",
        b"=0D=0A",
        b"=00",
        b"message/rfc822\n",
        b"Content-Transfer-Encoding: base64\n",
        b"quoted-printable\n",
        b"From: ",
        b"Subject: ",
        b"References: <",
        b">",
        b'"',
        b"(",
        b",",
        b";",
        b"filename*0*=",
        b"%00%0d",
        b"+2AA-",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\x00",
        b"<p>",
        b"cid:a",
        b"begin 644 x\n",
        b" ",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES | st.binary(max_size=8), max_size=60))
def test_no_broken_mail_makes_it_raise(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    message = parse_message(raw)
    assert "parser-failed" not in message.problems
    assert_storable(message)
    for part in message.parts:
        assert extract_part(raw, part.id)[0].id == part.id


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60), st.binary(max_size=300))
def test_what_the_standard_library_writes_is_read_back(text: str, data: bytes) -> None:
    built = EmailMessage()
    built["Subject"] = text
    built.set_content(text)
    built.add_attachment(data, maintype="application", subtype="x-any", filename="a b.bin")
    raw = built.as_bytes()
    message = parse_message(raw)
    assert " ".join(message.subject.split()) == " ".join(text.split())
    assert message.text.split() == text.split()
    assert extract_part(raw, message.parts[0].id)[1] == data
    assert message.parts[0].size == len(data)
