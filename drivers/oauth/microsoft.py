"""Microsoft Entra and personal Microsoft accounts, with msal.

msal keeps no cache here: refresh tokens are ours to store, and they rotate at each refresh. Microsoft has no
revocation endpoint: tokens are forgotten, and the person is shown the page where applications are removed.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import msal

from base.web import GuardedSession
from drivers.errors import DriverError
from drivers.oauth.errors import AnswerForged, ApplicationRefused
from drivers.oauth.flow import Application, Begun, SignInService, Tokens
from drivers.oauth.id_token import address_in, check_claims, claims_of
from drivers.oauth.openid import check_application, tokens_of
from drivers.oauth.wire import Endpoints, discover, error_for, neutral

PUBLIC = "https://login.microsoftonline.com"
MAIL_SCOPES = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
APPLICATION_SCOPE = "https://outlook.office365.com/.default"
# msal advises form_post, which would come from another site and therefore without our Lax cookie.
warnings.filterwarnings("ignore", message="response_mode='form_post'")
MANY_TENANTS = ("", "common", "organizations", "consumers")


class MicrosoftService(SignInService):
    """Microsoft 365 and Outlook.com."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.mail_scopes = application.mail_scopes or MAIL_SCOPES
        self.tenant = application.tenant or "common"
        self.authority = f"{(application.issuer or PUBLIC).rstrip('/')}/{self.tenant}"

    def begin(self, redirect_uri: str, *, login_hint: str = "", choose: bool = False) -> Begun:
        with neutral(self.authority):
            flow = self._client().initiate_auth_code_flow(
                list(self.mail_scopes),
                redirect_uri=redirect_uri,
                login_hint=None if choose else login_hint or None,
                prompt="select_account" if choose else None,
            )
        return Begun(str(flow["auth_uri"]), str(flow["state"]), json.dumps(flow))

    def finish(self, kept: str, answer: Mapping[str, str], redirect_uri: str) -> Tokens:
        flow = json.loads(kept)
        if flow.get("redirect_uri") != redirect_uri or answer.get("state") != flow["state"]:
            raise AnswerForged("The answer belongs to another sign-in.")
        self._check_sender(answer.get("iss", ""))
        if answer.get("error"):
            raise error_for(answer)
        if not answer.get("code"):
            raise AnswerForged("The answer holds no code.")
        with neutral(self.authority):
            try:
                given = self._client().acquire_token_by_auth_code_flow(flow, dict(answer))
            except (ValueError, RuntimeError):  # msal's word for a wrong state, nonce or issuer
                raise AnswerForged("The answer belongs to another sign-in.") from None
        tokens = self._tokens(given)
        claims = claims_of(str(given.get("id_token", "")))
        self._check_issuer(claims, answer.get("iss", ""))
        return Tokens(
            tokens.access_token,
            tokens.refresh_token,
            tokens.expires_in,
            tokens.refresh_expires_in,
            address_in({"preferred_username": claims.get("preferred_username"), "email": None}) or address_in(claims),
            tokens.scopes,
        )

    def refresh(self, refresh_token: str) -> Tokens:
        with neutral(self.authority):
            given = self._client().acquire_token_by_refresh_token(refresh_token, list(self.mail_scopes))
        return self._tokens(given)

    def for_application(self) -> Tokens:
        scopes = list(self.application.mail_scopes or (APPLICATION_SCOPE,))
        with neutral(self.authority):
            given = self._client().acquire_token_for_client(scopes)
        if given.get("error"):
            raise error_for(given)
        return tokens_of(given, needed=())

    def revoke(self, refresh_token: str) -> bool:
        return False

    def check(self) -> str:
        issuer = check_application(self, self._endpoints(is_fresh=True))
        if self.application.client_secret and not self._is_shared:
            self._check_secret()
        return issuer

    def _check_secret(self) -> None:
        """Microsoft may refuse a made-up refresh token before it looks at the secret; for the application itself it cannot."""
        try:
            self.for_application()
        except ApplicationRefused as error:
            if error.server_said.startswith("invalid_client"):
                raise
        except DriverError:
            pass  # it was reached a moment ago; what it says of other rights does not matter here

    def _endpoints(self, *, is_fresh: bool = False) -> Endpoints:
        return discover(f"{self.authority}/v2.0", self.application.door, is_fresh=is_fresh, is_shared=self._is_shared)

    @property
    def _is_shared(self) -> bool:
        """The tenant is a word for many, or a domain: issuers name the tenant's id instead."""
        return self.tenant in MANY_TENANTS or "." in self.tenant

    def _client(self) -> Any:
        kind = msal.ConfidentialClientApplication if self.application.client_secret else msal.PublicClientApplication
        return kind(
            self.application.client_id,
            authority=self.authority,
            client_credential=self.application.client_secret or None,
            http_client=GuardedSession(self.application.door),
            instance_discovery=None if not self.application.issuer else False,
        )

    def _tokens(self, given: Mapping[str, Any]) -> Tokens:
        if given.get("error"):
            raise error_for(given)
        return tokens_of(given, needed=self.mail_scopes)

    def _check_sender(self, said: str) -> None:
        """RFC 9207, before anything of the answer is used: this service and no other. A shared endpoint cannot name the
        person's tenant beforehand, but it is always at the same host."""
        base = (self.application.issuer or PUBLIC).rstrip("/")
        if self._is_shared:
            is_right = not said or said.startswith(f"{base}/")
        else:
            endpoints = self._endpoints()
            is_right = said == endpoints.issuer if said or endpoints.says_issuer else True
        if not is_right:
            raise AnswerForged("The answer comes from another service.")

    def _check_issuer(self, claims: dict[str, Any], said: str) -> None:
        """msal checked audience, nonce and times; the issuer of a shared endpoint names the person's own tenant."""
        base = (self.application.issuer or PUBLIC).rstrip("/")
        tenant = str(claims.get("tid") or "") if self._is_shared else self.tenant
        issuer = str(claims.get("iss", ""))
        if not tenant or issuer != f"{base}/{tenant}/v2.0" or (said and said != issuer):
            raise AnswerForged("The identity was made by another service.")
        check_claims(claims, issuer=issuer, client_id=self.application.client_id, nonce=str(claims.get("nonce", "")))
