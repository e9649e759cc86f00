"""An id_token's claims, checked (OpenID Connect Core 3.1.3.7). Pure.

The token came straight from the token endpoint over TLS that was checked, which stands for its signature (step 6).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from typing import Any

from drivers.oauth.errors import AnswerForged

SKEW = 300.0  # seconds that two clocks may differ
MAX_CHARS = 20_000


def claims_of(token: str) -> dict[str, Any]:
    """The claims, unchecked. Raises AnswerForged for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_CHARS:
        raise AnswerForged("The service sent no readable identity.")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise AnswerForged("The service sent no readable identity.") from None
    if not isinstance(found, dict):
        raise AnswerForged("The service sent no readable identity.")
    return found


def check_claims(claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str) -> None:
    """Issuer, audience, nonce and time. Raises AnswerForged."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    expires = claims.get("exp")
    is_right = (
        claims.get("iss") == issuer
        and client_id in audiences
        and (len(audiences) == 1 or claims.get("azp") == client_id)
        and isinstance(expires, int | float)
        and expires > time.time() - SKEW
        and hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
    )
    if not is_right:
        raise AnswerForged("The identity was made for another sign-in.")


def address_in(claims: dict[str, Any]) -> str:
    """The address that signed in, lower case, "" where none is told or it is not verified."""
    if claims.get("email") and claims.get("email_verified", True) in (True, "true"):
        return str(claims["email"])[:320].strip().lower()
    name = str(claims.get("preferred_username") or "")[:320].strip().lower()
    return name if "@" in name else ""
