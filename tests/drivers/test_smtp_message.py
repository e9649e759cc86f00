"""What is put on the line: no smuggling, and letters of all alphabets as far as the server takes them."""

import email
import re
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import SendRejected
from drivers.smtp.driver import SmtpDriver
from drivers.smtp.message import Unsendable, envelope_id, wire_address, wire_message
from drivers.types import Envelope, Security, ServerAddress
from tests.servers.scripted_smtp import DEFAULTS, ScriptedSmtp

HEADER = b"From: maren@nordlys.example\r\nSubject: x\r\n"
ASCII_ONLY = "250-scripted\r\n250 SIZE 1000000"


def send(envelope, raw=HEADER + b"\r\nhello\r\n", **replies):
    with ScriptedSmtp(replies) as server:
        target = ServerAddress("127.0.0.1", server.port, Security.NONE, private_networks=("127.0.0.1/32",), timeout=2.0)
        with SmtpDriver(target, None) as smtp:
            return smtp.send(envelope, raw), server


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", b"\r.\r\n"])
def test_no_spelling_of_the_end_of_data_smuggles_a_second_mail(end):
    hidden = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n"
    _, server = send(Envelope("a@b.example", ("c@d.example",)), HEADER + b"\r\nhello" + end + hidden)
    assert len(server.messages) == 1 and b"evil@example.org" in server.messages[0]
    assert not any("evil" in line for line in server.lines)


@given(st.binary(max_size=400))
def test_whatever_the_body_no_line_ends_otherwise_and_no_line_is_a_lone_dot(body):
    raw = HEADER + b"\r\n" + body.replace(b"\0", b"")
    wire = wire_message(raw, allow_8bit=True).body
    assert wire.endswith(b"\r\n")
    assert b"\r" not in wire.replace(b"\r\n", b"") and b"\n" not in wire.replace(b"\r\n", b"")
    assert b".".strip() not in wire.split(b"\r\n")


def test_a_nul_or_a_bare_return_in_the_header_is_refused_in_words():
    for raw in (HEADER + b"\r\nnu\0l", b"Subject: x\rBcc: victim@example.org\r\n\r\nhello"):
        with pytest.raises(SendRejected) as caught:
            send(Envelope("a@b.example", ("c@d.example",)), raw)
        assert caught.value.code == 554


@given(st.text(max_size=40))
def test_no_address_can_end_its_command(text):
    for utf8 in (True, False):
        try:
            encoded = wire_address(text, utf8=utf8)
        except Unsendable:
            continue
        assert not set(encoded) & set(b"\r\n\0<> \t")


@pytest.mark.parametrize(
    "evil", ["a@b.example>\r\nRCPT TO:<x@y.example", "a@b.example> SIZE=1", "a b@c.example", "nobody", ""]
)
def test_an_address_with_a_command_in_it_is_refused_and_the_others_get_the_mail(evil):
    receipt, server = send(Envelope("a@b.example", (evil, "c@d.example")))
    assert [(r.accepted, r.code) for r in receipt.results] == [(False, 553), (True, 250)]
    assert sum(line.startswith("RCPT") for line in server.lines) == 1


def test_letters_of_other_alphabets_are_sent_where_the_server_takes_them():
    _, server = send(Envelope("a@b.example", ("пошта@приклад.example",)), "Subject: Привіт\r\n\r\nтак\r\n".encode())
    assert "SMTPUTF8" in server.lines[1] and "BODY=8BITMIME" in server.lines[1]
    assert server.lines[2] == "RCPT TO:<пошта@приклад.example>"


def test_a_server_without_smtputf8_gets_the_domain_in_ascii_and_refuses_only_the_impossible():
    envelope = Envelope("a@b.example", ("info@bücher.example", "пошта@приклад.example"))
    receipt, server = send(envelope, EHLO=ASCII_ONLY)
    assert server.lines[2] == "RCPT TO:<info@xn--bcher-kva.example>"
    assert [r.accepted for r in receipt.results] == [True, False]
    with pytest.raises(SendRejected):
        send(envelope, "Subject: Привіт\r\n\r\nx\r\n".encode(), EHLO=ASCII_ONLY)


def test_a_server_without_8bitmime_gets_seven_bits_with_the_same_words():
    mime = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    raw = HEADER + mime + "Grüße, 灯籠\r\n".encode()
    _, server = send(Envelope("a@b.example", ("c@d.example",)), raw, EHLO=ASCII_ONLY)
    assert server.messages[0].isascii()
    got = email.message_from_bytes(server.messages[0], policy=policy.default)
    assert got.get_content().strip() == "Grüße, 灯籠"


def test_a_bounce_has_the_null_sender():
    _, server = send(Envelope("", ("c@d.example",)))
    assert server.lines[1].startswith("MAIL FROM:<>")


def test_a_server_with_dsn_is_asked_for_reports_of_failure_and_delay_named_by_our_message_id():
    ehlo = DEFAULTS["EHLO"].replace("250-8BITMIME", "250-8BITMIME\r\n250-DSN")
    raw = b"Message-ID: <a+b=c@nordlys.example>\r\nSubject: x\r\n\r\nhello\r\n"
    _, server = send(Envelope("a@b.example", ("c@d.example",)), raw, EHLO=ehlo)
    assert server.lines[1].endswith(" RET=HDRS ENVID=a+2Bb+3Dc@nordlys.example")
    assert server.lines[2] == "RCPT TO:<c@d.example> NOTIFY=FAILURE,DELAY"


def test_a_server_without_dsn_and_a_mail_with_an_odd_message_id_get_no_parameter_of_it():
    raw = b"Message-ID: <%b@b.example>\r\n\r\nhello\r\n"
    _, server = send(Envelope("a@b.example", ("c@d.example",)), raw % b"a")
    assert not any("RET=" in line or "NOTIFY=" in line for line in server.lines)
    assert envelope_id(raw % (b"a" * 200)) == envelope_id(raw % b"a b") == envelope_id(b"X: <a@b>\r\n\r\n") == ""


@given(st.binary(max_size=200))
def test_no_message_id_can_end_its_command(text):
    assert re.fullmatch(r"[!-~]*", envelope_id(b"Message-ID: <" + text + b">\r\n\r\n"))
