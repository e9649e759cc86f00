"""Talking to a sign-in server: discovery (OpenID Connect Discovery 1.0, RFC 8414) and form posts (RFC 6749), errors neutral.

Invariant: nothing of a request (code, token, secret) gets into an error; what the server said is cut and bounded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from base import net
from base.web import Door, GuardedSession, json_object
from drivers.errors import CertificateInvalid, DriverError, ProtocolError, ServerBusy, ServerUnreachable
from drivers.oauth.errors import ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked

KEPT_FOR = 3600.0  # seconds that a discovery document is believed
_KINDS: dict[type[Exception], str] = {
    net.ConnectionBlocked: "blocked",
    net.UnknownHost: "unknown_host",
    net.Refused: "refused",
    net.TimedOut: "timeout",
}
_NEEDS_ADMINISTRATOR = ("AADSTS65001", "AADSTS90094", "AADSTS90093", "admin_policy_enforced", "org_internal")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a service is. `revocation` "" where it has none; `says_issuer`: answers carry `iss` (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    revocation: str = ""
    says_issuer: bool = False


_known: dict[tuple[str, str], tuple[float, Endpoints]] = {}


def discover(issuer: str, door: Door, *, is_fresh: bool = False, is_shared: bool = False) -> Endpoints:
    """The endpoints of an issuer; kept for an hour. The document must name the same issuer, except where many tenants
    share it (`is_shared`: Microsoft's "common" names a pattern; the identity's own issuer is checked instead).

    Raises ServerUnreachable, ServerBusy, ProtocolError.
    """
    place = (issuer, door.ca_bundle)
    kept = _known.get(place)
    if kept and not is_fresh and time.monotonic() - kept[0] < KEPT_FOR:
        return kept[1]
    document = _document(issuer.rstrip("/") + "/.well-known/openid-configuration", door)
    endpoints = Endpoints(
        issuer=str(document.get("issuer", "")),
        authorization=_address(document, "authorization_endpoint"),
        token=_address(document, "token_endpoint"),
        revocation=_address(document, "revocation_endpoint"),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )
    is_same = is_shared or endpoints.issuer.rstrip("/") == issuer.rstrip("/")
    if not is_same or not (endpoints.authorization and endpoints.token):
        raise ProtocolError("This is no sign-in server, or it is one of another name.")
    if len(_known) > 200:
        _known.clear()
    _known[place] = (time.monotonic(), endpoints)
    return endpoints


def _document(url: str, door: Door) -> Mapping[str, Any]:
    with neutral(url), GuardedSession(door) as session:
        response = session.get(url, headers={"Accept": "application/json"})
    _refuse_busy(response.status_code, response.headers.get("Retry-After", ""))
    document = json_object(response)
    if response.status_code != 200 or document is None:
        raise ProtocolError("This is no sign-in server.", server_said=f"HTTP {response.status_code}")
    return document


def _address(document: Mapping[str, Any], name: str) -> str:
    found = str(document.get(name, ""))
    return found if found.startswith("https://") and len(found) < 2000 else ""


def post_form(url: str, form: Mapping[str, str], door: Door, *, basic: tuple[str, str] | None = None) -> dict[str, Any]:
    """The JSON object that a token endpoint answers with 200, {} for an empty answer. Raises what the error stands for."""
    with neutral(url), GuardedSession(door) as session:
        response = session.post(url, data=dict(form), headers={"Accept": "application/json"}, auth=basic)
    answer = json_object(response)
    if response.status_code == 200:
        if answer is None and response.content:
            raise ProtocolError("The sign-in server's answer cannot be read.")
        return dict(answer or {})
    if answer and answer.get("error"):
        raise error_for(answer)
    _refuse_busy(response.status_code, response.headers.get("Retry-After", ""))
    raise ProtocolError("The sign-in server refused.", server_said=f"HTTP {response.status_code}")


def _refuse_busy(status: int, retry_after: str) -> None:
    if status == 429 or status >= 500:
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
        raise ServerBusy("The sign-in server is busy.", retry_after=seconds, server_said=f"HTTP {status}")


def error_for(answer: Mapping[str, Any]) -> DriverError:
    """The error that an answer with "error" stands for (RFC 6749 4.1.2.1 and 5.2, OpenID Connect Core 3.1.2.6)."""
    code = str(answer.get("error", ""))[:100]
    said = " ".join(f"{code}: {answer.get('error_description', '')}".split())[:300]
    if code in ("temporarily_unavailable", "server_error", "slow_down"):
        return ServerBusy("The sign-in server is busy.", server_said=said)
    if any(sign in said or sign in str(answer.get("suberror", "")) for sign in _NEEDS_ADMINISTRATOR):
        return ConsentRefused("An administrator must agree first.", server_said=said, needs_administrator=True)
    if code in ("access_denied", "consent_required", "interaction_required", "login_required"):
        return ConsentRefused("The access was not granted.", server_said=said)
    if code == "invalid_grant":
        return SignInRevoked("The sign-in is over.", server_said=said)
    if code == "invalid_scope":
        return ScopeMissing("The service does not give the right to the mail.", server_said=said)
    if code in ("invalid_client", "unauthorized_client", "invalid_request", "redirect_uri_mismatch", "disabled_client"):
        return ApplicationRefused("The service refuses this application.", server_said=said)
    return ProtocolError("The sign-in server refused.", server_said=said)


@contextmanager
def neutral(url: str = "") -> Iterator[None]:
    """Errors of the network and of the libraries as ours; nothing of theirs is carried along (it may hold a token)."""
    try:
        yield
    except DriverError:
        raise
    except net.TlsFailed as error:
        raise CertificateInvalid("TLS failed.", host=error.host, problem=error.problem) from None
    except net.NetError as error:
        raise ServerUnreachable(str(error), kind=_KINDS.get(type(error), "dropped")) from None
    except OSError as error:  # requests' exceptions are OSErrors
        name = type(error).__name__
        if name == "SSLError":
            raise CertificateInvalid("TLS failed.", host=urlsplit(url).hostname or "") from None
        if name == "AnswerTooBig":
            raise ProtocolError("The sign-in server's answer is too big.") from None
        kind = "timeout" if "Timeout" in name or "TimedOut" in name else "dropped"
        raise ServerUnreachable("The sign-in server cannot be reached.", kind=kind) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(f"The sign-in server's answer cannot be read ({type(error).__name__}).") from None
