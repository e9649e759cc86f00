"""What can go wrong with a mail server, said neutrally.

Every driver raises only these; `sync.policy` and the wizard turn each into an action and a sentence.
`server_said` is hostile text (bounded, never shown unescaped) and never holds a credential.
"""

from __future__ import annotations

SERVER_SAID_LIMIT = 500  # characters


class DriverError(Exception):
    """Base of all; `server_said` is what the server answered, cut to 500 characters."""

    def __init__(self, message: str = "", *, server_said: str = "") -> None:
        super().__init__(message)
        self.server_said = server_said[:SERVER_SAID_LIMIT]


class AuthenticationFailed(DriverError):
    """The server refuses this login and secret. Not raised for an outage of the identity provider ([UNAVAILABLE])."""


class ProtocolDisabled(AuthenticationFailed):
    """The login may be right, but the mailbox does not allow this protocol (IMAP switched off by its owner)."""


class ExchangeBlocked(ProtocolDisabled):
    """The organisation does not let this program in by EWS (HTTP 403, Exchange Online since 2026-10-01)."""


class ExchangeElsewhere(DriverError):
    """Autodiscover names another `host` (its service `url`, "" where unknown): no password goes there unconfirmed."""

    def __init__(self, message: str = "", *, host: str = "", url: str = "") -> None:
        super().__init__(message, server_said=url or host)
        self.host = host[:253]
        self.url = url[:500]


class PermissionMissing(DriverError):
    """Signed in, but not allowed to do this (ACL, scope, another person's mailbox)."""


class ServerUnreachable(DriverError):
    """No conversation could be had: `kind` is one of unknown_host, refused, timeout, blocked, dropped."""

    def __init__(self, message: str = "", *, kind: str = "dropped", server_said: str = "") -> None:
        super().__init__(message, server_said=server_said)
        self.kind = kind


class CertificateInvalid(ServerUnreachable):
    """TLS failed: `host` is the name asked for, `problem` one of name, expired, self_signed, untrusted, protocol."""

    def __init__(self, message: str = "", *, host: str = "", problem: str = "untrusted") -> None:
        super().__init__(message, kind="certificate")
        self.host = host
        self.problem = problem


class TlsUnavailable(ServerUnreachable):
    """STARTTLS was asked for and is not offered: never downgraded."""

    def __init__(self, message: str = "", *, server_said: str = "") -> None:
        super().__init__(message, kind="no_starttls", server_said=server_said)


class ServerBusy(DriverError):
    """Come back later; `retry_after` in seconds, None where the server does not say."""

    def __init__(self, message: str = "", *, retry_after: float | None = None, server_said: str = "") -> None:
        super().__init__(message, server_said=server_said)
        self.retry_after = retry_after


class PushUnavailable(DriverError):
    """The server announces no changes by itself (no IDLE, or it refused it): the mailbox is polled."""


class CursorInvalid(DriverError):
    """The bookmark no longer fits the folder (UIDVALIDITY changed, SyncState expired): enumerate anew."""


class FolderGone(DriverError):
    """The folder does not exist (any more) or cannot be selected."""


class MessageGone(DriverError):
    """The message does not exist (any more) under this key."""


class ProtocolError(DriverError):
    """The server said something that the protocol does not allow, or more than our caps take."""


class SendRejected(DriverError):
    """Refused for good or for now; `refused` maps recipient to (code, text), empty where all were refused at once."""

    def __init__(
        self,
        message: str = "",
        *,
        refused: dict[str, tuple[int, str]] | None = None,
        code: int = 0,
        server_said: str = "",
    ) -> None:
        super().__init__(message, server_said=server_said)
        self.refused = refused or {}
        self.code = code

    @property
    def is_temporary(self) -> bool:
        """True for 4yz codes (RFC 5321 4.2.1)."""
        return 400 <= self.code < 500


class SendUncertain(DriverError):
    """The message left, its answer did not arrive: it may or may not be delivered. Never repeated by a machine."""
