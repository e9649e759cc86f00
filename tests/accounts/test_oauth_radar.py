"""The radar tells what ends to whom can act, once for each step; a revoked sign-in stops a mailbox with one notice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AccountState, Credential, EmailAccount, MailboxSetup, OAuthGrant, User
from accounts.tokens import keep_tokens
from accounts.vault import move_candidate, store_secret
from drivers.errors import AuthenticationFailed, PermissionMissing, ServerUnreachable
from drivers.oauth.errors import ApplicationRefused, SignInRevoked
from drivers.oauth.flow import Tokens
from notifications import radar
from notifications.models import Kind, Notification
from notifications.services import dismiss
from panel.notices import notices_of
from panel.services.account_state import trouble_of
from providers.models import OAuthApplication
from sync.outcome import failed
from tests.factories import EmailAccountFactory, EmailAccountServerFactory, ProviderFactory, UserFactory

pytestmark = pytest.mark.django_db


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def connected(audience: str = "", **tokens: float) -> EmailAccount:
    """A mailbox that was signed in to without a password."""
    account = EmailAccountFactory()
    application = OAuthApplication.objects.create(
        key=f"a{account.pk}", name="Ours", kind="google", client_id="id", audience=audience
    )
    later = timezone.now() + timedelta(days=1)
    setup = MailboxSetup.objects.create(user=account.owner, address=account.address, expires_at=later)
    keep_tokens(Tokens("a", "r", **tokens), application=application, setup=setup)
    move_candidate(setup, account)
    return account


def test_a_secret_is_told_to_those_who_can_renew_it_at_thirty_seven_and_one_days() -> None:
    manager = UserFactory(is_mail_administrator=True)
    UserFactory()
    end = date(2030, 6, 30)
    application = OAuthApplication.objects.create(
        key="google", name="Ours", kind="google", client_id="id", secret_expires_on=end
    )
    told = []
    for days in (31, 30, 29, 8, 7, 3, 1, 0):
        told.append(radar.look(at(end - timedelta(days=days))))
    assert told == [0, 1, 0, 0, 1, 0, 1, 0]
    row = Notification.objects.get(closed_at__isnull=True)
    assert row.user == manager and row.kind == Kind.DEADLINE
    notice = notices_of([row])[0]
    assert notice.subject == "Ours" and str(application.pk) in notice.href
    application.secret_expires_on = end + timedelta(days=700)
    application.save()
    radar.look(at(end))
    assert not Notification.objects.filter(closed_at__isnull=True).exists()


def test_a_notice_that_was_put_away_does_not_come_back_for_the_same_step() -> None:
    manager = UserFactory(is_mail_administrator=True)
    end = date(2030, 6, 30)
    OAuthApplication.objects.create(key="g", name="Ours", kind="google", client_id="id", secret_expires_on=end)
    radar.look(at(end - timedelta(days=20)))
    assert dismiss(user=manager, notification_id=Notification.objects.get().pk)
    assert radar.look(at(end - timedelta(days=19))) == 0


def test_a_sign_in_that_google_ends_after_a_week_is_told_to_the_owner_on_its_last_day() -> None:
    account = connected(audience="testing")
    made = Credential.objects.get().created_at
    assert radar.look(made + timedelta(days=2)) == 0
    assert radar.look(made + timedelta(days=6)) == 1
    row = Notification.objects.get()
    assert row.user == account.owner and "needs a new sign-in" in notices_of([row])[0].text
    connected(refresh_expires_in=90 * 86_400.0)
    assert radar.look(made + timedelta(days=61)) == 1


def test_a_provider_that_switches_off_passwords_is_told_to_the_owners_who_use_them_there() -> None:
    provider = ProviderFactory(name="Microsoft 365", oauth_kind="microsoft")
    account = EmailAccountFactory(provider=provider)
    EmailAccountServerFactory(email_account=account, protocol="smtp", host="smtp.office365.example")
    store_secret("right", email_account=account)
    other = EmailAccountFactory()
    EmailAccountServerFactory(email_account=other, protocol="smtp")
    assert radar.look(at(date(2026, 11, 1))) == 0
    assert radar.look(at(date(2026, 12, 2))) == 1
    row = Notification.objects.get()
    assert row.user == account.owner and "switches sending with a password off" in notices_of([row])[0].detail


def test_an_application_that_is_refused_is_the_administrators_matter() -> None:
    manager = UserFactory(is_staff=True)
    account = connected()
    OAuthGrant.objects.update(last_error_kind="application")
    assert radar.look() == 1 and radar.look() == 0
    row = Notification.objects.get()
    assert row.user == manager and "is refused" in notices_of([row])[0].text
    failed(account, ApplicationRefused("over"))
    account.refresh_from_db()
    assert account.state == AccountState.ACTIVE and account.last_error_kind == "oauth_application"


def test_a_revoked_sign_in_stops_the_mailbox_at_once_with_one_notice_and_an_outage_does_not() -> None:
    account = connected()
    for _each in range(3):
        failed(account, ServerUnreachable("away", kind="timeout"))
    account.refresh_from_db()
    assert account.state == AccountState.ACTIVE
    for _each in range(3):
        failed(account, SignInRevoked("over"))
        account.refresh_from_db()
    assert account.state == AccountState.NEEDS_SIGN_IN
    assert [row.kind for row in Notification.objects.filter(user=account.owner)] == [Kind.SIGN_IN_AGAIN]


def test_day_by_day_each_is_told_what_they_can_mend_thirty_seven_and_one_days_before() -> None:
    """Half a year on real rows, looked at each day."""
    manager, seller = UserFactory(is_mail_administrator=True), UserFactory()
    microsoft = ProviderFactory(name="Microsoft 365", oauth_kind="microsoft")
    told: list[tuple[str, User, str]] = []
    with time_machine.travel(datetime(2026, 11, 20, 8, tzinfo=UTC), tick=False) as clock:
        OAuthApplication.objects.create(
            key="m", name="Ours", kind="microsoft", client_id="id", secret_expires_on=date(2027, 1, 15)
        )
        sends = EmailAccountFactory(owner=seller, provider=microsoft)
        EmailAccountServerFactory(email_account=sends, protocol="smtp", host="smtp.office365.example")
        store_secret("right", email_account=sends)
        old = EmailAccountFactory(owner=seller, provider=microsoft)
        EmailAccountServerFactory(email_account=old, protocol="ews", host="outlook.office365.example")
        store_secret("right", email_account=old)
        testing = connected(audience="testing", refresh_expires_in=7 * 86_400.0)
        while timezone.now() < datetime(2027, 4, 10, tzinfo=UTC):
            before = set(Notification.objects.values_list("pk", flat=True))
            radar.look()
            for row in Notification.objects.exclude(pk__in=before):
                told.append((timezone.localdate().isoformat(), row.user, f"{row.data['what']} {row.data['name']}"))
            clock.shift(timedelta(days=1))
    assert told == [
        ("2026-11-26", testing.owner, "sign_in Ours"),
        ("2026-12-01", seller, "date microsoft-smtp-password"),
        ("2026-12-16", manager, "secret Ours"),
        ("2026-12-24", seller, "date microsoft-smtp-password"),
        ("2026-12-30", seller, "date microsoft-smtp-password"),
        ("2027-01-08", manager, "secret Ours"),
        ("2027-01-14", manager, "secret Ours"),
        ("2027-03-02", seller, "date microsoft-ews"),
        ("2027-03-25", seller, "date microsoft-ews"),
        ("2027-03-31", seller, "date microsoft-ews"),
    ]


def test_trouble_with_a_sign_in_is_told_as_what_it_is() -> None:
    """A refused token is no refused password, and what others must mend says whom to ask."""
    account = connected()
    for error, kind, words in (
        (AuthenticationFailed("no"), Kind.SIGN_IN_AGAIN, "does not open this mailbox to you"),
        (PermissionMissing("no"), Kind.SYNC_TROUBLE, "Ask whoever runs the mailbox to allow it."),
        (ApplicationRefused("no"), Kind.SYNC_TROUBLE, "An administrator mends it"),
    ):
        Notification.objects.all().delete()
        EmailAccount.objects.update(state=AccountState.ACTIVE, failures=0)
        for _each in range(4):
            account.refresh_from_db()
            failed(account, error)
        account.refresh_from_db()
        trouble = trouble_of(account, "mail.example")
        assert trouble is not None and words in f"{trouble.title} {trouble.meaning}"
        notice = notices_of([Notification.objects.get()])[0]
        assert notice.row.kind == kind and (kind == Kind.SIGN_IN_AGAIN or words in notice.detail)
    Credential.objects.update(kind="password")
    EmailAccount.objects.update(last_error_kind="sign_in")
    trouble = trouble_of(EmailAccount.objects.get(), "mail.example")
    assert trouble is not None and "no longer accepts the password" in trouble.title
