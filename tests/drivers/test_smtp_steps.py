"""SMTP, step by step, against a server that fails exactly where it is told: what is known is what is said."""

import base64
import time

import pytest

from drivers.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ProtocolDisabled,
    ProtocolError,
    SendRejected,
    SendUncertain,
    ServerBusy,
    ServerUnreachable,
    TlsUnavailable,
)
from drivers.smtp.driver import SmtpDriver
from drivers.types import AuthKind, Envelope, Login, Security, ServerAddress
from tests.servers.certificates import make_certificate
from tests.servers.scripted_smtp import DEFAULTS, DROP, SILENT, ScriptedSmtp

LOGIN = Login("maren", "fjord-lantern-77")
MAIL = b"From: maren@nordlys.example\r\nTo: ines@azulejos.example\r\nSubject: Lot 2\r\n\r\nBom dia\r\n.hidden dot\r\n"
TO_INES = Envelope("maren@nordlys.example", ("ines@azulejos.example",))
EHLO_TLS = "250-scripted\r\n250-STARTTLS\r\n250 AUTH PLAIN"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def address(server, security=Security.NONE, *, ca="", host="127.0.0.1", timeout=2.0):
    return ServerAddress(host, server.port, security, ca_bundle=ca, private_networks=("127.0.0.0/8",), timeout=timeout)


def driver(server, login=LOGIN, **options):
    return SmtpDriver(address(server, **options), login, answer_timeout=1.0)


def send(replies=None, envelope=TO_INES, raw=MAIL, **server_options):
    with ScriptedSmtp(replies or {}, **server_options) as server, driver(server) as smtp:
        return smtp.send(envelope, raw), server


def test_a_message_arrives_whole_with_dots_doubled_and_lines_ended():
    receipt, server = send(raw=MAIL.replace(b"\r\n", b"\n"))
    assert server.messages == [MAIL.replace(b"\r\n.hidden", b"\r\n..hidden")]
    assert [(r.address, r.accepted, r.code) for r in receipt.results] == [("ines@azulejos.example", True, 250)]
    assert "queued as 1" in receipt.server_said


def test_one_connection_sends_several_messages():
    with ScriptedSmtp() as server, driver(server) as smtp:
        smtp.send(TO_INES, MAIL)
        smtp.send(TO_INES, MAIL)
    assert len(server.messages) == 2 and server.lines[-1] == "QUIT"


def test_the_check_shows_its_steps_and_the_size_limit():
    with ScriptedSmtp() as server:
        report = driver(server).check()
    assert [step.kind for step in report.steps] == ["connect", "secure", "sign_in"]
    assert report.size_limit == 1_000_000 and "8bitmime" in report.capabilities.names
    assert not any(line.startswith("MAIL") for line in server.lines)


def test_a_mail_refused_for_one_recipient_goes_to_the_others():
    both = Envelope("maren@nordlys.example", ("gone@azulejos.example", "ines@azulejos.example"))
    receipt, _ = send({"RCPT": ["550 5.1.1 no such user", "250 ok"]}, both)
    assert [(r.accepted, r.code) for r in receipt.results] == [(False, 550), (True, 250)]


def test_a_mail_refused_for_everybody_is_rejected_with_each_reason():
    both = Envelope("maren@nordlys.example", ("a@azulejos.example", "b@azulejos.example"))
    with pytest.raises(SendRejected) as caught:
        send({"RCPT": ["450 4.2.1 later", "550 5.1.1 no such user"]}, both)
    assert caught.value.refused["b@azulejos.example"] == (550, "5.1.1 no such user")
    assert not caught.value.is_temporary


def test_a_greylisted_mail_is_rejected_for_now_only():
    with pytest.raises(SendRejected) as caught:
        send({"RCPT": "451 4.7.1 greylisted"})
    assert caught.value.is_temporary


@pytest.mark.parametrize("step", ["MAIL", "DATA", "END"])
def test_a_refusal_at_any_step_is_a_rejection_with_the_servers_words(step):
    with pytest.raises(SendRejected) as caught:
        send({step: "554 5.7.1 looks like spam"})
    assert caught.value.code == 554 and "spam" in caught.value.server_said


def test_after_a_refusal_the_next_mail_goes_over_the_same_line():
    with ScriptedSmtp({"RCPT": ["550 no", "250 ok"]}) as server, driver(server) as smtp:
        with pytest.raises(SendRejected):
            smtp.send(TO_INES, MAIL)
        assert smtp.send(TO_INES, MAIL).results[0].accepted
    assert server.lines.count("RSET") == 1 and sum(line.startswith("EHLO") for line in server.lines) == 1


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_a_server_that_closes_shop_is_busy(step):
    with pytest.raises(ServerBusy) as caught:
        send({step: "421 4.3.2 try again in 5 minutes"})
    assert caught.value.retry_after == 300


@pytest.mark.parametrize("how", [DROP, SILENT])
@pytest.mark.parametrize("step", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
def test_a_line_lost_before_the_end_of_the_message_is_never_uncertain(step, how):
    with ScriptedSmtp({step: how}) as server, pytest.raises(ServerUnreachable) as caught:
        with driver(server, timeout=0.4) as smtp:
            smtp.send(TO_INES, MAIL)
    assert caught.value.kind == ("timeout" if how == SILENT else "dropped")
    assert server.messages == []


def test_a_line_lost_in_the_middle_of_the_message_is_not_uncertain():
    big = MAIL + b"x" * 70 + b"\r\n"
    with pytest.raises(ServerUnreachable):
        send(raw=big + (b"y" * 70 + b"\r\n") * 60_000, drop_after_bytes=10_000, replies={"EHLO": "250 scripted\r\n"[:-2]},
             envelope=TO_INES) if False else _send_big_and_lose_the_line(big)


def _send_big_and_lose_the_line(big):
    ehlo = DEFAULTS["EHLO"].replace("SIZE 1000000", "SIZE 0")
    with ScriptedSmtp({"EHLO": ehlo}, drop_after_bytes=10_000) as server, driver(server) as smtp:
        smtp.send(TO_INES, big + (b"y" * 70 + b"\r\n") * 200_000)
