"""One table from what a driver raised to what we do. Read by the pipeline; the words for people are in accounts."""

from __future__ import annotations

from dataclasses import dataclass

from drivers import errors
from drivers.oauth.errors import ApplicationRefused, SignInRevoked

BACK_OFF = (15, 60, 120, 300, 900, 1800)  # seconds, by failures in a row
SIGN_IN_TRIES = 3  # refusals in a row before a person is asked: one refusal may be the server's bad moment


@dataclass(frozen=True, slots=True)
class Action:
    """What to do: `kind` names it in the email account's row, `delay` in seconds until the next try,
    `asks_person`: stop and ask to sign in again."""

    kind: str
    delay: float
    asks_person: bool = False


def decide(error: errors.DriverError, failures: int) -> Action:
    """The action for this error after `failures` failures in a row (this one included)."""
    delay = float(BACK_OFF[min(max(failures, 1), len(BACK_OFF)) - 1])
    match error:
        case SignInRevoked():  # the service has ended the grant: asking it again can change nothing
            return Action("revoked", delay, asks_person=True)
        case ApplicationRefused():  # an administrator's to mend; the grants of people go on afterwards
            return Action("oauth_application", max(delay, 300.0))
        case errors.ExchangeBlocked():
            return Action("exchange_blocked", delay, asks_person=failures >= SIGN_IN_TRIES)
        case errors.ProtocolDisabled():
            return Action("protocol_disabled", delay, asks_person=failures >= SIGN_IN_TRIES)
        case errors.AuthenticationFailed():
            return Action("sign_in", delay, asks_person=failures >= SIGN_IN_TRIES)
        case errors.PermissionMissing():
            return Action("permission", max(delay, 300.0))
        case errors.CertificateInvalid():
            return Action("certificate", delay)
        case errors.TlsUnavailable():
            return Action("no_starttls", max(delay, 300.0))
        case errors.ServerUnreachable():
            return Action(error.kind, delay)
        case errors.ServerBusy():
            return Action("busy", max(1.0, min(error.retry_after or delay, 3600.0)))
        case errors.ProtocolError():
            return Action("protocol", delay)
    return Action("trouble", delay)
