"""Access tokens of mailboxes: kept encrypted, renewed shortly before they end.

Invariants: exactly one worker renews a grant (a claim taken under the row's lock; the network is spoken to outside of any
transaction); a rotated refresh token is stored in the same transaction as the access token it came with, and only by the
claim's holder; a service that is down is no refusal; a grant that the service ended is never tried again.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Credential, MailboxSetup, OAuthGrant
from accounts.vault import change_secret, read_secret, store_secret
from base.crypto import CryptoError
from base.process import holder_name, is_dead
from drivers.errors import AuthenticationFailed, DriverError, PermissionMissing, ServerBusy, ServerUnreachable
from drivers.oauth.errors import ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked
from drivers.oauth.flow import Tokens
from drivers.types import AuthKind, Login
from providers.applications import service_of
from providers.models import OAuthApplication

log = structlog.get_logger(__name__)
MARGIN = timedelta(minutes=5)  # before its end a token is renewed, or in the last quarter of a short life
LAST_USE = timedelta(seconds=3)  # a token that lives less is over
CLAIM = timedelta(seconds=180)  # longer than a renewal can take: two requests, each with its own time-outs
WAIT = 30.0  # seconds for another worker's renewal
BACK_OFF = (5, 30, 120, 300, 900)  # seconds, by failures in a row


@dataclass(frozen=True, slots=True)
class _Secret:
    """What the credential's ciphertext holds."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "<tokens>"


class _Turn(Enum):
    """Whose turn it is to renew."""

    MINE = "mine"
    NOBODYS = "nobody's"  # the token is fresh
    ANOTHERS = "another's"


def keep_tokens(
    tokens: Tokens, *, application: OAuthApplication, setup: MailboxSetup, is_app_only: bool = False
) -> Credential:
    """The candidate credential of a run of the wizard, with its grant."""
    with transaction.atomic():
        credential = store_secret(_packed(tokens.access_token, tokens.refresh_token), setup=setup, kind="oauth2")
        grant = OAuthGrant(credential=credential, application=application, is_app_only=is_app_only)
        grant.identity = tokens.identity
        _set_life(grant, tokens)
        grant.save(force_insert=True)
    return credential


def login_with(credential: Credential, user_name: str) -> Login:
    """Who signs in, with the password or a fresh token.

    Raises AuthenticationFailed (no usable secret), SignInRevoked, ServerUnreachable, ServerBusy, ApplicationRefused.
    """
    if credential.kind == AuthKind.OAUTH2:
        return Login(user_name, access_token(credential), AuthKind.OAUTH2)
    try:
        return Login(user_name, read_secret(credential), AuthKind(credential.kind))
    except CryptoError as error:
        raise AuthenticationFailed("no usable credential is kept") from error


def access_token(credential: Credential) -> str:
    """A token that lives a while. Raises as `login_with`."""
    give_up_at = time.monotonic() + WAIT
    mark = holder_name()
    while True:
        turn, grant = _take_turn(credential.pk, mark)
        if turn is _Turn.MINE:
            return _renew(grant, mark)
        if turn is _Turn.NOBODYS or _is_usable(grant):
            return _open(credential.pk).access
        if time.monotonic() > give_up_at:
            raise ServerBusy("another worker is renewing the sign-in", retry_after=5)
        time.sleep(0.1)


def distrust(credential: Credential) -> None:
    """The mail server refused a token that looked fresh: renew it before the next use (at most once a minute).

    Raises PermissionMissing where no person signed in: nobody can sign in again, and it may be allowed again any time.
    """
    old = timezone.now() - timedelta(minutes=1)
    rows = OAuthGrant.objects.filter(credential_id=credential.pk)
    rows.filter(refreshed_at__lt=old).update(expires_at=timezone.now())
    if rows.filter(is_app_only=True).exists():
        raise PermissionMissing("The application may not open this mailbox.")


def _is_fresh(grant: OAuthGrant) -> bool:
    margin = min(MARGIN, timedelta(seconds=grant.lifetime / 4))
    return grant.expires_at > timezone.now() + margin


def _is_usable(grant: OAuthGrant) -> bool:
    return grant.expires_at > timezone.now() + LAST_USE


def _take_turn(credential_id: uuid.UUID, mark: str) -> tuple[_Turn, OAuthGrant]:
    with transaction.atomic():
        grant = OAuthGrant.objects.select_for_update().filter(credential_id=credential_id).first()
        if grant is None:
            raise AuthenticationFailed("no usable credential is kept")
        now = timezone.now()
        if _is_fresh(grant):
            return _Turn.NOBODYS, grant
        if grant.refused_at is not None:
            raise SignInRevoked("The sign-in is over.")
        if grant.retry_at and grant.retry_at > now and not _is_mended(grant):
            if _is_usable(grant):
                return _Turn.NOBODYS, grant
            raise _again(grant)
        if grant.claimed_until and grant.claimed_until > now and not is_dead(grant.claimed_by):
            return _Turn.ANOTHERS, grant
        grant.claimed_by, grant.claimed_until = mark, now + CLAIM
        grant.save(update_fields=["claimed_by", "claimed_until"])
        return _Turn.MINE, grant


def _is_mended(grant: OAuthGrant) -> bool:
    """The application was refused, and a test of it has succeeded since: an administrator mended it."""
    application = grant.application
    if grant.last_error_kind != "application" or application is None or grant.retry_at is None:
        return False
    failed_at = grant.retry_at - _pause(grant.failures)
    return application.tested_at is not None and application.tested_at > failed_at and not application.test_problem


def _pause(failures: int) -> timedelta:
    return timedelta(seconds=BACK_OFF[min(max(failures, 1), len(BACK_OFF)) - 1])


def _again(grant: OAuthGrant) -> DriverError:
    """The error of the last renewal, without asking the service again so soon."""
    if grant.last_error_kind == "application":
        return ApplicationRefused("The service refuses this application.")
    if grant.last_error_kind == "busy":
        return ServerBusy("The sign-in server is busy.", retry_after=30)
    return ServerUnreachable("The sign-in server cannot be reached.", kind=grant.last_error_kind or "dropped")


def _renew(grant: OAuthGrant, mark: str) -> str:
    """The claim's holder asks the service; whatever comes of it is written under the lock."""
    try:
        application = OAuthApplication.objects.filter(pk=grant.application_id or uuid.uuid4()).first()
        if application is None:  # its refresh tokens went with it: another application needs another sign-in
            raise SignInRevoked("The application that signed in is gone.")
        secret, service = _open(grant.credential_id), service_of(application)
        if grant.is_app_only:
            tokens = service.for_application()
        elif secret.refresh:
            tokens = service.refresh(secret.refresh)
        else:
            raise SignInRevoked("The service gave no lasting sign-in.")
    except (ConsentRefused, ScopeMissing, SignInRevoked) as error:
        # It wants the person (a second factor, a new consent), or the administrator where no person signed in.
        over = ApplicationRefused if grant.is_app_only else SignInRevoked
        return _note_failure(grant, mark, over("The sign-in is over.", server_said=error.server_said))
    except DriverError as error:
        return _note_failure(grant, mark, error)
    return _store(grant, mark, secret, tokens)


def _store(claimed: OAuthGrant, mark: str, old: _Secret, tokens: Tokens) -> str:
    with transaction.atomic():
        grant = OAuthGrant.objects.select_for_update().filter(pk=claimed.pk).first()
        if grant is None or grant.claimed_by != mark:
            raise ServerBusy("another worker has renewed the sign-in", retry_after=1)
        credential = Credential.objects.select_for_update().get(pk=grant.credential_id)
        change_secret(credential, _packed(tokens.access_token, tokens.refresh_token or old.refresh))
        _set_life(grant, tokens)
        grant.save()
    log.info("token_renewed", grant=grant.pk, generation=grant.generation)
    return tokens.access_token


def _note_failure(claimed: OAuthGrant, mark: str, error: DriverError) -> str:
    """Write what happened; the old token is used while it lives. Raises the error else."""
    now = timezone.now()
    with transaction.atomic():
        grant = OAuthGrant.objects.select_for_update().filter(pk=claimed.pk, claimed_by=mark).first()
        if grant is None:
            raise error
        grant.claimed_by, grant.claimed_until = "", None
        grant.failures += 1
        grant.last_error_kind = _kind(error)
        if isinstance(error, SignInRevoked):
            grant.refused_at = now
        else:
            grant.retry_at = now + _pause(grant.failures)
        grant.save()
    log.warning("token_not_renewed", grant=grant.pk, kind=grant.last_error_kind)
    if not isinstance(error, SignInRevoked) and _is_usable(grant):
        return _open(grant.credential_id).access
    raise error


def _kind(error: DriverError) -> str:
    if isinstance(error, SignInRevoked):
        return "revoked"
    if isinstance(error, ApplicationRefused):
        return "application"
    return error.kind if isinstance(error, ServerUnreachable) else "busy"


def _set_life(grant: OAuthGrant, tokens: Tokens) -> None:
    moment = timezone.now()
    grant.expires_at = moment + timedelta(seconds=tokens.expires_in)
    grant.lifetime = tokens.expires_in
    grant.refreshed_at = moment
    if tokens.refresh_expires_in is not None:
        grant.refresh_expires_at = moment + timedelta(seconds=tokens.refresh_expires_in)
    grant.generation += 1
    grant.failures, grant.retry_at, grant.refused_at, grant.last_error_kind = 0, None, None, ""
    grant.claimed_by, grant.claimed_until = "", None


def _packed(access: str, refresh: str) -> str:
    return json.dumps({"access": access, "refresh": refresh})


def _open(credential_id: uuid.UUID) -> _Secret:
    """Raises AuthenticationFailed where it is gone or no key opens it."""
    try:
        found = json.loads(read_secret(Credential.objects.get(pk=credential_id)))
        return _Secret(str(found["access"]), str(found["refresh"]))
    except (Credential.DoesNotExist, CryptoError, ValueError, KeyError) as error:
        raise AuthenticationFailed("no usable credential is kept") from error


def refresh_token_of(credential: Credential) -> str:
    """The refresh token, to be taken back at the service; "" where there is none."""
    try:
        return _open(credential.pk).refresh
    except AuthenticationFailed:
        return ""
