"""A mailbox is disconnected: its sign-in is taken back at the service where that is possible.

Invariant: the local tokens are gone at once, whatever the service says; a row per grant until the service has taken it
back or was asked often enough.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import structlog
from django.utils import timezone

from accounts.models import Credential, EmailAccount, GrantToRevoke
from accounts.tokens import refresh_token_of
from accounts.vault import seal, unseal
from base.crypto import CryptoError
from drivers.errors import DriverError, ServerBusy, ServerUnreachable
from providers.applications import service_of

log = structlog.get_logger(__name__)
MOST_TRIES = 6
PAUSE = timedelta(minutes=5)
MICROSOFT_PAGE = "https://myapplications.microsoft.com/"


def plan_revocation(email_account: EmailAccount) -> None:
    """Before the credential goes: remember the refresh token for the service, where the application is known."""
    credential = Credential.objects.filter(email_account=email_account, kind="oauth2").select_related("grant").first()
    grant = getattr(credential, "grant", None)
    if credential is None or grant is None or grant.application_id is None or grant.refused_at is not None:
        return
    token = refresh_token_of(credential)
    if not token:
        return
    row = GrantToRevoke(id=uuid.uuid4(), application_id=grant.application_id, next_try_at=timezone.now())
    row.ciphertext = seal(token, bound_to=_bound_to(row))
    row.save(force_insert=True)


def has_grants_to_revoke() -> bool:
    """Whether one is due."""
    return GrantToRevoke.objects.filter(next_try_at__lte=timezone.now()).exists()


def revoke_grants() -> int:
    """Take the due ones back, at most 20; returns how many are done with (taken back, or never to be)."""
    done = 0
    for row in GrantToRevoke.objects.filter(next_try_at__lte=timezone.now()).select_related("application")[:20]:
        if not GrantToRevoke.objects.filter(pk=row.pk, tries=row.tries).update(
            tries=row.tries + 1, next_try_at=timezone.now() + PAUSE * 2**row.tries
        ):
            continue  # another worker has it
        if _revoke(row) or row.tries + 1 >= MOST_TRIES:
            row.delete()
            done += 1
    return done


def _revoke(row: GrantToRevoke) -> bool:
    try:
        was_revoked = service_of(row.application).revoke(unseal(row.ciphertext, bound_to=_bound_to(row)))
    except (ServerUnreachable, ServerBusy):
        return False
    except (DriverError, CryptoError) as error:
        log.warning("grant_not_revoked", error=type(error).__name__)
        return True
    log.info("grant_revoked" if was_revoked else "grant_forgotten", application=row.application.key)
    return True


def page_of_applications(email_account: EmailAccount) -> str:
    """Where the person removes the application by hand: Microsoft's page; "" where we take it back or know nothing."""
    credential = Credential.objects.filter(email_account=email_account, kind="oauth2").select_related("grant").first()
    application = getattr(getattr(credential, "grant", None), "application", None)
    is_microsoft = application is not None and application.kind == "microsoft" and not application.is_app_only
    return MICROSOFT_PAGE if is_microsoft else ""


def _bound_to(row: GrantToRevoke) -> str:
    return f"accounts.GrantToRevoke:{row.pk}"
