"""The health radar: what will stop working on a known day, told 30, 7 and 1 days before to whom can act.

Invariant: each step of each matter is told once to each person, however often this runs and whether or not they put the
notice away; a matter that is mended closes its notices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.models import AccountState, Credential, EmailAccount, GrantToRevoke, OAuthGrant, User
from notifications.models import Kind, Notification
from notifications.services import close, notify
from providers.deadlines import DEADLINES, Deadline
from providers.models import Audience, OAuthApplication

STEPS = (1, 7, 30)  # days before
SHORT_LIFE = timedelta(days=8)  # what lives no longer is told on its last day only
GOOGLE_TESTING = timedelta(days=7)
LIVING = (AccountState.ACTIVE, AccountState.CONNECTED, AccountState.PAUSED)


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that ends. `key` names it with its day, `users` can act; `what` is secret, refused, sign_in, date, or
    left (a sign-in that could not be taken back)."""

    key: str
    what: str
    on: date
    users: tuple[User, ...]
    name: str = ""
    email_account: EmailAccount | None = None
    steps: tuple[int, ...] = STEPS
    link: str = ""


def look(now: datetime | None = None) -> int:
    """Look at everything once; returns how many notices were made."""
    now = now or timezone.now()
    matters = [*_secrets(), *_refused(now.date()), *_sign_ins(), *_dates(), *_left()]
    told = 0
    wanted: set[str] = set()
    for matter in matters:
        days = (matter.on - now.date()).days
        step = next((step for step in matter.steps if days <= step), None)
        if step is None or days < -STEPS[-1]:
            continue
        key = f"{matter.key}:{step}"
        wanted.add(key)
        told += sum(_tell(matter, key, user) for user in matter.users)
    mended = Notification.objects.filter(kind=Kind.DEADLINE, closed_at__isnull=True).exclude(key__in=wanted)
    for key in set(mended.values_list("key", flat=True)):
        close(key=key)
    return told


def _tell(matter: Matter, key: str, user: User) -> bool:
    if Notification.objects.filter(user=user, key=key[:120]).exists():
        return False
    data = {"what": matter.what, "name": matter.name, "on": matter.on.isoformat(), "link": matter.link}
    notify(user=user, kind=Kind.DEADLINE, key=key, email_account=matter.email_account, data=data)
    return True


def _managers() -> tuple[User, ...]:
    return tuple(User.objects.filter(Q(is_staff=True) | Q(is_mail_administrator=True), is_active=True))


def _secrets() -> Iterable[Matter]:
    managers = _managers()
    for row in OAuthApplication.objects.filter(is_enabled=True, secret_expires_on__isnull=False):
        on = row.secret_expires_on
        if on is not None:
            yield Matter(f"secret:{row.pk}:{on}", "secret", on, managers, row.name, link=str(row.pk))


def _refused(today: date) -> Iterable[Matter]:
    """Applications that their service refuses now: sign-ins end one after the other until somebody mends it."""
    grants = OAuthGrant.objects.filter(last_error_kind="application", credential__email_account__state__in=LIVING)
    for row in OAuthApplication.objects.filter(pk__in=grants.values("application")):
        yield Matter(f"refused:{row.pk}:{today}", "refused", today, _managers(), row.name, link=str(row.pk))


def _sign_ins() -> Iterable[Matter]:
    """Refresh tokens whose end is known: said by the service, or seven days at Google in testing."""
    rows = Credential.objects.filter(
        kind="oauth2", email_account__state__in=LIVING, grant__refused_at__isnull=True, grant__is_app_only=False
    )
    ends = Q(grant__refresh_expires_at__isnull=False) | Q(grant__application__audience=Audience.TESTING)
    for row in rows.filter(ends).select_related("grant__application", "email_account__owner"):
        account, at = row.email_account, row.grant.refresh_expires_at or row.created_at + GOOGLE_TESTING
        if account is not None:
            steps = STEPS if at - row.created_at > SHORT_LIFE else STEPS[:1]
            name = row.grant.application.name if row.grant.application else ""
            key = f"grant:{account.pk}:{at.date()}"
            yield Matter(key, "sign_in", at.date(), (account.owner,), name, account, steps)


def _left() -> Iterable[Matter]:
    """Sign-ins of disconnected mailboxes that their service never took back: the person can, on its own page."""
    for row in GrantToRevoke.objects.filter(given_up_at__isnull=False).select_related("application", "user"):
        if row.user is not None and row.given_up_at is not None:
            on, kind = row.given_up_at.date(), row.application.kind
            yield Matter(f"left:{row.pk}", "left", on, (row.user,), row.identity, row.email_account, STEPS[:1], kind)


def _dates() -> Iterable[Matter]:
    for deadline in DEADLINES:
        rows = EmailAccount.objects.filter(
            state__in=LIVING, provider__oauth_kind__in=deadline.kinds, servers__protocol=deadline.protocol
        )
        if deadline.secret:
            rows = rows.filter(credential__kind=deadline.secret)
        for account in rows.select_related("owner").distinct():
            yield _date(deadline, account)


def _date(deadline: Deadline, account: EmailAccount) -> Matter:
    key = f"date:{deadline.key}:{account.pk}"
    return Matter(key, "date", deadline.on, (account.owner,), deadline.key, account, STEPS, deadline.link)
