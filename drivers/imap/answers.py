"""From a server's NO, BAD or BYE to our neutral errors (pure).

Response codes of RFC 5530 come first, then the texts that big providers use instead. Invariant: an outage is never
taken for a wrong password, and no text of ours or the server's carries the secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from base import net
from drivers import errors
from drivers.imap.syntax import show

_CODE = re.compile(r"\[([A-Z0-9.\-]+)(?:[ \]])", re.I)
_BACK_OFF = re.compile(r"back-?off time:?\s*(\d{1,9})\s*(?:ms|milliseconds)?", re.I)
_SECONDS = re.compile(r"(?:retry|try again|wait)\D{0,30}(\d{1,5})\s*(seconds|second|sec|s|minutes|minute|min)\b", re.I)

_BUSY_CODES = {"UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "SERVERBUG", "THROTTLED", "CORRUPTION", "EXPUNGEISSUED"}
_BY_CODE: dict[str, type[errors.DriverError]] = {
    "AUTHENTICATIONFAILED": errors.AuthenticationFailed,
    "EXPIRED": errors.AuthenticationFailed,
    "AUTHORIZATIONFAILED": errors.PermissionMissing,
    "NOPERM": errors.PermissionMissing,
    "CONTACTADMIN": errors.PermissionMissing,
    "PRIVACYREQUIRED": errors.TlsUnavailable,
    "NONEXISTENT": errors.FolderGone,
    "TRYCREATE": errors.FolderGone,
}
_DISABLED = re.compile(
    r"imap[^.]{0,60}\b(?:disabled|not enabled|not allowed|switched off|deactivated|"
    r"deaktiviert|nicht aktiv|désactivé|отключен)"
    r"|(?:enable|activate|yet to enable)[^.]{0,40}\bimap\b|(?:disabled|not enabled)[^.]{0,30}\bimap"
    r"|imap access (?:is )?denied|service is not open|imap/smtp service|protocol (?:is )?disabled",
    re.I,
)
_BUSY = re.compile(
    r"too many|try again|temporar|throttl|rate.?limit|bandwidth|maximum number of connections|connection limit"
    r"|overloaded|server busy|service unavailable|system error|internal error|in use|exceeded command"
    r"|not available|come back later|back-?off",
    re.I,
)
_NO_RIGHT = re.compile(r"authenticated but not connected|permission denied|not permitted|access denied", re.I)
_NO_FOLDER = re.compile(
    r"(?:mailbox|folder)[^.]{0,80}(?:n't exist|not exist|not found|unknown|no such)"
    r"|(?:unknown|no such|non-?existent) (?:mailbox|folder)|not selectable|nonexistent",
    re.I,
)


def error_for(text: bytes | str, *, signing_in: bool = False, secret: str = "") -> errors.DriverError:
    """The error that a NO, BAD or BYE text stands for; `signing_in` while credentials are being judged."""
    said = without_secret(show(text) if isinstance(text, bytes) else text, secret)
    match = _CODE.search(said[:80])
    code = match.group(1).upper() if match else ""
    if code in _BUSY_CODES:
        return errors.ServerBusy("The server is busy.", retry_after=retry_after(said), server_said=said)
    if signing_in:
        return _sign_in_error(code, said)
    known = _BY_CODE.get(code)
    if known is not None:
        return known("The server refused.", server_said=said)
    if _NO_FOLDER.search(said):
        return errors.FolderGone("The folder does not exist.", server_said=said)
    if _BUSY.search(said):
        return errors.ServerBusy("The server is busy.", retry_after=retry_after(said), server_said=said)
    if _NO_RIGHT.search(said):
        return errors.PermissionMissing("The server does not allow this.", server_said=said)
    return errors.ProtocolError("The server refused the command.", server_said=said)


def _sign_in_error(code: str, said: str) -> errors.DriverError:
    if _DISABLED.search(said):
        return errors.ProtocolDisabled("IMAP is switched off for this mailbox.", server_said=said)
    if "authenticated but not connected" in said.lower():
        return errors.PermissionMissing("Signed in, but without a right to this mailbox.", server_said=said)
    known = _BY_CODE.get(code)
    if known is not None and known is not errors.FolderGone:
        return known("The server refused the sign-in.", server_said=said)
    if _BUSY.search(said):
        return errors.ServerBusy("The server is busy.", retry_after=retry_after(said), server_said=said)
    return errors.AuthenticationFailed("The server refused the sign-in.", server_said=said)


def retry_after(said: str) -> float | None:
    """Seconds the server asks us to stay away, at most a day; None where it does not say."""
    if match := _BACK_OFF.search(said):
        return min(int(match.group(1)) / 1000, 86_400.0)
    if match := _SECONDS.search(said):
        seconds = int(match.group(1)) * (60 if match.group(2).lower().startswith("m") else 1)
        return min(float(seconds), 86_400.0)
    return None


def without_secret(text: str, secret: str) -> str:
    """`text` with the secret (plain or base64) blanked: servers have been seen to echo a command."""
    if not secret:
        return text
    plain = base64.b64encode(secret.encode("utf-8", "replace")).decode("ascii")
    for form in (secret, plain, plain.rstrip("=")):
        text = text.replace(form, "…")
    return text


def unreachable(error: net.NetError) -> errors.ServerUnreachable:
    """What a line that could not be opened means (CertificateInvalid where TLS failed)."""
    if isinstance(error, net.TlsFailed):
        return errors.CertificateInvalid("The secure connection failed.", host=error.host, problem=error.problem)
    kinds: Sequence[tuple[type[net.NetError], str]] = (
        (net.ConnectionBlocked, "blocked"),
        (net.UnknownHost, "unknown_host"),
        (net.TimedOut, "timeout"),
        (net.Refused, "refused"),
    )
    kind = next((name for cls, name in kinds if isinstance(error, cls)), "refused")
    return errors.ServerUnreachable(str(error), kind=kind)
