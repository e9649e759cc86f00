"""SMTP, step by step, against a server that fails exactly where it is told: what is known is what is said."""

import asyncio
import threading
import time

import pytest

from drivers.errors import (
    ProtocolError,
    SendRejected,
    SendUncertain,
    ServerBusy,
    ServerUnreachable,
)
from drivers.smtp.driver import SmtpDriver
from drivers.types import Envelope, Login, Security, ServerAddress
from tests.servers.scripted_smtp import DEFAULTS, DROP, SILENT, ScriptedSmtp

LOGIN = Login("maren", "fjord-lantern-77")
MAIL = b"From: maren@nordlys.example\r\nTo: ines@azulejos.example\r\nSubject: Lot 2\r\n\r\nBom dia\r\n.hidden dot\r\n"
TO_INES = Envelope("maren@nordlys.example", ("ines@azulejos.example",))
NO_LIMIT = DEFAULTS["EHLO"].replace("SIZE 1000000", "SIZE 0")
BIG = MAIL + (b"y" * 70 + b"\r\n") * 200_000


def address(server, timeout=2.0):
    return ServerAddress("127.0.0.1", server.port, Security.NONE, private_networks=("127.0.0.0/8",), timeout=timeout)


def driver(server, timeout=2.0):
    return SmtpDriver(address(server, timeout), LOGIN, answer_timeout=1.0)


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
    with (
        ScriptedSmtp({"RCPT": ["550 no", "250 ok"]}) as server,
        driver(server) as smtp,
        pytest.raises(SendRejected),
    ):
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
    with (
        ScriptedSmtp({step: how}) as server,
        pytest.raises(ServerUnreachable) as caught,
        driver(server, timeout=0.4) as smtp,
    ):
        smtp.send(TO_INES, MAIL)
    assert caught.value.kind == ("timeout" if how == SILENT else "dropped")
    assert server.messages == []


def test_a_line_lost_in_the_middle_of_the_message_is_not_uncertain():
    with (
        ScriptedSmtp({"EHLO": NO_LIMIT}, drop_after_bytes=10_000) as server,
        driver(server) as smtp,
        pytest.raises(ServerUnreachable),
    ):
        smtp.send(TO_INES, BIG)


def test_a_server_that_refuses_in_the_middle_of_the_message_is_heard():
    replies = {"EHLO": NO_LIMIT, "EARLY": "552 5.3.4 too much"}
    with (
        ScriptedSmtp(replies, drop_after_bytes=10_000) as server,
        driver(server) as smtp,
        pytest.raises((SendRejected, ServerUnreachable)) as caught,
    ):
        smtp.send(TO_INES, BIG)
    if isinstance(caught.value, SendRejected):  # a reset may overtake the words
        assert caught.value.code == 552


def test_a_server_that_stops_reading_is_given_up_without_doubt():
    with (
        ScriptedSmtp({"EHLO": NO_LIMIT}, stop_reading_in_data=True) as server,
        driver(server, timeout=0.5) as smtp,
        pytest.raises(ServerUnreachable) as caught,
    ):
        smtp.send(TO_INES, BIG)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("how", [DROP, SILENT, "wat", "354 more please"])
def test_no_usable_answer_after_the_final_dot_is_uncertain(how):
    with ScriptedSmtp({"END": how}) as server, driver(server) as smtp, pytest.raises(SendUncertain):
        smtp.send(TO_INES, MAIL)
    assert len(server.messages) == 1


def test_a_mail_above_the_announced_size_is_not_sent_at_all():
    with ScriptedSmtp() as server, driver(server) as smtp, pytest.raises(SendRejected) as caught:
        smtp.send(TO_INES, BIG)
    assert caught.value.code == 552 and not any(line.startswith("MAIL") for line in server.lines)


def test_a_closed_driver_says_so_and_closing_twice_is_fine():
    with ScriptedSmtp() as server:
        smtp = driver(server)
        smtp.close()
        with pytest.raises(ServerUnreachable):
            smtp.send(TO_INES, MAIL)
        smtp.open()
        smtp.close()
        smtp.close()


def test_an_unfinished_greeting_does_not_hang():
    started = time.monotonic()
    with ScriptedSmtp({"greeting": SILENT}) as server, pytest.raises(ServerUnreachable):
        driver(server, timeout=0.3).check()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("greeting", ["HTTP/1.1 400 Bad Request", "999 odd", "220" + "x" * 40_000])
def test_a_server_that_does_not_speak_smtp_is_a_protocol_error(greeting):
    with ScriptedSmtp({"greeting": greeting}) as server, pytest.raises((ProtocolError, ServerUnreachable)):
        driver(server, timeout=0.5).check()


def test_nobody_listening_and_a_blocked_address_are_told_apart():
    with ScriptedSmtp() as server:
        closed = address(server)
    with pytest.raises(ServerUnreachable) as caught:
        SmtpDriver(closed, LOGIN).check()
    assert caught.value.kind == "refused"
    with pytest.raises(ServerUnreachable) as caught:
        SmtpDriver(ServerAddress("127.0.0.1", closed.port, Security.NONE), LOGIN).check()
    assert caught.value.kind == "blocked"


def test_two_servers_lines_do_not_mix_when_a_caller_has_its_own_loop():
    async def inside_a_running_loop():
        with ScriptedSmtp() as server, driver(server) as smtp:
            return smtp.send(TO_INES, MAIL)

    assert asyncio.run(inside_a_running_loop()).results[0].accepted


def test_no_thread_is_left_behind():
    before = threading.active_count()
    for _ in range(5):
        with ScriptedSmtp({"MAIL": DROP}) as server, driver(server) as smtp, pytest.raises(ServerUnreachable):
            smtp.send(TO_INES, MAIL)
    assert threading.active_count() <= before
