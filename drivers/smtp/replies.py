"""A server's reply, or the lack of one, as a neutral error. Pure.

Reply codes: RFC 5321 4.2, enhanced codes: RFC 3463, sign-in codes: RFC 4954 6. The text of a reply is hostile and is
only carried along (`server_said`), never trusted beyond the few phrases below that tell two 535 apart.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass

from drivers.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    DriverError,
    ProtocolDisabled,
    ProtocolError,
    SendRejected,
    ServerBusy,
    ServerUnreachable,
    TlsUnavailable,
)

_DISABLED = re.compile(
    r"5\.7\.139|SmtpClientAuthentication is disabled|authentication (?:mechanism )?is disabled"
    r"|smtp.{0,20}(?:access )?is disabled|service (?:is )?not enabled",
    re.I,
)
_BUSY = re.compile(
    r"\b4\.7\.0\b.*(?:too many|rate|try again)|too many (?:connections|concurrent)|throttl|\b4\.3\.2\b", re.I
)
_RETRY = re.compile(r"(?:try again|retry)\D{0,20}(\d{1,4})\s*(s|sec|min|m)\w*", re.I)

# X509 verification results (openssl/x509_vfy.h) that have a word of their own.
_CERTIFICATE_PROBLEMS = {9: "expired", 10: "expired", 18: "self_signed", 62: "name", 64: "name"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; lines of `text` are joined by a blank, without control characters."""

    code: int
    text: str

    @property
    def is_busy(self) -> bool:
        """True where the server asks to come back later, whatever the command was."""
        return self.code == 421 or (400 <= self.code < 500 and bool(_BUSY.search(self.text)))


def clean(text: str) -> str:
    """Reply text for people: one line, no control characters, no lone surrogates."""
    one_line = " ".join(text.split())
    return "".join(letter for letter in one_line if letter.isprintable()).encode("utf-8", "replace").decode("utf-8")


def busy(reply: Reply) -> ServerBusy:
    """ServerBusy with the seconds the server named, if it named any."""
    found = _RETRY.search(reply.text)
    seconds = float(found[1]) * (60 if found[2].lower().startswith("m") else 1) if found else None
    return ServerBusy("The server asks to come back later.", retry_after=seconds, server_said=said(reply))


def greeting_error(reply: Reply) -> DriverError:
    """Why a connection that was made is no conversation."""
    if 400 <= reply.code < 500:
        return busy(reply)
    if reply.code in (554, 521, 556):  # RFC 7504: this host takes no mail from you
        return ServerUnreachable("The server refuses this connection.", kind="refused", server_said=said(reply))
    return unexpected(reply)


def sign_in_error(reply: Reply) -> DriverError:
    """Why AUTH failed."""
    if 400 <= reply.code < 500:
        return busy(reply)
    if _DISABLED.search(reply.text):
        return ProtocolDisabled("Sending by SMTP is switched off for this mailbox.", server_said=said(reply))
    if reply.code == 538 or (reply.code == 530 and "starttls" in reply.text.lower()):
        return TlsUnavailable("The server signs in over an encrypted connection only.", server_said=said(reply))
    if reply.code in (501, 502, 503, 530, 534, 535, 550, 554):
        return AuthenticationFailed("The server refuses this sign-in.", server_said=said(reply))
    return unexpected(reply)


def refusal(reply: Reply, what: str) -> DriverError:
    """Why MAIL or DATA was refused; `what` names the step for people."""
    if reply.is_busy:
        return busy(reply)
    if reply.code == 530:
        return AuthenticationFailed("The server wants a sign-in before it takes mail.", server_said=said(reply))
    if 400 <= reply.code < 600:
        return SendRejected(f"The server refuses {what}.", code=reply.code, server_said=said(reply))
    return unexpected(reply)


def unexpected(reply: Reply) -> ProtocolError:
    """A reply that the protocol does not allow at this place."""
    return ProtocolError("The server gave an answer that SMTP does not allow here.", server_said=said(reply))


def said(reply: Reply) -> str:
    """The reply as one line, for `server_said`."""
    return f"{reply.code} {reply.text}".strip() if reply.code > 0 else reply.text


def tls_error(error: ssl.SSLError, host: str) -> CertificateInvalid:
    """Which name, which problem."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, "untrusted")
    else:
        problem = "protocol"
    return CertificateInvalid("The encrypted connection could not be made.", host=host, problem=problem)
