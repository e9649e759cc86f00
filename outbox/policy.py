"""From what a server did to what we do: one table, and the times of the next tries. Pure.

Invariant: *uncertain* never leads to another try.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from drivers import errors
from drivers.oauth.errors import ApplicationRefused, SignInRevoked

MINUTES = (1, 3, 5, 10, 15, 30, 60, 60, 120, 120, 240)  # between tries; the last one repeats
GIVE_UP = timedelta(hours=48)  # after *Send*, RFC 5321 4.5.4.1 speaks of days; a person waits no longer
MENDED_BY_A_PERSON = 300.0  # seconds between looks whether somebody has signed in again
SIGN_IN_TRIES = 3  # an outage of the identity provider looks like a wrong password


class Trouble(StrEnum):
    """Why a message has not been sent; the screens have a sentence for each."""

    NONE = ""
    SIGN_IN = "sign_in"  # the server refuses the sign-in
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    BUSY = "busy"
    REFUSED = "refused"  # for good; the recipients' rows say who
    DEFERRED = "deferred"  # refused for now
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    NOT_BUILT = "not_built"  # an attachment is gone, an address cannot be written
    EXPIRED = "expired"  # tried for two days
    INTERRUPTED = "interrupted"  # the worker ended after it may have left
    UNCERTAIN = "uncertain"  # it left, no answer came
    STOPPED = "stopped"


class Action(StrEnum):
    """What to do next."""

    RETRY = "retry"
    FAIL = "fail"
    ASK = "ask"  # uncertain: look into Sent, then ask the person


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an error."""

    action: Action
    trouble: Trouble
    retry_after: float | None = None  # seconds, where the server said


def verdict(error: errors.DriverError, attempts: int) -> Verdict:
    """What follows from `error` at the `attempts`-th try (1 for the first)."""
    if isinstance(error, errors.SendUncertain):
        return Verdict(Action.ASK, Trouble.UNCERTAIN)
    if isinstance(error, errors.SendRejected):
        if error.is_temporary:
            return Verdict(Action.RETRY, Trouble.DEFERRED)
        return Verdict(Action.FAIL, Trouble.TOO_LARGE if _is_too_large(error) else Trouble.REFUSED)
    if isinstance(error, SignInRevoked | ApplicationRefused):  # waits for a person; no server is asked meanwhile
        return Verdict(Action.RETRY, Trouble.SIGN_IN, MENDED_BY_A_PERSON)
    if isinstance(error, errors.ServerBusy):
        return Verdict(Action.RETRY, Trouble.BUSY, error.retry_after)
    if isinstance(error, errors.AuthenticationFailed | errors.PermissionMissing):
        return Verdict(Action.RETRY if attempts < SIGN_IN_TRIES else Action.FAIL, Trouble.SIGN_IN)
    if isinstance(error, errors.CertificateInvalid | errors.TlsUnavailable):
        return Verdict(Action.RETRY if attempts < SIGN_IN_TRIES else Action.FAIL, Trouble.CERTIFICATE)
    if isinstance(error, errors.ServerUnreachable):
        return Verdict(Action.RETRY, Trouble.UNREACHABLE)
    return Verdict(Action.RETRY, Trouble.PROTOCOL)  # before the final dot: the driver says uncertain for all else


def _is_too_large(error: errors.SendRejected) -> bool:
    """552 of the whole mail speaks of its size; of one recipient it may be a full mailbox (RFC 3463 X.2.2)."""
    if error.code != 552:
        return False
    texts = [text for _code, text in error.refused.values()] or ["5.3.4"]
    return any(text.startswith(("5.2.3", "5.3.4")) for text in texts)


def next_try(attempts: int, now: datetime, since: datetime, retry_after: float | None = None) -> datetime | None:
    """When to try again after `attempts` tries; None when it was tried long enough (since *Send*)."""
    if now - since > GIVE_UP:
        return None
    wait = timedelta(minutes=MINUTES[min(max(attempts, 1), len(MINUTES)) - 1])
    if retry_after is not None:
        wait = max(timedelta(seconds=min(retry_after, 3600.0)), timedelta(seconds=5))
    return now + wait
