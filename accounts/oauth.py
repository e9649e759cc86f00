"""The wizard's sign-in at a service: begun, come back, tokens kept as the candidate of the run.

Invariants: a state is bound to one user, one session, one run and one application, works once and for ten minutes; the
answer must come in at the address of its own application; another identity than the address is never taken silently,
unless it is the one that this mailbox is opened with already; a token never goes to servers that were chosen after the
person had left for the service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts.models import Credential, MailboxSetup, OAuthGrant, SignInAttempt, User
from accounts.services.setups import WizardError, begin_checks
from accounts.setup import Stage
from accounts.tokens import keep_tokens
from accounts.vault import seal, unseal
from base.addresses import domain_of, normalise_address
from base.crypto import CryptoError
from drivers.errors import DriverError, ProtocolError, ServerBusy, ServerUnreachable
from drivers.oauth.errors import AnswerForged, ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked
from providers.applications import application_for, redirect_uri, service_of
from providers.models import OAuthApplication

LIFE = timedelta(minutes=10)
MAX_ATTEMPTS = 20  # sign-ins at a service per run


@dataclass(frozen=True, slots=True)
class CameBack:
    """How a sign-in ended: `check_ids` to ring where it went on, else `problem` (a word of accounts.oauth_words).

    `setup` None: nothing of ours fits the answer."""

    setup: MailboxSetup | None
    problem: str = ""
    check_ids: tuple[int, ...] = ()


def begin_sign_in(setup: MailboxSetup, *, session_key: str, choose: bool = False) -> str:
    """The service's address for the browser. Raises WizardError (none registered, too many tries), drivers' errors."""
    application = application_for(setup.address, setup.provider)
    if application is None:
        raise WizardError("no application")
    if setup.sign_ins.count() >= MAX_ATTEMPTS:
        raise WizardError("too many tries")
    back = redirect_uri(application.key)
    hint = present_identity(setup) or setup.address
    begun = service_of(application).begin(back, login_hint=hint, choose=choose)
    if not begun.url.startswith("https://"):
        raise ProtocolError("The sign-in page of the service is not reached by https.")
    attempt = SignInAttempt(
        state_hash=_hash(begun.state),
        session_hash=_hash(session_key),
        user=setup.user,
        setup=setup,
        application=application,
        redirect_uri=back,
        expires_at=timezone.now() + LIFE,
    )
    attempt.kept_ciphertext = seal(begun.kept, bound_to=_bound_to(attempt))
    attempt.save(force_insert=True)
    return begun.url


def finish_sign_in(key: str, answer: Mapping[str, str], *, user: User, session_key: str) -> CameBack:
    """Take the answer of a callback under `key`. Never raises for what an answer holds."""
    attempt = SignInAttempt.objects.filter(state_hash=_hash(answer.get("state", ""))).first()
    if attempt is None or attempt.user_id != user.pk:
        return CameBack(None, "unknown")
    problem, kept = _use(attempt, key, session_key)
    setup = MailboxSetup.objects.select_related("provider", "user", "email_account").get(pk=attempt.setup_id)
    if problem:
        return CameBack(setup, problem)  # the attempt's own story is told already, or is not this person's
    if setup.stage == Stage.DONE:
        return CameBack(setup, "replayed")  # another window was first
    if application_for(setup.address, setup.provider) != attempt.application:
        return _ended(attempt, setup, "expired")  # the provider was changed meanwhile: the token is not for its servers
    try:
        tokens = service_of(attempt.application).finish(kept, answer, attempt.redirect_uri)
    except DriverError as error:
        return _ended(attempt, setup, problem_of(error))
    if not tokens.refresh_token:
        return _ended(attempt, setup, "no_refresh")
    with transaction.atomic():
        keep_tokens(tokens, application=attempt.application, setup=setup)
        if not _is_right(tokens.identity, setup):
            attempt.signed_in_as = tokens.identity
            attempt.save(update_fields=["signed_in_as"])
            setup.checks.all().delete()
            setup.stage = Stage.PASSWORD
            setup.save(update_fields=["stage"])
            return _ended(attempt, setup, "other_identity")
        return _go_on(setup)


def _is_right(identity: str, setup: MailboxSetup) -> bool:
    """The address itself, or who opens this mailbox already (signing in again to a shared one)."""
    signed_in = normalise_address(identity)
    return signed_in == setup.address or (bool(signed_in) and signed_in == normalise_address(present_identity(setup)))


def present_identity(setup: MailboxSetup) -> str:
    """Who signed in to the mailbox that this run signs in to again; "" for a new one and for application-only access."""
    grant = _present_grant(setup)
    return grant.identity if grant is not None and not grant.is_app_only else ""


def is_opened_by_application(setup: MailboxSetup) -> bool:
    """Whether the mailbox that this run signs in to again is opened by an application, without a person."""
    grant = _present_grant(setup)
    return grant is not None and grant.is_app_only


def _present_grant(setup: MailboxSetup) -> OAuthGrant | None:
    if not setup.is_again or setup.email_account_id is None:
        return None
    credential = Credential.objects.filter(email_account=setup.email_account_id, kind="oauth2").first()
    return getattr(credential, "grant", None)


def use_other_identity(setup: MailboxSetup) -> CameBack:
    """Open the mailbox with the sign-in of another identity: a shared one, or the same under another name."""
    attempt = last_attempt(setup)
    candidate = getattr(setup, "candidate", None)
    if attempt is None or attempt.problem != "other_identity" or candidate is None or candidate.kind != "oauth2":
        return CameBack(setup, "expired")
    if not may_be_shared(attempt.application):
        return CameBack(setup, "other_identity")
    return _go_on(setup)


def may_be_shared(application: OAuthApplication) -> bool:
    """Whether a person's sign-in may open another mailbox there: never at Google."""
    return application.kind != "google"


def sign_in_as_application(setup: MailboxSetup) -> CameBack:
    """Application-only access: no person signs in. For those who manage servers, and domains that are named only.

    Raises PermissionDenied for others.
    """
    application = application_only(setup)
    if application is None:
        raise PermissionDenied
    try:
        tokens = service_of(application).for_application()
    except DriverError as error:
        return CameBack(setup, problem_of(error))
    with transaction.atomic():
        keep_tokens(tokens, application=application, setup=setup, is_app_only=True)
        return _go_on(setup)


def application_only(setup: MailboxSetup) -> OAuthApplication | None:
    """The application-only registration for this run, None where there is none or this user may not use it."""
    if setup.provider is None or not setup.user.may_manage_servers:
        return None
    rows = OAuthApplication.objects.filter(is_enabled=True, is_app_only=True, kind=setup.provider.oauth_kind)
    domain, places = (
        domain_of(setup.address),
        (None, setup.provider.pk),
    )  # its token goes to no other provider's servers
    return next((row for row in rows if domain in row.domain_list and row.provider_id in places), None)


def last_attempt(setup: MailboxSetup) -> SignInAttempt | None:
    """The newest sign-in of this run."""
    return setup.sign_ins.select_related("application").first()


def problem_of(error: DriverError) -> str:
    """The word for what went wrong at the service."""
    if isinstance(error, ConsentRefused):
        return "administrator" if error.needs_administrator else "refused"
    if isinstance(error, ServerUnreachable | ServerBusy):
        return "away"
    kinds: tuple[tuple[type[DriverError], str], ...] = (
        (ScopeMissing, "scope"),
        (SignInRevoked, "expired"),
        (ApplicationRefused, "application"),
        (AnswerForged, "forged"),
    )
    return next((word for kind, word in kinds if isinstance(error, kind)), "answer")


def _use(attempt: SignInAttempt, key: str, session_key: str) -> tuple[str, str]:
    """Use an attempt up: ("", what was kept), or a problem. Whoever knocks second finds it used.

    An answer that came in at the address of another application uses it up, too (a mix-up: its code is known elsewhere);
    one in another browser does not, as anybody can be made to open an address.
    """
    with transaction.atomic():
        row = SignInAttempt.objects.select_for_update(of=("self",)).select_related("application").get(pk=attempt.pk)
        now = timezone.now()
        if row.used_at is not None:
            return "replayed", ""
        if row.session_hash != _hash(session_key):
            return "expired", ""
        sealed, row.kept_ciphertext, row.used_at = row.kept_ciphertext, "", now
        row.problem = "forged" if row.application.key != key else "expired" if row.expires_at < now else ""
        row.save(update_fields=["kept_ciphertext", "used_at", "problem"])
        if row.problem:
            return row.problem, ""
    try:
        return "", unseal(sealed, bound_to=_bound_to(attempt))
    except CryptoError:
        return "expired", ""


def _ended(attempt: SignInAttempt, setup: MailboxSetup, problem: str) -> CameBack:
    SignInAttempt.objects.filter(pk=attempt.pk).update(problem=problem)
    return CameBack(setup, problem)


def _go_on(setup: MailboxSetup) -> CameBack:
    try:
        return CameBack(setup, "", tuple(begin_checks(setup)))
    except WizardError:
        return CameBack(setup, "tries")


def _bound_to(attempt: SignInAttempt) -> str:
    return f"accounts.SignInAttempt:{attempt.pk}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
