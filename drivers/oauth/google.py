"""Google, with google-auth-oauthlib for the sign-in itself; refresh and revocation as any OpenID service.

Google gives a refresh token only with access_type=offline and after a consent; the mail scope can be unticked there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from google_auth_oauthlib.flow import Flow
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from base.web import guard
from drivers.oauth.flow import Begun, Tokens
from drivers.oauth.openid import OpenIdService, check_answer
from drivers.oauth.wire import Endpoints, error_for, neutral

MAIL_SCOPE = "https://mail.google.com/"


class GoogleService(OpenIdService):
    """Gmail and Google Workspace."""

    default_issuer = "https://accounts.google.com"
    identity_scopes = ("openid", "https://www.googleapis.com/auth/userinfo.email")
    default_mail_scopes = (MAIL_SCOPE,)

    def begin(self, redirect_uri: str, *, login_hint: str = "", choose: bool = False) -> Begun:
        nonce = secrets.token_urlsafe(32)
        flow = self._flow(self.endpoints(), redirect_uri)
        more = {"nonce": nonce, "prompt": "select_account consent" if choose else "consent"}
        if login_hint and not choose:
            more["login_hint"] = login_hint
        with neutral():
            url, state = flow.authorization_url(access_type="offline", include_granted_scopes="false", **more)
        kept = {"verifier": flow.code_verifier, "state": state, "nonce": nonce}
        return Begun(url, state, json.dumps(kept))

    def finish(self, kept: str, answer: Mapping[str, str], redirect_uri: str) -> Tokens:
        begun = json.loads(kept)
        endpoints = self.endpoints()
        check_answer(begun, answer, endpoints)
        flow = self._flow(endpoints, redirect_uri, verifier=begun["verifier"])
        with neutral(endpoints.token):
            try:
                given = flow.fetch_token(code=answer["code"], include_client_id=True)
            except OAuth2Error as error:
                raise error_for({"error": error.error, "error_description": error.description}) from None
            except Warning as changed:  # other scopes than asked for; which ones is looked at below
                given = getattr(changed, "token", {})
        return self._signed_in(given, begun["nonce"], endpoints.issuer)

    def _flow(self, endpoints: Endpoints, redirect_uri: str, verifier: str | None = None) -> Flow:
        config = {
            "web": {
                "client_id": self.application.client_id,
                "client_secret": self.application.client_secret,
                "auth_uri": endpoints.authorization,
                "token_uri": endpoints.token,
            }
        }
        flow = Flow.from_client_config(
            config,
            scopes=[*self.identity_scopes, *self.mail_scopes],
            redirect_uri=redirect_uri,
            code_verifier=verifier,
            autogenerate_code_verifier=verifier is None,
        )
        guard(flow.oauth2session, self.application.door)
        return flow
