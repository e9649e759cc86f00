"""The one interface of all sign-in services, and what passes through it.

Invariants: PKCE S256 and a nonce in every sign-in; an identity comes from an id_token whose issuer, audience, nonce and
times were checked; tokens never appear in a repr.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from base.web import Door


class ServiceKind(StrEnum):
    """Which service."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"
    OPENID = "oidc"


@dataclass(frozen=True, slots=True)
class Application:
    """This installation's registration with a service. `issuer` "" for the public service of the kind; `tenant` for
    Microsoft ("common", "organizations", an id or a domain); `mail_scopes` for OpenID ("" for the kind's own)."""

    kind: ServiceKind
    client_id: str
    client_secret: str = field(default="", repr=False)
    tenant: str = ""
    issuer: str = ""
    mail_scopes: tuple[str, ...] = ()
    door: Door = Door()


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: `url` for the browser, `state` as it comes back, `kept` JSON to be kept secret until then."""

    url: str
    state: str
    kept: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a service gave. `expires_in`, `refresh_expires_in` in seconds (the latter None where not said); `identity` the
    address that signed in, "" where not asked; `refresh_token` "" where none or where the old one goes on."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_in: float = 3600.0
    refresh_expires_in: float | None = None
    identity: str = ""
    scopes: tuple[str, ...] = ()


class SignInService(ABC):
    """A service that people sign in with. All methods raise ServerUnreachable, ServerBusy, ProtocolError, ApplicationRefused."""

    @abstractmethod
    def begin(self, redirect_uri: str, *, login_hint: str = "", choose: bool = False) -> Begun:
        """The address to send the browser to. `choose`: ask which identity, even if one is signed in."""

    @abstractmethod
    def finish(self, kept: str, answer: Mapping[str, str], redirect_uri: str) -> Tokens:
        """Tokens for the answer (the query of the callback) to `begin`.

        Raises ConsentRefused, ScopeMissing, AnswerForged, SignInRevoked (the code was used or is too old).
        """

    @abstractmethod
    def refresh(self, refresh_token: str) -> Tokens:
        """A new access token; a rotated refresh token comes with it. Raises SignInRevoked, ScopeMissing."""

    @abstractmethod
    def for_application(self) -> Tokens:
        """A token for the application itself (client credentials): no person, no refresh token."""

    @abstractmethod
    def revoke(self, refresh_token: str) -> bool:
        """Take the grant back at the service; False where it has no endpoint for that (the tokens are only forgotten)."""

    @abstractmethod
    def check(self) -> str:
        """Whether the service is there and knows this application and its secret, as far as it tells; returns the issuer."""
