"""EWS read and written, without a server: times, addresses of services, messages built from properties."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ews import compose, items, wire
from drivers.ews.address import endpoint_of, ntlm_name
from drivers.ews.sending import with_bcc
from drivers.ews.wire import element, read_time
from drivers.types import Envelope
from mail.parse import parse_message

MOMENT = datetime(2026, 11, 26, 8, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26T08:30:05Z",
        "2026-11-26T08:30:05",
        "2026-11-26T08:30:05.0000000Z",
        "2026-11-26T08:30:05.000000000Z",
        "2026-11-26T09:30:05+01:00",
        "2026-11-26T03:00:05-0530",
        " 2026-11-26t08:30:05z ",
    ],
)
def test_a_time_is_read_with_any_number_of_decimals_and_any_zone(text: str) -> None:
    assert read_time(text) == MOMENT


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-11-26", "x" * 9999]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text) is None


@given(
    st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(0, 9),
    st.integers(-14 * 60, 14 * 60),
)
def test_times_come_back_to_the_microsecond(moment: datetime, decimals: int, offset: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    text = aware.isoformat(timespec="microseconds")
    head, sign = text[:26], text[26:]
    written = head + "0" * 3 + sign if decimals == 9 else text
    assert read_time(written) == aware.astimezone(UTC)


@given(st.text(max_size=300))
def test_no_text_breaks_the_readers(text: str) -> None:
    read_time(text)
    with suppress(ValueError):
        assert endpoint_of(text).host


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("mail.example.org", "https://mail.example.org/EWS/Exchange.asmx"),
        ("mail.example.org:8443", "https://mail.example.org:8443/EWS/Exchange.asmx"),
        ("https://mail.example.org/", "https://mail.example.org/EWS/Exchange.asmx"),
        ("https://mail.example.org:443/ews/x.asmx", "https://mail.example.org/ews/x.asmx"),
        ("https://[2001:db8::5]/EWS/Exchange.asmx", "https://[2001:db8::5]/EWS/Exchange.asmx"),
    ],
)
def test_a_service_is_named_by_host_or_url(typed: str, url: str) -> None:
    assert endpoint_of(typed).url == url


def test_the_three_forms_of_a_login() -> None:
    assert ntlm_name("HAFEN\\anna") == "HAFEN\\anna"
    assert ntlm_name("anna@hafen.de") == "\\anna@hafen.de" and ntlm_name("anna") == "\\anna"


def item(**texts: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - an element
    """An item with these properties."""
    made = element("t:Message", element("t:ItemId", Id="A" * 40, ChangeKey="B"))
    for name, text in texts.items():
        made.append(element(f"t:{name}", text))
    return made


def person(name: str, address: str, kind: str = "SMTP"):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return element(
        "t:Mailbox", element("t:Name", name), element("t:EmailAddress", address), element("t:RoutingType", kind)
    )


def test_a_message_is_built_from_properties_for_the_one_parser() -> None:
    made = item(Subject="Grüße aus Kiel", InternetMessageId="<a@b.c>", DateTimeSent="2026-11-26T08:30:05.123456789Z")
    made.append(element("t:Body", "<p>Größe</p>", BodyType="HTML"))
    made.append(element("t:From", person("Ida Müller", "ida@example.org")))
    made.append(element("t:ToRecipients", person("Ben", "ben@example.org"), person("EX", "/o=hafen/cn=cleo", "EX")))
    parsed = parse_message(compose.message_of(made))
    assert (parsed.subject, parsed.message_id) == ("Grüße aus Kiel", "a@b.c")
    assert parsed.from_[0].name == "Ida Müller" and parsed.from_[0].address == "ida@example.org"
    assert [one.address for one in parsed.to if one.address] == ["ben@example.org"]
    assert "Größe" in parsed.html and parsed.date == MOMENT


def test_the_header_block_that_arrived_is_kept_but_for_what_describes_the_body() -> None:
    block = (
        "Received: from a\r\n\tby b\r\nAuthentication-Results: mail.hafen.de; spf=pass\r\nSubject: Old =?utf-8?q?one?=\r\n"
        "Content-Type: multipart/mixed; boundary=x\r\nMIME-Version: 1.0\r\nMessage-ID: <real@x.y>\r\n\r\n"
    )
    made = item(Subject="other", InternetMessageId="<other@x.y>")
    uri = wire.tagged(items.TRANSPORT_HEADERS, "String")
    made.append(element("t:ExtendedProperty", uri, element("t:Value", block)))
    made.append(element("t:Body", "Hello", BodyType="Text"))
    message = message_from_bytes(compose.message_of(made))
    assert message["Message-ID"] == "<real@x.y>" and message["Authentication-Results"] and message["Received"]
    assert message.get_all("Content-Type") == ["text/plain; charset=utf-8"]
    assert message.get_payload(decode=True) == b"Hello"


@given(st.text(max_size=200), st.text(max_size=100), st.text(max_size=100))
def test_no_property_begins_a_header_line_of_its_own(subject: str, name: str, address: str) -> None:
    made = item(Subject=f"{subject}\r\nX-Evil: 1", InternetMessageId=f"<{address}>\r\n\r\nbody")
    made.append(element("t:From", person(f"{name}\r\nX-Evil: 2", f"a@{address}\r\nX-Evil: 3")))
    made.append(element("t:Body", "text", BodyType="Text"))
    message = message_from_bytes(compose.message_of(made))
    assert message["X-Evil"] is None and message.get_payload(decode=True) == b"text"


@pytest.mark.parametrize(
    ("item_class", "mail"),
    [
        ("IPM.Note", True),
        ("ipm.note.SMIME.MultipartSigned", True),
        ("", True),
        ("IPM.NoteBook", False),
        ("IPM.Schedule.Meeting.Request", False),
        ("REPORT.IPM.Note.NDR", False),
        ("IPM.Contact", False),
    ],
)
def test_what_is_mail(item_class: str, mail: bool) -> None:
    assert items.is_mail(item_class) is mail


def test_recipients_in_no_header_go_into_a_bcc() -> None:
    raw = b"From: a@x.y\r\nTo: Ben <ben@x.y>\r\nSubject: Hi\r\n\r\nHi\r\n"
    assert with_bcc(raw, Envelope("a@x.y", ("BEN@x.y",))) == raw
    whole = with_bcc(raw, Envelope("a@x.y", ("ben@x.y", "cleo@x.y", "dan@x.y")))
    assert message_from_bytes(whole)["Bcc"].replace("\r\n", "") == "cleo@x.y, dan@x.y" and whole.endswith(raw)
