"""How one signs in over SMTP: the mechanism is chosen by what the server offers. Pure but for the `ask` it is given.

Invariant: one mechanism, one attempt. A server that refuses a password has refused it: trying it again by another
mechanism only counts towards a lock-out. Another mechanism is tried only where the first is *unknown* (504).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator

from drivers.errors import AuthenticationFailed, ProtocolDisabled
from drivers.smtp.replies import Reply, sign_in_error
from drivers.types import AuthKind, Login

Ask = Callable[[bytes], Awaitable[Reply]]
"""Sends one line (without its end) and returns the reply."""

CHALLENGE_LIMIT = 1024  # octets of a decoded CRAM-MD5 challenge
_SAFE_ON_TLS = ("plain", "login", "cram-md5")
_SAFE_IN_CLEAR = ("cram-md5", "plain", "login")


def mechanisms(offered: tuple[str, ...], kind: AuthKind, *, is_secure: bool) -> list[str]:
    """Mechanisms to use, best first; on an open line the one that does not send the password comes first."""
    if kind is AuthKind.OAUTH2:
        wanted: tuple[str, ...] = ("xoauth2", "oauthbearer")
        if not set(wanted) & set(offered):
            return ["xoauth2"]  # Yandex takes it unannounced; others answer 504
    else:
        wanted = _SAFE_ON_TLS if is_secure else _SAFE_IN_CLEAR
    return [name for name in wanted if name in offered]


async def sign_in(login: Login, offered: tuple[str, ...], ask: Ask, *, is_secure: bool) -> str:
    """Signs in and returns the mechanism used.

    Raises AuthenticationFailed, ProtocolDisabled, ServerBusy, TlsUnavailable; never with the secret in its text.
    """
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in login.user_name) or "\0" in login.secret:
        raise AuthenticationFailed("The user name or the password holds a character that cannot be sent.")
    names = mechanisms(offered, login.kind, is_secure=is_secure)
    if not names:
        raise ProtocolDisabled(
            "The server offers no way to sign in for sending.", server_said="AUTH " + " ".join(offered)[:200]
        )
    reply = Reply(0, "")
    for name in names:
        reply = await _STEPS[name](login, ask)
        if reply.code == 235:
            return name
        if reply.code != 504:  # 504: mechanism unknown (RFC 4954 4)
            break
    raise sign_in_error(Reply(reply.code, scrub(reply.text, login)))


async def _plain(login: Login, ask: Ask) -> Reply:
    return await ask(b"AUTH PLAIN " + _b64(_plain_token(login)))


async def _login(login: Login, ask: Ask) -> Reply:
    reply = await ask(b"AUTH LOGIN")
    for answer in (login.user_name, login.secret):
        if reply.code != 334:
            return reply
        reply = await ask(_b64(answer.encode("utf-8")))
    return reply


async def _cram_md5(login: Login, ask: Ask) -> Reply:
    reply = await ask(b"AUTH CRAM-MD5")
    if reply.code != 334:
        return reply
    try:
        challenge = base64.b64decode(reply.text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        challenge = b""
    if not 0 < len(challenge) <= CHALLENGE_LIMIT:
        return await ask(b"*")  # cancels (RFC 4954 4); the server answers 501
    digest = hmac.new(login.secret.encode("utf-8"), challenge, hashlib.md5).hexdigest()
    return await ask(_b64(f"{login.user_name} {digest}".encode()))


async def _xoauth2(login: Login, ask: Ask) -> Reply:
    return await _bearer(b"AUTH XOAUTH2 " + _b64(_xoauth2_token(login)), b"", ask)


async def _oauthbearer(login: Login, ask: Ask) -> Reply:
    # RFC 7628 3.2.3: after an error challenge the client sends a single %x01
    return await _bearer(b"AUTH OAUTHBEARER " + _b64(_oauthbearer_token(login)), _b64(b"\x01"), ask)


async def _bearer(command: bytes, after_error: bytes, ask: Ask) -> Reply:
    reply = await ask(command)
    if reply.code != 334:
        return reply
    details = reply.text  # base64 of JSON that says why
    final = await ask(after_error)
    try:
        why = base64.b64decode(details.encode("ascii"), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        why = ""
    return Reply(final.code, f"{final.text} {why}".strip())


def _plain_token(login: Login) -> bytes:
    return f"\0{login.user_name}\0{login.secret}".encode()


def _xoauth2_token(login: Login) -> bytes:
    return f"user={login.user_name}\x01auth=Bearer {login.secret}\x01\x01".encode()


def _oauthbearer_token(login: Login) -> bytes:
    name = login.user_name.replace("=", "=3D").replace(",", "=2C")  # saslname, RFC 5801 4
    return f"n,a={name},\x01auth=Bearer {login.secret}\x01\x01".encode()


def scrub(text: str, login: Login | None) -> str:
    """`text` of a server without the secret, should the server repeat it, as it is or in base64."""
    if login is None:
        return text
    for piece in _secret_spellings(login):
        text = text.replace(piece, "…")
    return text


def _secret_spellings(login: Login) -> Iterator[str]:
    secret = login.secret.encode("utf-8", "replace")
    for token in (_plain_token(login), _xoauth2_token(login), _oauthbearer_token(login), secret):
        yield _b64(token).decode("ascii")
    if login.secret:
        yield login.secret


def _b64(token: bytes) -> bytes:
    return base64.b64encode(token)


_STEPS: dict[str, Callable[[Login, Ask], Awaitable[Reply]]] = {
    "plain": _plain,
    "login": _login,
    "cram-md5": _cram_md5,
    "xoauth2": _xoauth2,
    "oauthbearer": _oauthbearer,
}
