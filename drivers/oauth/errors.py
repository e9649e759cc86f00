"""What can go wrong at a sign-in server, said neutrally. `server_said` is hostile and never holds a token or a code."""

from __future__ import annotations

from drivers.errors import AuthenticationFailed, DriverError, ProtocolError


class SignInRevoked(AuthenticationFailed):
    """The grant is over (invalid_grant): revoked, expired, password changed. Only the person can sign in again."""


class ConsentRefused(DriverError):
    """The person, or the organisation's administrator, did not agree. `needs_administrator` where only the latter can."""

    def __init__(self, message: str = "", *, server_said: str = "", needs_administrator: bool = False) -> None:
        super().__init__(message, server_said=server_said)
        self.needs_administrator = needs_administrator


class ScopeMissing(DriverError):
    """Signed in, but without the right to read or send mail."""


class ApplicationRefused(DriverError):
    """The service does not take our application: unknown id, wrong or expired secret, a redirect not registered."""


class AnswerForged(ProtocolError):
    """The answer belongs to another sign-in, another service or another application: nothing of it is used."""
