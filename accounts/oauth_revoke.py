"""A mailbox is disconnected: its sign-in is taken back at the service where that is possible.

Invariant: the local tokens are gone at once, whatever the service says, and nobody waits for it; one row per grant, with
the refresh token encrypted, until the service has taken it back. After a week of tries the token is forgotten here, too,
and the person is told where to take the sign-in back by hand (notifications.radar reads the row).
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from accounts.models import Credential, EmailAccount, GrantToRevoke, OAuthGrant
from accounts.tokens import refresh_token_of
from accounts.vault import seal, unseal
from base.crypto import CryptoError
from drivers.errors import DriverError
from drivers.oauth.errors import SignInRevoked
from providers.applications import service_of

log = structlog.get_logger(__name__)
MOST_TRIES = 20  # about a week
PAUSE = timedelta(minutes=5)  # doubled after each try
LONGEST_PAUSE = timedelta(hours=12)
TOLD_FOR = timedelta(days=30)  # a row that was given up
PAGES = {"microsoft": "https://myapplications.microsoft.com/", "google": "https://myaccount.google.com/connections"}


def plan_revocation(email_account: EmailAccount) -> None:
    """Before the credential goes: remember the refresh token for the service, where it can take one back."""
    credential = Credential.objects.filter(email_account=email_account, kind="oauth2").select_related("grant").first()
    grant = getattr(credential, "grant", None)
    if credential is None or grant is None or grant.application is None or grant.refused_at is not None:
        return
    token = refresh_token_of(credential) if grant.application.can_revoke else ""
    if not token:
        return
    row = GrantToRevoke(id=uuid.uuid4(), application=grant.application, identity=grant.identity)
    row.email_account, row.user_id, row.next_try_at = email_account, email_account.owner_id, timezone.now()
    row.ciphertext = seal(token, bound_to=_bound_to(row))
    row.save(force_insert=True)


def has_grants_to_revoke() -> bool:
    """Whether one is due, or one that was given up is old."""
    now = timezone.now()
    return GrantToRevoke.objects.filter(Q(next_try_at__lte=now) | Q(given_up_at__lt=now - TOLD_FOR)).exists()


def revoke_grants() -> int:
    """Take the due ones back, at most 20; returns how many are done with (taken back, or never to be)."""
    GrantToRevoke.objects.filter(given_up_at__lt=timezone.now() - TOLD_FOR).delete()
    done = 0
    for row in GrantToRevoke.objects.filter(next_try_at__lte=timezone.now()).select_related("application")[:20]:
        pause = min(PAUSE * 2 ** min(row.tries, 10), LONGEST_PAUSE)
        if not GrantToRevoke.objects.filter(pk=row.pk, tries=row.tries).update(
            tries=row.tries + 1, next_try_at=timezone.now() + pause
        ):
            continue  # another worker has it
        if _revoke(row):
            row.delete()
            done += 1
        elif row.tries + 1 >= MOST_TRIES:
            _give_up(row)
            done += 1
    return done


def _revoke(row: GrantToRevoke) -> bool:
    """Whether it is over: taken back, ended before, or not to be ended because the same sign-in is used again."""
    if _is_in_use_again(row):
        log.info("grant_in_use_again", application=row.application.key)
        return True
    try:
        was_revoked = service_of(row.application).revoke(unseal(row.ciphertext, bound_to=_bound_to(row)))
    except SignInRevoked:
        was_revoked = True
    except (DriverError, CryptoError) as error:
        log.warning("grant_not_revoked", error=type(error).__name__, tries=row.tries + 1)
        return False
    log.info("grant_revoked" if was_revoked else "grant_forgotten", application=row.application.key)
    return True


def _is_in_use_again(row: GrantToRevoke) -> bool:
    """Google ends all sign-ins of a person with an application at once: the mailbox was connected again meanwhile."""
    if row.application.kind != "google":
        return False
    living = OAuthGrant.objects.filter(application=row.application, identity=row.identity, refused_at__isnull=True)
    return living.filter(credential__email_account__isnull=False).exists()


def _give_up(row: GrantToRevoke) -> None:
    """Forget the token; the row goes on without it, to be told."""
    GrantToRevoke.objects.filter(pk=row.pk).update(ciphertext="", next_try_at=None, given_up_at=timezone.now())
    log.warning("grant_given_up", application=row.application.key)


def page_of_applications(email_account: EmailAccount) -> str:
    """Where the person removes the application by hand: Microsoft's page; "" where we take it back or know nothing."""
    credential = Credential.objects.filter(email_account=email_account, kind="oauth2").select_related("grant").first()
    grant = getattr(credential, "grant", None)
    application = getattr(grant, "application", None)
    if grant is None or application is None or grant.is_app_only or application.can_revoke:
        return ""
    return PAGES["microsoft"]


def _bound_to(row: GrantToRevoke) -> str:
    return f"accounts.GrantToRevoke:{row.pk}"
