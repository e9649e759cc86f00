"""Secrets of two-step verification under a new key. Invariant: a secret that no key opens is left as it is."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts.adapter import BOUND_TO
from accounts.vault import key_ring
from base.crypto import CryptoError

_FIELDS = ("secret", "seed")  # of TOTP and of recovery codes


@transaction.atomic
def rotate_second_steps() -> int:
    """Encrypt every TOTP secret and recovery seed anew with the first key; returns how many changed."""
    changed = 0
    for row in Authenticator.objects.select_for_update():
        for name in _FIELDS:
            changed += _rotate(row, name)
    return changed


def _rotate(row: Authenticator, name: str) -> int:
    token = row.data.get(name)
    ring = key_ring()
    try:
        if not token or not ring.needs_rotation(token):
            return 0
        row.data[name] = ring.encrypt(ring.decrypt(token, bound_to=BOUND_TO), bound_to=BOUND_TO)
    except CryptoError:
        return 0
    row.save(update_fields=["data"])
    return 1
