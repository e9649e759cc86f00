"""allauth's adapters. Invariants: no open sign-up (users join by invitation); TOTP secrets and the seed of recovery
codes are encrypted with the key ring, which allauth's own hook does not do."""

from __future__ import annotations

import base64
import ipaddress
import secrets

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest

from accounts.vault import key_ring
from base.crypto import CryptoError

log = structlog.get_logger(__name__)
BOUND_TO = "allauth.mfa"  # allauth gives the hook no row


def client_ip(remote: str, forwarded: str, trusted: list[str]) -> str:
    """The address that counts for rate limits: the nearest one that is no proxy of ours."""
    for candidate in [remote, *reversed([part.strip() for part in forwarded.split(",")])]:
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            break
        if not any(address in ipaddress.ip_network(one, strict=False) for one in trusted):
            return str(address)
    return remote or "0.0.0.0"  # noqa: S104 - no address to bind


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up is closed; an invitation makes the user."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        meta = request.META
        return client_ip(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)


class MfaAdapter(DefaultMFAAdapter):
    """Secrets of the second step at rest."""

    def encrypt(self, text: str) -> str:
        return key_ring().encrypt(text.encode(), bound_to=BOUND_TO)

    def decrypt(self, encrypted_text: str) -> str:
        """The secret; where no key opens it a random one, against which no code is ever right."""
        try:
            return key_ring().decrypt(encrypted_text, bound_to=BOUND_TO).decode()
        except CryptoError as error:
            log.error("second_step_unreadable", error=type(error).__name__)
            return base64.b32encode(secrets.token_bytes(20)).decode()
