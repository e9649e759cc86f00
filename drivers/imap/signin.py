"""Signing in: LOGIN, AUTHENTICATE PLAIN, OAUTHBEARER or XOAUTH2, and what follows at once (capabilities, ID).

Invariant: the secret leaves only over a connection as secure as was asked for, never in a log, an exception or a
command line that imaplib would remember.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable

from drivers import errors
from drivers.imap.answers import error_for
from drivers.imap.connection import Answer, ImapConnection
from drivers.imap.syntax import astring, show
from drivers.types import AuthKind, Login, Security

# NetEase (163.com, 126.com, yeah.net) refuses SELECT as "unsafe login" before an ID (RFC 2971).
_ID = b'("name" "CRM Mail" "version" "1.0" "vendor" "CRM Mail")'


def sign_in(connection: ImapConnection, login: Login) -> None:
    """Sign in and learn the capabilities of the signed-in state.

    Raises AuthenticationFailed, ProtocolDisabled, PermissionMissing, ServerBusy, TlsUnavailable, ServerUnreachable.
    """
    connection.secret = login.secret
    if login.kind is AuthKind.OAUTH2:
        _bearer(connection, login)
    else:
        answer = _password(connection, login)
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


def _bearer(connection: ImapConnection, login: Login) -> None:
    """XOAUTH2 (Yandex takes it unannounced), or OAUTHBEARER (RFC 7628) where only that is announced. A refusal comes as
    a challenge first, which says why."""
    if any(ord(letter) < 32 for letter in login.user_name + login.secret):
        raise errors.AuthenticationFailed("The user name or the token holds a character that cannot be sent.")
    texts = {
        b"XOAUTH2": f"user={login.user_name}\x01auth=Bearer {login.secret}\x01\x01",
        b"OAUTHBEARER": f"n,a={_saslname(login.user_name)},\x01auth=Bearer {login.secret}\x01\x01",
    }
    only_bearer = connection.has(b"AUTH=OAUTHBEARER") and not connection.has(b"AUTH=XOAUTH2")
    mechanism = b"OAUTHBEARER" if only_bearer else b"XOAUTH2"
    answer, why = _challenged(connection, mechanism, texts[mechanism], b"AQ==" if only_bearer else b"")
    if not answer.ok:
        said = show(answer.text).replace(_b64(texts[mechanism]).decode("ascii"), "…")
        found = error_for(said, signing_in=True, secret=login.secret)
        found.server_said = f"{found.server_said} {why}".strip()[: errors.SERVER_SAID_LIMIT]
        raise found


def _challenged(connection: ImapConnection, mechanism: bytes, text: str, goodbye: bytes) -> tuple[Answer, str]:
    """The answer, and what the error challenge said ("" without one); `goodbye` ends the exchange after it."""
    response = _b64(text)
    if connection.has(b"SASL-IR"):
        answer = connection.submit(b"AUTHENTICATE", mechanism, response)
    else:
        answer = connection.submit(b"AUTHENTICATE", mechanism)
        if not connection.continue_with(answer, response):
            return answer, ""
    if not connection.continue_with(answer, goodbye):
        return connection.wait(answer), ""
    challenge = connection.last_challenge
    return connection.wait(answer), challenge_words(challenge)


def challenge_words(challenge: bytes) -> str:
    """`status=401 schemes=bearer` of the base64 of a JSON object that explains a refusal; "" for anything else."""
    try:
        found = json.loads(base64.b64decode(challenge.strip()[:4000], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    pairs: Iterable[tuple[object, object]] = found.items() if isinstance(found, dict) else ()
    words = [f"{key}={value}" for key, value in pairs if key in ("status", "schemes", "scope", "error")]
    return "".join(letter for letter in " ".join(words) if letter.isprintable())[:200]


def _sasl(connection: ImapConnection, mechanism: bytes, text: str) -> Answer:
    response = _b64(text)
    if connection.has(b"SASL-IR"):
        answer = connection.submit(b"AUTHENTICATE", mechanism, response)
    else:
        answer = connection.submit(b"AUTHENTICATE", mechanism)
        if not connection.continue_with(answer, response):
            return answer
    return connection.wait(answer)


def _b64(text: str) -> bytes:
    return base64.b64encode(text.encode("utf-8", "replace"))


def _saslname(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 4


def _after_sign_in(connection: ImapConnection) -> None:
    connection.refresh_capabilities()
    if connection.has(b"ID"):
        connection.run(b"ID", _ID)
    if connection.has(b"UTF8=ONLY", b"ENABLE"):
        connection.utf8 = connection.run(b"ENABLE", b"UTF8=ACCEPT").ok
    elif connection.has(b"QRESYNC", b"ENABLE"):
        connection.qresync = connection.run(b"ENABLE", b"QRESYNC").ok
