"""A generic OpenID Connect service, such as stands before a self-hosted mail server. Google's is built upon it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from drivers.errors import ProtocolError
from drivers.oauth.errors import AnswerForged, ScopeMissing
from drivers.oauth.flow import Application, Begun, SignInService, Tokens
from drivers.oauth.id_token import address_in, check_claims, claims_of
from drivers.oauth.wire import Endpoints, discover, error_for, post_form

MAX_TOKEN = 16_000  # characters


class OpenIdService(SignInService):
    """Discovery, code with PKCE, refresh with rotation, revocation where announced, client credentials."""

    default_issuer = ""
    identity_scopes: tuple[str, ...] = ("openid", "email", "offline_access")
    default_mail_scopes: tuple[str, ...] = ()

    def __init__(self, application: Application) -> None:
        self.application = application
        self.mail_scopes = application.mail_scopes or self.default_mail_scopes

    def endpoints(self) -> Endpoints:
        """Where the service is."""
        return discover(self.application.issuer or self.default_issuer, self.application.door)

    def begin(self, redirect_uri: str, *, login_hint: str = "", choose: bool = False) -> Begun:
        verifier, state, nonce = (secrets.token_urlsafe(48) for _each in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": self.application.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join((*self.identity_scopes, *self.mail_scopes)),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "select_account consent" if choose else "consent",
        }
        if login_hint and not choose:
            question["login_hint"] = login_hint
        url = self.endpoints().authorization
        url += ("&" if "?" in url else "?") + urlencode(question)
        return Begun(url, state, json.dumps({"verifier": verifier, "state": state, "nonce": nonce}))

    def finish(self, kept: str, answer: Mapping[str, str], redirect_uri: str) -> Tokens:
        begun = json.loads(kept)
        endpoints = self.endpoints()
        check_answer(begun, answer, endpoints)
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": redirect_uri,
            "code_verifier": begun["verifier"],
        }
        return self._signed_in(self._post(endpoints.token, form), begun["nonce"], endpoints.issuer)

    def refresh(self, refresh_token: str) -> Tokens:
        answer = self._post(self.endpoints().token, {"grant_type": "refresh_token", "refresh_token": refresh_token})
        return tokens_of(answer, needed=self.mail_scopes)

    def for_application(self) -> Tokens:
        form = {"grant_type": "client_credentials", "scope": " ".join(self.mail_scopes)}
        return tokens_of(self._post(self.endpoints().token, form), needed=())

    def revoke(self, refresh_token: str) -> bool:
        endpoint = self.endpoints().revocation
        if not endpoint:
            return False
        self._post(endpoint, {"token": refresh_token, "token_type_hint": "refresh_token"})
        return True

    def check(self) -> str:
        return check_application(self, discover(self._issuer(), self.application.door, is_fresh=True))

    def _issuer(self) -> str:
        return self.application.issuer or self.default_issuer

    def _signed_in(self, answer: Mapping[str, Any], nonce: str, issuer: str) -> Tokens:
        claims = claims_of(str(answer.get("id_token", "")))
        check_claims(claims, issuer=issuer, client_id=self.application.client_id, nonce=nonce)
        return tokens_of(answer, needed=self.mail_scopes, identity=address_in(claims))

    def _post(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        mine = {"client_id": self.application.client_id}
        if self.application.client_secret:
            mine["client_secret"] = self.application.client_secret
        return post_form(url, form | mine, self.application.door)


def check_answer(begun: Mapping[str, str], answer: Mapping[str, str], endpoints: Endpoints) -> None:
    """The callback belongs to this sign-in: state (RFC 6749 10.12), issuer (RFC 9207), a code and no error.

    Raises AnswerForged, and what an error in the answer stands for.
    """
    if not hmac.compare_digest(answer.get("state", "").encode(), begun["state"].encode()):
        raise AnswerForged("The answer belongs to another sign-in.")
    issuer = answer.get("iss", "")
    if (issuer or endpoints.says_issuer) and issuer != endpoints.issuer:
        raise AnswerForged("The answer comes from another service.")
    if answer.get("error"):
        raise error_for(answer)
    if not answer.get("code"):
        raise AnswerForged("The answer holds no code.")


def check_application(service: SignInService, endpoints: Endpoints) -> str:
    """A refresh with a made-up token tells whether the service knows the application: it says invalid_grant if so."""
    try:
        service.refresh("made-up-by-the-test-button")
    except Exception as error:
        if type(error).__name__ not in ("SignInRevoked", "ScopeMissing"):
            raise
    return endpoints.issuer


def tokens_of(answer: Mapping[str, Any], *, needed: tuple[str, ...], identity: str = "") -> Tokens:
    """The tokens of a token endpoint's answer. Raises ProtocolError, ScopeMissing where a needed scope was left out."""
    access, refresh = answer.get("access_token"), answer.get("refresh_token") or ""
    if not isinstance(access, str) or not access.isascii() or not 0 < len(access) <= MAX_TOKEN:
        raise ProtocolError("The sign-in server gave no token.")
    if not isinstance(refresh, str) or len(refresh) > MAX_TOKEN:
        raise ProtocolError("The sign-in server gave no token.")
    said = answer.get("scope") or ""  # oauthlib has made a list of it
    scopes = tuple(str(each) for each in (said if isinstance(said, list) else str(said).split()))[:100]
    if scopes and not {scope.lower() for scope in needed} <= {scope.lower() for scope in scopes}:
        raise ScopeMissing("The right to the mail was not granted.")
    refresh_seconds = answer.get("refresh_token_expires_in")
    return Tokens(
        access_token=access,
        refresh_token=refresh,
        expires_in=_seconds(answer.get("expires_in"), 3600.0),
        refresh_expires_in=None if refresh_seconds is None else _seconds(refresh_seconds, 604_800.0),
        identity=identity,
        scopes=scopes,
    )


def _seconds(value: Any, default: float) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return min(max(seconds, 0.0), 3.2e8) if math.isfinite(seconds) else default
