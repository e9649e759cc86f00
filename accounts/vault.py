"""Secrets of email accounts: encrypted with the key ring, bound to their row. Nothing here is logged or rendered."""

from __future__ import annotations

import uuid
from functools import cache

from django.conf import settings
from django.db import transaction

from accounts.models import Credential, EmailAccount, MailboxSetup
from base.crypto import KeyRing
from providers.applications import rotate_applications


@cache
def key_ring() -> KeyRing:
    """The installation's keys; the first encrypts, all decrypt."""
    return KeyRing(settings.CREDENTIAL_KEYS)


def _bound_to(credential_id: uuid.UUID) -> str:
    return f"accounts.Credential:{credential_id}"


def store_secret(
    secret: str,
    *,
    email_account: EmailAccount | None = None,
    setup: MailboxSetup | None = None,
    kind: str = "password",
) -> Credential:
    """Keep a secret for an email account, or as the candidate of a set-up; an earlier one of the same owner goes."""
    Credential.objects.filter(email_account=email_account, setup=setup).delete()
    credential = Credential(id=uuid.uuid4(), email_account=email_account, setup=setup, kind=kind)
    credential.ciphertext = key_ring().encrypt(secret.encode(), bound_to=_bound_to(credential.id))
    credential.save(force_insert=True)
    return credential


def read_secret(credential: Credential) -> str:
    """The secret in clear. Raises base.crypto.WrongKey when no key of the ring fits (nothing is overwritten)."""
    return key_ring().decrypt(credential.ciphertext, bound_to=_bound_to(credential.id)).decode()


def change_secret(credential: Credential, secret: str) -> None:
    """Put another secret into the same row (a rotated token); the caller holds its lock."""
    credential.ciphertext = key_ring().encrypt(secret.encode(), bound_to=_bound_to(credential.id))
    credential.save(update_fields=["ciphertext"])


def seal(text: str, *, bound_to: str) -> str:
    """A ciphertext for a row of another table of this room, bound to its name."""
    return key_ring().encrypt(text.encode(), bound_to=bound_to)


def unseal(ciphertext: str, *, bound_to: str) -> str:
    """The text of `seal`. Raises base.crypto.CryptoError."""
    return key_ring().decrypt(ciphertext, bound_to=bound_to).decode()


def move_candidate(setup: MailboxSetup, email_account: EmailAccount) -> None:
    """After a successful sign-in the candidate replaces the working secret (same row, so its binding stays)."""
    candidate = Credential.objects.get(setup=setup)
    Credential.objects.filter(email_account=email_account).delete()
    candidate.setup = None
    candidate.email_account = email_account
    candidate.save(update_fields=["setup", "email_account"])


def rotate() -> int:
    """Encrypt every secret anew with the first key; returns how many changed."""
    changed = 0
    for credential_id in Credential.objects.values_list("pk", flat=True):
        with transaction.atomic():  # locked: a token that is renewed meanwhile must not be put back
            credential = Credential.objects.select_for_update().filter(pk=credential_id).first()
            if credential is not None and key_ring().needs_rotation(credential.ciphertext):
                change_secret(credential, read_secret(credential))
                changed += 1
    return changed + rotate_applications()
