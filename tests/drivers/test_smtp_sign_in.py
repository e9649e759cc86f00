"""Signing in and encryption over SMTP: what is offered is used, nothing is downgraded, no secret comes back."""

import base64
import traceback

import pytest

from drivers.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ProtocolDisabled,
    ServerBusy,
    ServerUnreachable,
    TlsUnavailable,
)
from drivers.smtp.driver import SmtpDriver
from drivers.types import AuthKind, Login, Security, ServerAddress
from tests.servers.scripted_smtp import ScriptedSmtp
from tests.servers.smtp_tls import make_certificate

SECRET = "fjord-lantern-77"
LOGIN = Login("maren", SECRET)
TOKEN = Login("maren@nordlys.example", "ya29.token", AuthKind.OAUTH2)
EHLO_TLS = ["250-scripted\r\n250 STARTTLS", "250-scripted\r\n250 AUTH PLAIN"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def check(server, login=LOGIN, security=Security.NONE, ca="", host="127.0.0.1"):
    networks = ("127.0.0.0/8",)
    return SmtpDriver(ServerAddress(host, server.port, security, ca, networks, timeout=2.0), login).check()


def offering(methods, **replies):
    return ScriptedSmtp({"EHLO": f"250-scripted\r\n250 AUTH {methods}", **replies})


def test_on_an_open_line_the_password_is_not_sent_where_a_challenge_will_do():
    challenge = "334 " + base64.b64encode(b"<12.34@scripted>").decode()
    with offering("PLAIN LOGIN CRAM-MD5", AUTH=challenge, SASL="235 ok") as server:
        check(server)
    answer = base64.b64decode(server.lines[2].removeprefix("SASL ")).decode()
    assert server.lines[1] == "AUTH CRAM-MD5" and answer.startswith("maren ") and SECRET not in answer


def test_plain_sends_user_and_password_in_one_line():
    with offering("PLAIN LOGIN") as server:
        check(server)
    assert base64.b64decode(server.lines[1].removeprefix("AUTH PLAIN ")) == b"\0maren\0" + SECRET.encode()


def test_a_password_in_another_alphabet_is_sent_as_utf8():
    with offering("PLAIN") as server:
        check(server, Login("maren", "ліхтар"))
    assert base64.b64decode(server.lines[1].split()[2]).decode() == "\0maren\0ліхтар"


def test_login_is_used_where_nothing_else_is_offered():
    with offering("LOGIN", AUTH="334 VXNlcm5hbWU6", SASL=["334 UGFzc3dvcmQ6", "235 ok"]) as server:
        check(server)
    assert [base64.b64decode(line.split()[1]) for line in server.lines[2:4]] == [b"maren", SECRET.encode()]


def test_an_old_style_announcement_is_understood():
    with ScriptedSmtp({"EHLO": "250-scripted\r\n250 AUTH=PLAIN"}) as server:
        assert check(server).steps[-1].detail == "plain"


@pytest.mark.parametrize(
    ("offered", "inside"),
    [
        ("PLAIN XOAUTH2", "user=maren@nordlys.example\x01auth=Bearer ya29.token"),
        ("OAUTHBEARER", "n,a=maren@nordlys.example,\x01auth=Bearer ya29.token"),
    ],
)
def test_a_token_is_sent_the_way_the_server_knows(offered, inside):
    with offering(offered) as server:
        check(server, TOKEN)
    assert base64.b64decode(server.lines[1].split()[2]).decode().startswith(inside)


def test_a_refused_token_tells_why():
    details = base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode()
    with (
        offering("XOAUTH2", AUTH=f"334 {details}", SASL="535 5.7.3 no") as server,
        pytest.raises(AuthenticationFailed) as caught,
    ):
        check(server, TOKEN)
    assert '"401"' in caught.value.server_said


def test_a_wrong_password_is_tried_once_and_by_one_mechanism():
    with offering("PLAIN LOGIN", AUTH="535 5.7.8 wrong") as server, pytest.raises(AuthenticationFailed):
        check(server)
    assert sum(line.startswith("AUTH") for line in server.lines) == 1


def test_an_announced_but_unknown_mechanism_gives_way_to_the_next():
    with offering("PLAIN LOGIN", AUTH=["504 unknown", "334 VXNlcm5hbWU6"], SASL=["334 UGFzcw==", "235 ok"]) as server:
        assert check(server).steps[-1].detail == "login"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
            ProtocolDisabled,
        ),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", ProtocolDisabled),
        ("535-5.7.8 Username and Password not accepted\r\n535 5.7.8 see help", AuthenticationFailed),
        ("534-5.7.9 Application-specific password required\r\n534 5.7.9 see help", AuthenticationFailed),
        ("454 4.7.0 Temporary authentication failure", ServerBusy),
        ("421 4.7.0 Too many login attempts", ServerBusy),
        ("538 5.7.11 Encryption required", TlsUnavailable),
        ("530 5.7.0 Must issue a STARTTLS command first", TlsUnavailable),
    ],
)
def test_each_refusal_has_its_own_error(reply, error):
    with offering("PLAIN", AUTH=reply) as server, pytest.raises(error) as caught:
        check(server)
    assert type(caught.value) is error


def test_a_server_without_sign_in_is_said_to_have_it_switched_off():
    with ScriptedSmtp({"EHLO": "250 scripted"}) as server, pytest.raises(ProtocolDisabled):
        check(server)
    assert not any(line.startswith("AUTH") for line in server.lines)


def test_a_server_that_repeats_the_secret_does_not_bring_it_into_our_errors():
    echo = base64.b64encode(b"\0maren\0" + SECRET.encode()).decode()
    with (
        offering("PLAIN", AUTH=f"535 bad token {echo} and {SECRET}") as server,
        pytest.raises(AuthenticationFailed) as caught,
    ):
        check(server)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.server_said
    assert SECRET not in shown and echo not in shown


@pytest.mark.parametrize("name", ["maren\r\nRCPT TO:<x@y>", "maren\0root", "maren\x01auth"])
def test_a_user_name_cannot_carry_a_command(name):
    with offering("PLAIN") as server, pytest.raises(AuthenticationFailed):
        check(server, Login(name, SECRET))
    assert len(server.lines) == 1


def test_starttls_encrypts_before_the_password(certificate):
    with ScriptedSmtp({"EHLO": list(EHLO_TLS), "STARTTLS": "220 go"}, certificate.server_context()) as server:
        report = check(server, security=Security.STARTTLS, ca=certificate.authority)
    assert [line.split()[0] for line in server.lines][:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert report.steps[1].detail.startswith("TLSv1.")


def test_starttls_that_is_not_offered_is_never_done_without():
    with ScriptedSmtp() as server, pytest.raises(TlsUnavailable):
        check(server, security=Security.STARTTLS)
    assert not any(line.startswith("AUTH") for line in server.lines)


@pytest.mark.parametrize(("reply", "error"), [("454 4.7.0 not now", ServerBusy), ("502 5.5.1 no", TlsUnavailable)])
def test_starttls_that_is_refused_is_never_done_without(reply, error):
    with ScriptedSmtp({"EHLO": list(EHLO_TLS), "STARTTLS": reply}) as server, pytest.raises(error):
        check(server, security=Security.STARTTLS)
    assert not any(line.startswith("AUTH") for line in server.lines)


def test_words_smuggled_in_before_encryption_are_forgotten(certificate):
    injected = "220 go\r\n250-evil\r\n250 AUTH LOGIN"
    with ScriptedSmtp({"EHLO": list(EHLO_TLS), "STARTTLS": injected}, certificate.server_context()) as server:
        report = check(server, security=Security.STARTTLS, ca=certificate.authority)
    assert report.steps[-1].detail == "plain"


def test_implicit_tls_works(certificate):
    with ScriptedSmtp(context=certificate.server_context(), implicit_tls=True) as server:
        report = check(server, security=Security.SSL, ca=certificate.authority)
    assert [step.kind for step in report.steps] == ["connect", "secure", "sign_in"]


@pytest.mark.parametrize("security", [Security.SSL, Security.STARTTLS])
@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"expired": True}, "expired"),
        ({"names": ("mail.elsewhere.example",)}, "name"),
        ({"self_signed": True}, "self_signed"),
        ({}, "untrusted"),
    ],
)
def test_a_bad_certificate_says_which_name_and_which_problem(tmp_path, security, how, problem):
    bad = make_certificate(tmp_path, **how)
    trusted = "" if problem in ("untrusted", "self_signed") else bad.authority
    server = ScriptedSmtp({"STARTTLS": "220 go"}, bad.server_context(), implicit_tls=security is Security.SSL)
    if security is Security.STARTTLS:
        server.replies["EHLO"] = list(EHLO_TLS)
    with server, pytest.raises(CertificateInvalid) as caught:
        check(server, security=security, ca=trusted)
    assert (caught.value.host, caught.value.problem) == ("127.0.0.1", problem)
    assert not any(line.startswith("AUTH") for line in server.lines)


def test_a_plain_server_on_a_tls_port_is_a_protocol_problem():
    with ScriptedSmtp() as server, pytest.raises(ServerUnreachable) as caught:
        check(server, security=Security.SSL)
    assert isinstance(caught.value, CertificateInvalid) and caught.value.problem == "protocol"


def test_the_drivers_repr_holds_no_secret():
    with ScriptedSmtp() as server:
        driver = SmtpDriver(ServerAddress("127.0.0.1", server.port, Security.NONE), LOGIN)
    assert SECRET not in repr(driver) + repr(vars(driver))
