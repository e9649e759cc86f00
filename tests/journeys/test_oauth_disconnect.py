"""A mailbox is disconnected: its sign-in is dead at the service afterwards, also where that was down at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Credential, EmailAccount, GrantToRevoke, MailboxSetup, OAuthGrant, User
from accounts.oauth_revoke import MOST_TRIES, has_grants_to_revoke, revoke_grants
from accounts.tokens import keep_tokens, refresh_token_of
from accounts.vault import move_candidate
from drivers.oauth.services import sign_in_service
from notifications import radar
from notifications.models import Notification
from panel.notices import notices_of
from providers.applications import set_secret
from providers.models import OAuthApplication
from tests.factories import EmailAccountFactory, UserFactory
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import CLIENTS, OidcServer

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
ANNA = "anna@example.com"
FORGET = {"act": "keep"}


@pytest.fixture(scope="module")
def service() -> Iterator[OidcServer]:
    """A sign-in server of these tests' own: it is stopped and started again."""
    with OidcServer() as server:
        yield server


@pytest.fixture(params=["google", "post"])
def name(request: Any, settings: Any) -> str:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    return str(request.param)


def connect(service: OidcServer, name: str, folder: Any, user: User | None = None) -> tuple[EmailAccount, str]:
    """Anna's mailbox, signed in to at the service, and its refresh token."""
    account = EmailAccountFactory(**({"owner": user} if user else {}))
    kind = "google" if name == "google" else "oidc"
    values = {
        "kind": kind,
        "client_id": CLIENTS[name],
        "issuer": service.issuer(name),
        "ca_bundle": service.authority.pem,
    }
    values |= {"name": f"Our {name}", "mail_scopes": "" if kind == "google" else "mail"}
    application, _made = OAuthApplication.objects.get_or_create(key=name, defaults=values)
    set_secret(application, f"{CLIENTS[name]}-secret-6c1f")
    application.save()
    driver, back = sign_in_service(service.application(name)), f"http://localhost:8000/oauth/{name}/callback/"
    begun = driver.begin(back)
    (folder / "ca.pem").write_text(service.authority.pem)
    tokens = driver.finish(begun.kept, walk(begun.url, ANNA, ca_file=str(folder / "ca.pem")), back)
    later = timezone.now() + timedelta(days=1)
    setup = MailboxSetup.objects.create(user=account.owner, address=account.address, expires_at=later)
    keep_tokens(tokens, application=application, setup=setup)
    move_candidate(setup, account)
    return account, refresh_token_of(Credential.objects.get(email_account=account))


def due() -> None:
    GrantToRevoke.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())


def test_a_service_that_was_down_takes_the_sign_in_back_when_it_is_up_again(
    name: str, service: OidcServer, client: Client, tmp_path: Any, doorbell: Any
) -> None:
    account, token = connect(service, name, tmp_path)
    client.force_login(account.owner)
    service.stop()
    try:
        client.post(f"/settings/email-accounts/{account.pk}/remove/", FORGET)
        assert GrantToRevoke.objects.get().tries == 0  # the page asked nobody: the person does not wait for the service
        assert "accounts.tasks.revoke_grants" in doorbell.names()
        assert not Credential.objects.exists() and not OAuthGrant.objects.exists()
        doorbell.answer()
        row = GrantToRevoke.objects.get()
        assert row.tries == 1 and row.next_try_at > timezone.now() and token not in row.ciphertext
        assert not has_grants_to_revoke()  # nobody hammers
        due()
        assert revoke_grants() == 0 and GrantToRevoke.objects.get().tries == 2
    finally:
        service.start()
    assert service.is_alive(name, token)  # it knew the token after its start, so what follows is our doing
    due()
    assert revoke_grants() == 1 and not GrantToRevoke.objects.exists()
    assert not service.is_alive(name, token)


def test_after_a_week_of_tries_the_token_is_forgotten_and_the_person_is_told_where_to_look(
    name: str, service: OidcServer, tmp_path: Any, client: Client
) -> None:
    account, _token = connect(service, name, tmp_path)
    client.force_login(account.owner)
    client.post(f"/settings/email-accounts/{account.pk}/remove/", FORGET)
    service.control(down=1)
    try:
        waited = timedelta()
        for _each in range(MOST_TRIES):
            due()
            now = timezone.now()
            revoke_grants()
            row = GrantToRevoke.objects.get()
            waited += row.next_try_at - now if row.next_try_at else timedelta()
    finally:
        service.control(down=0)
    assert timedelta(days=6) < waited < timedelta(days=8)
    assert row.given_up_at is not None and row.ciphertext == "" and not has_grants_to_revoke()
    assert radar.look() == 1 and radar.look() == 0
    told = Notification.objects.get()
    notice = notices_of([told])[0]
    assert told.user == account.owner and notice.subject == ANNA
    assert ("myaccount.google.com" in notice.href) is (name == "google")
    GrantToRevoke.objects.update(given_up_at=timezone.now() - timedelta(days=31))
    assert has_grants_to_revoke() and revoke_grants() == 0 and not GrantToRevoke.objects.exists()


def test_a_mailbox_that_was_connected_again_meanwhile_keeps_its_sign_in_at_google(
    service: OidcServer, tmp_path: Any, client: Client, settings: Any
) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    owner = UserFactory()
    account, old = connect(service, "google", tmp_path, owner)
    client.force_login(owner)
    client.post(f"/settings/email-accounts/{account.pk}/remove/", FORGET)
    _again, fresh = connect(service, "google", tmp_path, owner)
    assert revoke_grants() == 1  # Google would end the new sign-in with the old one
    assert service.is_alive("google", fresh) and not GrantToRevoke.objects.exists()
    assert service.is_alive("google", old)  # nothing was asked there
