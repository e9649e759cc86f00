"""Other ways through the sign-in page: shared mailboxes, application-only access, nothing registered, app passwords."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from accounts import oauth, services
from accounts.models import Credential, EmailAccount, GrantToRevoke, MailboxSetup, OAuthGrant, SignInAttempt, User
from accounts.oauth_revoke import page_of_applications, plan_revocation
from accounts.tokens import keep_tokens
from accounts.vault import move_candidate
from drivers.errors import ServerUnreachable
from drivers.oauth.errors import ConsentRefused
from drivers.oauth.flow import Tokens
from providers.models import OAuthApplication, Provider
from tests.factories import EmailAccountFactory, ProviderFactory, ProviderServerFactory, UserFactory

pytestmark = pytest.mark.django_db
ADDRESS = "team@nordlys.example"


class FakeService:
    """A service whose application may always."""

    error: Exception | None = None

    def for_application(self) -> Tokens:
        if self.error:
            raise self.error
        return Tokens("app-token", expires_in=3600)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    made = FakeService()
    monkeypatch.setattr(oauth, "service_of", lambda application: made)
    return made


def provider(kind: str = "microsoft", **more: Any) -> Provider:
    made = ProviderFactory(name="Nordlys 365", allows_oauth=True, oauth_kind=kind, **{"allows_password": False} | more)
    ProviderServerFactory(provider=made, protocol="imap", host="imap.nordlys.example", port=993)
    return made


def application(kind: str = "microsoft", **more: Any) -> OAuthApplication:
    return OAuthApplication.objects.create(**{"key": kind, "name": "Ours", "kind": kind, "client_id": "id"} | more)


def run(user: User, at: Provider) -> MailboxSetup:
    setup = services.start_setup(user=user, address=ADDRESS)
    services.choose_provider(setup, at)
    return MailboxSetup.objects.select_related("provider", "user").get(pk=setup.pk)


def other_identity(setup: MailboxSetup, ours: OAuthApplication) -> None:
    """Kim signed in, but the run is about the team's mailbox."""
    SignInAttempt.objects.create(
        state_hash=ours.key, session_hash="", user=setup.user, setup=setup, application=ours, problem="other_identity",
        signed_in_as="kim@nordlys.example", expires_at=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip
    keep_tokens(Tokens("access", "refresh", identity="kim@nordlys.example"), application=ours, setup=setup)


def test_a_shared_mailbox_is_opened_with_the_sign_in_of_a_person_only_when_they_say_so() -> None:
    ours, setup = application(), run(UserFactory(), provider())
    assert oauth.use_other_identity(setup).problem == "expired"  # nobody has signed in
    other_identity(setup, ours)
    setup = MailboxSetup.objects.select_related("provider").get(pk=setup.pk)
    back = oauth.use_other_identity(setup)
    assert back.problem == "" and len(back.check_ids) == 1
    assert OAuthGrant.objects.get().identity == "kim@nordlys.example"


def test_at_google_a_sign_in_opens_its_own_mailbox_only() -> None:
    ours, setup = application("google"), run(UserFactory(), provider("google"))
    other_identity(setup, ours)
    assert oauth.use_other_identity(setup).problem == "other_identity"


def test_application_only_access_is_for_managers_and_named_domains(service: FakeService) -> None:
    at, manager = provider(), UserFactory(is_mail_administrator=True)
    with pytest.raises(PermissionDenied):
        oauth.sign_in_as_application(run(manager, at))  # none is registered
    application(is_app_only=True, domains="elsewhere.example", key="a")
    with pytest.raises(PermissionDenied):
        oauth.sign_in_as_application(run(manager, at))
    application(is_app_only=True, domains="nordlys.example", key="c", provider=provider())
    with pytest.raises(PermissionDenied):
        oauth.sign_in_as_application(run(manager, at))  # it is another provider's
    application(is_app_only=True, domains="nordlys.example", key="b", provider=at)
    with pytest.raises(PermissionDenied):
        oauth.sign_in_as_application(run(UserFactory(), at))
    setup = run(manager, at)
    service.error = ServerUnreachable("away")
    assert oauth.sign_in_as_application(setup).problem == "away" and not Credential.objects.exists()
    service.error = None
    assert oauth.sign_in_as_application(setup).check_ids
    assert OAuthGrant.objects.get().is_app_only


def test_an_application_for_itself_is_never_offered_to_a_person(client: Client) -> None:
    application(is_app_only=True, domains="nordlys.example")
    user = UserFactory()
    client.force_login(user)
    setup = run(user, provider())
    text = client.get(f"/email-accounts/new/{setup.pk}/password/").content.decode()
    assert "Application-only" not in text and "not registered with Microsoft" in text
    assert client.post(f"/email-accounts/new/{setup.pk}/sign-in/application/").status_code == 403
    assert client.post(f"/email-accounts/new/{setup.pk}/sign-in/").status_code == 302


def test_where_nothing_is_registered_each_is_told_what_they_can_do(client: Client) -> None:
    for kind, manager, said in (
        ("microsoft", False, "Ask an administrator of this installation to register it"),
        ("microsoft", True, "Open the guide"),
        ("google", False, "Use an app password below"),
    ):
        user = UserFactory(is_mail_administrator=manager)
        client.force_login(user)
        setup = run(user, provider(kind, allows_password=kind == "google", app_password="required"))
        text = client.get(f"/email-accounts/new/{setup.pk}/password/").content.decode()
        assert said in text and ("Open the guide" in text) is manager
        assert ('type="password"' in text) is (kind == "google")


def test_a_consent_that_only_an_administrator_can_give_is_said_as_such() -> None:
    assert oauth.problem_of(ConsentRefused("x", needs_administrator=True)) == "administrator"
    assert oauth.problem_of(ConsentRefused("x")) == "refused"


def connected(ours: OAuthApplication) -> EmailAccount:
    account = EmailAccountFactory()
    setup = run(account.owner, provider(ours.kind))
    keep_tokens(Tokens("access", "refresh"), application=ours, setup=setup)
    move_candidate(setup, account)
    return account


def test_microsofts_page_of_applications_is_linked_when_a_mailbox_goes(client: Client) -> None:
    account = connected(application())
    client.force_login(account.owner)
    text = client.get(f"/settings/email-accounts/{account.pk}/remove/").content.decode()
    assert page_of_applications(account) and page_of_applications(account) in text
    assert page_of_applications(connected(application("google"))) == ""


def test_a_grant_that_is_over_is_not_revoked_again() -> None:
    account = connected(application("google"))
    OAuthGrant.objects.update(refused_at=timezone.now())
    plan_revocation(account)
    assert not GrantToRevoke.objects.exists()


def test_an_error_page_and_its_log_hold_nothing_of_the_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_args: object, **_more: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(oauth, "finish_sign_in", breaks)
    client.force_login(UserFactory())
    client.raise_request_exception = False
    response = client.get("/oauth/google/callback/?code=seeded-code-91fe&state=seeded-state-04ad")
    told = response.content.decode() + caplog.text
    assert response.status_code == 500
    assert "seeded-code-91fe" not in told and "seeded-state-04ad" not in told
