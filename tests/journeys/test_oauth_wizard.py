"""From an address to mail in and out without a password: wizard, authorization server, Dovecot, Postfix, all real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Credential, EmailAccount, GrantToRevoke, MailboxSetup, OAuthGrant, SignInAttempt
from accounts.oauth_revoke import revoke_grants
from accounts.services import remove_email_account
from accounts.tokens import access_token, refresh_token_of
from drivers.oauth.errors import SignInRevoked
from providers.applications import service_of, set_secret
from providers.models import OAuthApplication
from tests.factories import ProviderDomainFactory, ProviderFactory, ProviderServerFactory, UserFactory
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_mail import oauth_dovecot
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import CLIENTS, OidcServer

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
USERS = ("anna@example.com", "team@example.com")
BASE = "http://localhost:8000"


@pytest.fixture(scope="module", params=["google", "microsoft", "post"])
def place(request: Any, oidc: OidcServer) -> Iterator[tuple[str, Dovecot]]:
    """A service and a Dovecot that takes its tokens."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with oauth_dovecot(oidc, request.param, USERS) as server:
        yield request.param, server


@pytest.fixture
def registered(settings: Any, oidc: OidcServer, place: tuple[str, Dovecot]) -> OAuthApplication:
    """The provider of example.com with a registered application."""
    name, dovecot = place
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    settings.BASE_URL = BASE
    return register(oidc, name, dovecot)


def register(oidc: OidcServer, name: str, dovecot: Dovecot) -> OAuthApplication:
    kind = {"google": "google", "microsoft": "microsoft"}.get(name, "oidc")
    provider = ProviderFactory(
        name=f"{name.title()} mail",
        allows_oauth=True,
        oauth_kind=kind,
        allows_password=name == "google",
        can_send=False,
    )
    ProviderServerFactory(
        provider=provider, host="localhost", port=dovecot.ssl_port, security="ssl", ca_bundle=dovecot.authority.pem
    )
    ProviderDomainFactory(domain="example.com", provider=provider)
    application = OAuthApplication(
        key=name, name=f"Our {name}", kind=kind, client_id=CLIENTS[name], issuer=oidc.issuer(name),
        tenant="tenant-1" if name == "microsoft" else "", mail_scopes="mail" if kind == "oidc" else "",
        ca_bundle=oidc.authority.pem,
    )  # fmt: skip
    set_secret(application, f"{CLIENTS[name]}-secret-6c1f")
    application.save()
    return application


def begin(client: Client, address: str = USERS[0]) -> str:
    """The address is typed; returns the sign-in page."""
    return str(client.post("/email-accounts/new/", {"address": address}).url)


def leave(client: Client, page: str, **more: str) -> str:
    """*Sign in with …* is pressed; returns the service's address."""
    response = client.post(page.replace("/password/", "/sign-in/"), more)
    assert response.status_code == 200, response.url
    return str(response.context["url"])


def come_back(client: Client, name: str, answer: dict[str, str]) -> Any:
    """The service sends the browser back."""
    return client.get(f"/oauth/{name}/callback/?{urlencode(answer)}")


def test_from_an_address_to_a_mailbox_and_back(
    client: Client, registered: OAuthApplication, oidc: OidcServer, oidc_ca: str, doorbell: Any
) -> None:
    client.force_login(UserFactory())
    page = begin(client)
    assert "Sign in with" in client.get(page).content.decode()
    answer = walk(leave(client, page), USERS[0], ca_file=oidc_ca)
    response = come_back(client, registered.key, answer)
    assert response.status_code == 302 and response.url.endswith("/check/")
    doorbell.answer()
    assert "Added. Download" in client.get(response.url, follow=True).content.decode()
    credential = EmailAccount.objects.get().credential
    assert credential.kind == "oauth2" and credential.grant.identity == USERS[0]
    replayed = come_back(client, registered.key, answer)
    assert replayed.status_code == 302 and replayed.url.endswith("/done/")
    assert SignInAttempt.objects.get().kept_ciphertext == ""
    before = oidc.count("refresh_token")
    OAuthGrant.objects.update(expires_at=timezone.now())
    first = access_token(credential)
    assert access_token(credential) == first and oidc.count("refresh_token") == before + 1
    _disconnect(registered, credential)


def _disconnect(application: OAuthApplication, credential: Credential) -> None:
    """The tokens are gone here at once, and at the service where it has an endpoint."""
    account = EmailAccount.objects.get()
    remove_email_account(account, erase=False)
    assert not Credential.objects.exists()
    row = GrantToRevoke.objects.first()
    assert (row is None) is (application.kind == "microsoft")  # which has no endpoint: forgotten at once
    assert revoke_grants() == (1 if row else 0) and not GrantToRevoke.objects.exists()
    assert row is None or "refresh" not in row.ciphertext


def test_a_revoked_grant_asks_the_service_once_and_signing_in_again_goes_on(
    client: Client, registered: OAuthApplication, oidc: OidcServer, oidc_ca: str, doorbell: Any
) -> None:
    client.force_login(UserFactory())
    page = begin(client)
    come_back(client, registered.key, walk(leave(client, page), USERS[0], ca_file=oidc_ca))
    doorbell.answer()
    account = EmailAccount.objects.get()
    OAuthGrant.objects.update(expires_at=timezone.now())
    service_of(registered).refresh(refresh_token_of(account.credential))
    for _each in range(5):  # our copy of the refresh token was used by somebody else: the service ends the grant
        with pytest.raises(SignInRevoked):
            access_token(account.credential)
    assert OAuthGrant.objects.get().failures == 1  # asked once
    again = client.post(f"/email-accounts/{account.pk}/sign-in/").url
    come_back(client, registered.key, walk(leave(client, again), USERS[0], ca_file=oidc_ca))
    doorbell.answer()
    account.refresh_from_db()
    assert access_token(Credential.objects.get(email_account=account))
    assert MailboxSetup.objects.latest("created_at").stage == "done"


def test_what_goes_wrong_is_a_sentence_and_a_way_on(
    client: Client, registered: OAuthApplication, oidc: OidcServer, oidc_ca: str
) -> None:
    client.force_login(UserFactory())
    page = begin(client)

    def said(response: Any) -> str:
        assert response.status_code == 302, response.content.decode()
        text = client.get(response.url).content.decode()
        assert "Sign in with" in text and not Credential.objects.exists()
        return text

    refused = walk(leave(client, page), USERS[0], ca_file=oidc_ca, agrees=False)
    assert "The access was not granted" in said(come_back(client, registered.key, refused))
    assert "was used already" in said(come_back(client, registered.key, refused))
    oidc.control(narrow=1)
    try:
        narrowed = walk(leave(client, page), USERS[0], ca_file=oidc_ca)
        assert "without the right to read and send mail" in said(come_back(client, registered.key, narrowed))
    finally:
        oidc.control(narrow=0)
    mixed = walk(leave(client, page), USERS[0], ca_file=oidc_ca)
    assert "thrown away" in said(come_back(client, "another", mixed))  # not the address of its own application
    late = walk(leave(client, page), USERS[0], ca_file=oidc_ca)
    SignInAttempt.objects.update(expires_at=timezone.now())
    assert "took too long" in said(come_back(client, registered.key, late))
    other = Client()
    other.force_login(MailboxSetup.objects.get().user)
    stolen = walk(leave(client, page), USERS[0], ca_file=oidc_ca)
    assert "another browser" in said(come_back(other, registered.key, stolen))
    stranger = Client()
    stranger.force_login(UserFactory())
    assert come_back(stranger, registered.key, stolen).status_code == 400
    assert come_back(client, registered.key, {"state": "made-up", "code": "x"}).status_code == 400
    oidc.control(down=1)
    try:
        away = client.post(page.replace("/password/", "/sign-in/"))
        if away.status_code == 302:  # the discovery document may be kept: then the person's browser finds nobody
            assert "cannot be reached" in said(away)
        assert "cannot be reached" in said(come_back(client, registered.key, stolen))
    finally:
        oidc.control(down=0)


def test_another_identity_is_explained_and_never_taken_silently(
    client: Client, registered: OAuthApplication, oidc_ca: str, doorbell: Any
) -> None:
    client.force_login(UserFactory())
    page = begin(client, "team@example.com")
    response = come_back(client, registered.key, walk(leave(client, page), USERS[0], ca_file=oidc_ca))
    text = client.get(response.url).content.decode()
    assert "You signed in as anna@example.com, but this is about team@example.com." in text
    assert "Connect the other mailbox instead" in text
    assert ("Open it with this sign-in" in text) is (registered.kind != "google")
    assert not doorbell.names() and not EmailAccount.objects.exists()
    assert parse_qs(urlsplit(leave(client, page, choose="1")).query)["prompt"][0].startswith("select_account")
