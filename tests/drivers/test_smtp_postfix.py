"""The SMTP driver on a real Postfix with Dovecot's sign-in: both ways of encryption, real refusals, real delivery."""

import dataclasses

import pytest

from drivers.errors import AuthenticationFailed, CertificateInvalid, SendRejected, ServerUnreachable
from drivers.smtp.driver import SmtpDriver
from drivers.types import Envelope, Login, Security
from tests.servers.postfix import DOMAIN, USERS, Postfix, why_not

pytestmark = [pytest.mark.servers, pytest.mark.skipif(bool(why_not()), reason=why_not() or "runs")]
MAREN = f"maren@{DOMAIN}"
LOGIN = Login(MAREN, USERS["maren"])
BODY = (
    b"From: maren@nordlys.example\nTo: sales@nordlys.example\nDate: Wed, 25 Nov 2026 10:00:00 +0000\n"
    b"Message-ID: <lot-2@nordlys.example>\nSubject: %s\n\nHei\n.\n..two dots\n"
)


@pytest.fixture(scope="module")
def postfix():
    with Postfix() as server:
        yield server


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.SSL])
def test_a_mail_is_delivered_byte_for_byte(postfix, security):
    with SmtpDriver(postfix.address(security), LOGIN) as smtp:
        receipt = smtp.send(Envelope(MAREN, (f"sales@{DOMAIN}",)), BODY % security.value.encode())
    assert receipt.results[0].accepted and "queued" in receipt.server_said
    mails = postfix.mails("sales", count=1 if security is Security.STARTTLS else 2)
    assert any(mail.endswith(b"Subject: " + security.value.encode() + b"\n\nHei\n.\n..two dots\n") for mail in mails)


def test_the_check_tells_encryption_and_size(postfix):
    report = SmtpDriver(postfix.address(Security.STARTTLS), LOGIN).check()
    assert [step.kind for step in report.steps] == ["connect", "secure", "sign_in"]
    assert report.steps[1].detail == "TLSv1.3" and report.size_limit == 2_000_000


def test_a_wrong_password_is_an_authentication_failure(postfix):
    with pytest.raises(AuthenticationFailed) as caught:
        SmtpDriver(postfix.address(Security.SSL), Login(MAREN, "wrong-word")).check()
    assert caught.value.server_said.startswith("535")


def test_a_name_and_a_password_in_another_alphabet_sign_in(postfix):
    login = Login(f"олена@{DOMAIN}", USERS["олена"])
    assert SmtpDriver(postfix.address(Security.SSL), login).check().steps[-1].ok


def test_an_unknown_authority_is_refused_before_the_password(postfix):
    address = dataclasses.replace(postfix.address(Security.STARTTLS), ca_bundle="")
    with pytest.raises(CertificateInvalid):
        SmtpDriver(address, LOGIN).check()


def test_an_encrypted_port_spoken_to_in_the_clear_is_no_connection(postfix):
    address = dataclasses.replace(postfix.address(Security.SSL, timeout=1.0), security=Security.NONE)
    with pytest.raises(ServerUnreachable):
        SmtpDriver(address, LOGIN).check()


def test_an_unknown_colleague_is_refused_and_the_others_get_the_mail(postfix):
    with SmtpDriver(postfix.address(Security.SSL), LOGIN) as smtp:
        receipt = smtp.send(Envelope(MAREN, (f"nobody@{DOMAIN}", f"maren@{DOMAIN}")), BODY % b"partly")
    assert [(result.accepted, result.code) for result in receipt.results] == [(False, 550), (True, 250)]
    assert len(postfix.mails("maren")) == 1


def test_a_mail_to_strangers_is_refused_without_sign_in(postfix):
    with SmtpDriver(postfix.address(Security.SSL), None) as smtp, pytest.raises(SendRejected) as caught:
        smtp.send(Envelope(MAREN, ("ines@azulejos.example",)), BODY % b"relay")
    assert caught.value.code == 554


def test_a_mail_above_the_limit_is_refused_before_it_is_sent(postfix):
    with SmtpDriver(postfix.address(Security.SSL), LOGIN) as smtp, pytest.raises(SendRejected) as caught:
        smtp.send(Envelope(MAREN, (MAREN,)), BODY % b"big" + b"x" * 72 * 30_000)
    assert caught.value.code == 552


def test_a_hundred_mails_go_over_one_line(postfix):
    with SmtpDriver(postfix.address(Security.STARTTLS), LOGIN) as smtp:
        for number in range(100):
            smtp.send(Envelope(MAREN, (f"олена@{DOMAIN}",)), BODY % str(number).encode())
    subjects = {mail.split(b"Subject: ")[1].split(b"\n")[0] for mail in postfix.mails("олена", count=100)}
    assert len(subjects) == 100
