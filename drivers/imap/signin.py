"""Signing in: LOGIN, AUTHENTICATE PLAIN or XOAUTH2, and what follows at once (capabilities, ID).

Invariant: the secret leaves only over a connection as secure as was asked for, never in a log, an exception or a
command line that imaplib would remember.
"""

from __future__ import annotations

import base64

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.syntax import astring
from drivers.types import AuthKind, Login, Security

# NetEase (163.com, 126.com, yeah.net) refuses SELECT as "unsafe login" before an ID (RFC 2971).
_ID = b'("name" "CRM Mail" "version" "1.0" "vendor" "CRM Mail")'


def sign_in(connection: ImapConnection, login: Login) -> None:
    """Sign in and learn the capabilities of the signed-in state.

    Raises AuthenticationFailed, ProtocolDisabled, PermissionMissing, ServerBusy, TlsUnavailable, ServerUnreachable.
    """
    connection.secret = login.secret
    answer = _xoauth2(connection, login) if login.kind is AuthKind.OAUTH2 else _password(connection, login)
    if not answer.ok:
        raise error_for(answer.text, signing_in=True, secret=login.secret)
    _after_sign_in(connection)


def _password(connection: ImapConnection, login: Login) -> Answer:
    offers_plain = connection.has(b"AUTH=PLAIN")
    needs_plain = not (login.user_name.isascii() and login.secret.isascii())
    if connection.has(b"LOGINDISABLED"):
        if not offers_plain:
            if connection.server.security == Security.NONE:
                raise errors.TlsUnavailable("The server takes no password without encryption.")
            raise errors.ProtocolDisabled("The server takes no passwords for IMAP.")
        needs_plain = True
    if needs_plain and offers_plain:
        return _sasl(connection, b"PLAIN", f"\0{login.user_name}\0{login.secret}")
    try:
        arguments = (astring(login.user_name), astring(login.secret))
    except errors.ProtocolError:
        raise errors.AuthenticationFailed("The user name or password holds a line break.")
    return connection.run(b"LOGIN", *arguments)


def _xoauth2(connection: ImapConnection, login: Login) -> Answer:
    """XOAUTH2; Yandex takes it unannounced, so it is always tried. A failure comes as a challenge first."""
    return _sasl(connection, b"XOAUTH2", f"user={login.user_name}\x01auth=Bearer {login.secret}\x01\x01")


def _sasl(connection: ImapConnection, mechanism: bytes, text: str) -> Answer:
    response = base64.b64encode(text.encode("utf-8", "replace"))
    if connection.has(b"SASL-IR"):
        answer = connection.submit(b"AUTHENTICATE", mechanism, response)
    else:
        answer = connection.submit(b"AUTHENTICATE", mechanism)
        if not connection.continue_with(answer, response):
            return answer
    if mechanism == b"XOAUTH2":
        connection.continue_with(answer, b"")  # the challenge that explains a refusal wants an empty answer
    return connection.wait(answer)


def _after_sign_in(connection: ImapConnection) -> None:
    connection.refresh_capabilities()
    if connection.has(b"ID"):
        connection.run(b"ID", _ID)
    if connection.has(b"UTF8=ONLY", b"ENABLE"):
        connection.utf8 = connection.run(b"ENABLE", b"UTF8=ACCEPT").ok
    elif connection.has(b"QRESYNC", b"ENABLE"):
        connection.qresync = connection.run(b"ENABLE", b"QRESYNC").ok
