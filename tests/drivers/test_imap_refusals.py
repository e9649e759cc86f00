"""A server's NO becomes the error that says what to do; an outage is never a wrong password."""

import base64

import pytest

from drivers import errors
from drivers.imap.answers import error_for, retry_after, without_secret


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[AUTHENTICATIONFAILED] Authentication failed.", errors.AuthenticationFailed),
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", errors.AuthenticationFailed),
        ("[ALERT] Application-specific password required", errors.AuthenticationFailed),
        ("LOGIN failed.", errors.AuthenticationFailed),
        ("[UNAVAILABLE] Temporary authentication failure.", errors.ServerBusy),
        ("[INUSE] too many sessions", errors.ServerBusy),
        ("[LIMIT] LOGIN Rate limit hit.", errors.ServerBusy),
        ("[ALERT] Too many simultaneous connections. (Failure)", errors.ServerBusy),
        ("[THROTTLED] slow down", errors.ServerBusy),
        ("[ALERT] Account exceeded command or bandwidth limits. (Failure)", errors.ServerBusy),
        ("[ALERT] Your account is not enabled for IMAP use. Please visit your settings", errors.ProtocolDisabled),
        ("[ALERT] Please enable IMAP access in your account settings first", errors.ProtocolDisabled),
        ("You are yet to enable IMAP for your account. Please contact your administrator", errors.ProtocolDisabled),
        ("IMAP access is disabled for your domain. Please contact your administrator", errors.ProtocolDisabled),
        ("[AUTHENTICATIONFAILED] IMAP4 is disabled", errors.ProtocolDisabled),
        ("User is authenticated but not connected.", errors.PermissionMissing),
        ("[AUTHORIZATIONFAILED] no such authorization", errors.PermissionMissing),
        ("[CONTACTADMIN] blocked", errors.PermissionMissing),
        ("[PRIVACYREQUIRED] Plaintext authentication disallowed", errors.TlsUnavailable),
    ],
)
def test_a_refused_sign_in_says_what_to_do(text, expected):
    assert type(error_for(text, signing_in=True)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[NONEXISTENT] Unknown Mailbox: Foo (Failure)", errors.FolderGone),
        ("[TRYCREATE] Mailbox doesn't exist: Foo", errors.FolderGone),
        ("Mailbox doesn't exist: Foo", errors.FolderGone),
        ("[NOPERM] no rights", errors.PermissionMissing),
        ("[OVERQUOTA] Quota exceeded (mailbox for user is full)", errors.ServerBusy),
        ("[SERVERBUG] Internal error occurred", errors.ServerBusy),
        ("Request is throttled. Suggested Backoff Time: 299999 milliseconds", errors.ServerBusy),
        ("whatever", errors.ProtocolError),
        ("", errors.ProtocolError),
    ],
)
def test_a_refused_command_says_what_to_do(text, expected):
    assert type(error_for(text.encode())) is expected


def test_the_time_to_stay_away_is_read():
    assert retry_after("Suggested Backoff Time: 30000 milliseconds") == 30.0
    assert retry_after("Please try again in 5 minutes") == 300.0
    assert retry_after("retry after 10 seconds") == 10.0
    assert retry_after("go away") is None
    assert retry_after("try again in 99999 minutes") == 86_400


def test_an_echoed_secret_is_blanked_plain_and_base64():
    secret = "s3cret-Otter"
    encoded = base64.b64encode(secret.encode()).decode()
    error = error_for(f"[AUTHENTICATIONFAILED] bad: LOGIN anna {secret} {encoded}", signing_in=True, secret=secret)
    assert secret not in error.server_said and encoded.rstrip("=") not in error.server_said
    assert without_secret("x", "") == "x"


def test_what_the_server_said_is_bounded_and_without_control_characters():
    error = error_for(b"[ALERT] \x00\x1b[31m" + b"x" * 100_000)
    assert len(error.server_said) <= 500
    assert error.server_said.isprintable()
