"""What somebody might try with a sign-in under way, and what a crash in the wrong moment would leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import oauth, services, tokens
from accounts.models import Credential, MailboxSetup, OAuthGrant, SignInAttempt
from accounts.oauth import begin_sign_in, finish_sign_in
from accounts.setup import ChosenServer
from accounts.tokens import access_token, keep_tokens
from accounts.vault import move_candidate, read_secret
from drivers.errors import ProtocolError
from drivers.oauth.errors import ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked
from drivers.oauth.flow import Begun, Tokens
from providers.models import OAuthApplication, Provider
from tests.factories import EmailAccountFactory, ProviderFactory, ProviderServerFactory, UserFactory

pytestmark = pytest.mark.django_db
KIM = "kim@nordlys.example"


class FakeService:
    """A service that takes any answer; `asked` counts the codes that reached it."""

    url = "https://in.example/authorize"
    error: Exception | None = None
    asked = 0

    def begin(self, redirect_uri: str, *, login_hint: str = "", choose: bool = False) -> Begun:
        return Begun(f"{self.url}?hint={login_hint}", f"state-{SignInAttempt.objects.count()}", "{}")

    def finish(self, kept: str, answer: Mapping[str, str], redirect_uri: str) -> Tokens:
        self.asked += 1
        return Tokens("access", "refresh", identity=KIM)

    def refresh(self, refresh_token: str) -> Tokens:
        return Tokens("access-2", "refresh-2")

    def for_application(self) -> Tokens:
        raise self.error or AssertionError


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    made = FakeService()
    monkeypatch.setattr(oauth, "service_of", lambda application: made)
    monkeypatch.setattr(tokens, "service_of", lambda application: made)
    return made


def provider(**more: Any) -> Provider:
    made = ProviderFactory(**{"allows_oauth": True, "oauth_kind": "google"} | more)
    ProviderServerFactory(provider=made, protocol="imap", host="imap.nordlys.example", port=993)
    return made


@pytest.fixture
def setup(service: FakeService) -> MailboxSetup:
    """A run that stands at the sign-in page of a provider with a registered application."""
    OAuthApplication.objects.create(key="google", name="Ours", kind="google", client_id="id")
    made = services.start_setup(user=UserFactory(), address=KIM)
    services.choose_provider(made, provider())
    return MailboxSetup.objects.select_related("provider", "user").get(pk=made.pk)


def finish(setup: MailboxSetup, state: str, *, key: str = "google", session: str = "s") -> str:
    return finish_sign_in(key, {"state": state, "code": "c"}, user=setup.user, session_key=session).problem


@pytest.mark.parametrize("hostile", ["typed", "another provider"])
def test_a_token_never_goes_to_servers_that_were_chosen_after_the_person_had_left(
    setup: MailboxSetup, service: FakeService, hostile: str
) -> None:
    begin_sign_in(setup, session_key="s")
    if hostile == "typed":
        services.use_servers(setup, (ChosenServer("imap", "imap.attacker.example", 993),))
    else:
        services.choose_provider(setup, provider(oauth_kind="microsoft"))
    assert finish(setup, "state-0") == "expired"
    assert service.asked == 0 and not Credential.objects.exists()


def test_an_answer_at_the_address_of_another_application_uses_the_sign_in_up(
    setup: MailboxSetup, service: FakeService
) -> None:
    begin_sign_in(setup, session_key="s")
    assert finish(setup, "state-0", key="another") == "forged"
    assert finish(setup, "state-0") == "replayed"
    assert service.asked == 0 and SignInAttempt.objects.get().kept_ciphertext == ""


def test_an_answer_in_another_browser_does_not_spoil_the_right_one(setup: MailboxSetup, service: FakeService) -> None:
    begin_sign_in(setup, session_key="s")
    assert finish(setup, "state-0", session="of somebody else") == "expired"
    assert service.asked == 0
    assert finish(setup, "state-0") == ""


def test_the_second_of_two_windows_changes_nothing_any_more(setup: MailboxSetup, service: FakeService) -> None:
    begin_sign_in(setup, session_key="s")
    begin_sign_in(setup, session_key="s")
    MailboxSetup.objects.filter(pk=setup.pk).update(stage="done")
    assert finish(setup, "state-1") == "replayed"
    assert service.asked == 0 and not Credential.objects.exists()


@pytest.mark.parametrize("url", ["http://in.example/authorize", "javascript:alert(1)//", "data:text/html,x"])
def test_a_browser_is_sent_by_https_only(setup: MailboxSetup, service: FakeService, url: str) -> None:
    service.url = url
    with pytest.raises(ProtocolError):
        begin_sign_in(setup, session_key="s")
    assert not SignInAttempt.objects.exists()


def test_nothing_in_an_answer_says_where_the_browser_goes(client: Client, setup: MailboxSetup) -> None:
    more = "next=https://attacker.example/&redirect_uri=https://attacker.example/&return_to=//attacker.example"
    assert "attacker" not in client.get(f"/oauth/google/callback/?state=state-0&{more}").url
    client.force_login(setup.user)
    begin_sign_in(setup, session_key=client.session.session_key)
    answer = client.get(f"/oauth/google/callback/?state=state-0&code=c&{more}")
    assert answer.url == f"/email-accounts/new/{setup.pk}/check/"
    assert client.head("/oauth/google/callback/?state=state-0").status_code == 405  # a preview uses nothing up


def connected(application: OAuthApplication, *, identity: str = KIM, **more: Any) -> Credential:
    account = EmailAccountFactory(address="team@nordlys.example", provider=provider())
    later = timezone.now() + timedelta(days=1)
    setup = MailboxSetup.objects.create(user=account.owner, address=account.address, expires_at=later)
    keep_tokens(Tokens("access-1", "refresh-1", identity=identity), application=application, setup=setup, **more)
    move_candidate(setup, account)
    OAuthGrant.objects.update(expires_at=timezone.now())
    return Credential.objects.get(email_account=account)


def test_whoever_opens_a_shared_mailbox_signs_in_again_without_questions(
    setup: MailboxSetup, service: FakeService
) -> None:
    credential = connected(OAuthApplication.objects.get())
    account = credential.email_account
    assert account is not None
    again = services.start_again(user=account.owner, email_account=account)
    assert begin_sign_in(again, session_key="s").endswith(f"hint={KIM}")
    assert finish(again, "state-0") == ""
    OAuthGrant.objects.filter(credential=credential).update(identity="iris@nordlys.example")
    other = services.start_again(user=account.owner, email_account=account)
    begin_sign_in(other, session_key="s")
    assert finish(other, "state-1") == "other_identity"  # but another person is asked


def test_a_rotated_token_and_the_state_of_its_grant_are_written_together_or_not_at_all(
    setup: MailboxSetup, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = connected(OAuthApplication.objects.get())
    whole = OAuthGrant.save

    def breaks(self: OAuthGrant, *args: Any, **more: Any) -> None:
        if self.generation > 1:
            raise RuntimeError("the database went away")
        whole(self, *args, **more)

    monkeypatch.setattr(OAuthGrant, "save", breaks)
    with pytest.raises(RuntimeError):
        access_token(credential)
    kept = json.loads(read_secret(Credential.objects.get(pk=credential.pk)))
    assert kept == {"access": "access-1", "refresh": "refresh-1"}
    assert OAuthGrant.objects.get().generation == 1


def test_an_application_that_was_deleted_leaves_mailboxes_that_ask_for_a_new_sign_in(
    setup: MailboxSetup, service: FakeService
) -> None:
    credential = connected(OAuthApplication.objects.get())
    OAuthApplication.objects.all().delete()
    for _each in range(3):
        with pytest.raises(SignInRevoked):
            access_token(credential)
    assert OAuthGrant.objects.get().failures == 1


@pytest.mark.parametrize("error", [SignInRevoked("over"), ConsentRefused("no"), ScopeMissing("narrow")])
def test_an_application_that_is_refused_asks_no_person(
    setup: MailboxSetup, service: FakeService, error: Exception
) -> None:
    credential = connected(OAuthApplication.objects.get(), identity="", is_app_only=True)
    service.error = error
    for _each in range(3):
        with pytest.raises(ApplicationRefused):
            access_token(credential)
    grant = OAuthGrant.objects.get()
    assert grant.failures == 1 and grant.refused_at is None and grant.last_error_kind == "application"
    OAuthApplication.objects.update(tested_at=timezone.now(), test_problem="application")
    with pytest.raises(ApplicationRefused):
        access_token(credential)
    assert OAuthGrant.objects.get().failures == 1  # a failing test is no mending
