"""Shared mailboxes and application-only access as Microsoft 365 has them: real Dovecot and Postfix ask, at each sign-in,
whose token may open which mailbox (tests/servers/exchange_rights.py); the tokens come from npm's oidc-provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AccountState, Credential, EmailAccount, GrantToRevoke, MailboxSetup, OAuthGrant, User
from accounts.services import answer_download
from drivers.errors import AuthenticationFailed, DriverError, PermissionMissing
from drivers.imap.driver import ImapDriver
from drivers.oauth.errors import ApplicationRefused, SignInRevoked
from drivers.oauth.wire import post_form
from drivers.types import AuthKind, Login, Security
from mail.models import Message
from notifications import radar
from notifications.models import Kind, Notification
from outbox import delivery
from outbox.models import OutgoingMessage, SendState
from panel.notices import notices_of
from providers.applications import set_secret
from providers.models import OAuthApplication
from sync import pipeline
from tests.factories import ProviderDomainFactory, ProviderFactory, ProviderServerFactory, UserFactory
from tests.journeys.test_oauth_mail import receive, secrets_of, send
from tests.journeys.test_oauth_wizard import BASE, begin, come_back, leave
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.exchange_rights import ExchangeRights
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import CLIENTS, OidcServer
from tests.servers.postfix import DOMAIN, Postfix, why_not

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
MAREN, IRIS, SHARED = (f"{name}@{DOMAIN}" for name in ("maren", "iris", "sales"))
SERVICE = "microsoft-service"  # the application that opens mailboxes for itself
ADMIN = "/admin/providers/oauthapplication/"


@dataclass
class Tenant:
    """One Microsoft 365: who may open what, its mail servers, its sign-in server."""

    oidc: OidcServer
    ca_file: str
    rights: ExchangeRights
    dovecot: Dovecot
    postfix: Postfix

    def register(self, **more: Any) -> OAuthApplication:
        """An application in the tenant, with its right secret."""
        values: dict[str, Any] = {
            "key": "microsoft", "name": "Our Microsoft", "kind": "microsoft", "client_id": CLIENTS["microsoft"],
            "tenant": "tenant-1", "issuer": self.oidc.issuer("microsoft"), "ca_bundle": self.oidc.authority.pem,
        } | more  # fmt: skip
        application = OAuthApplication(**values)
        set_secret(application, f"{application.client_id}-secret-6c1f")
        application.save()
        return application

    def deliver(self, subject: str) -> None:
        """A mail for the shared mailbox."""
        raw = f"From: ines@azulejos.example\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
        self.dovecot.add_messages(SHARED, "INBOX", [raw])


@pytest.fixture(scope="module")
def machines(oidc: OidcServer) -> Iterator[tuple[Any, ...]]:
    if why := why_not():
        pytest.skip(why)
    with ExchangeRights(oidc) as rights:
        extra = rights.passdb()
        dovecot = Dovecot(DovecotOptions(users=(MAREN, IRIS, SHARED), extra=extra))
        with dovecot, Postfix(dovecot_extra=extra) as postfix:
            yield rights, dovecot, postfix


@pytest.fixture
def tenant(machines: tuple[Any, ...], oidc: OidcServer, oidc_ca: str, settings: Any) -> Iterator[Tenant]:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    settings.BASE_URL = BASE
    rights, dovecot, postfix = machines
    rights.full_access.clear()
    rights.applications.clear()
    smtp = postfix.address(Security.SSL)
    provider = ProviderFactory(
        name="Nordlys 365", allows_oauth=True, oauth_kind="microsoft", allows_password=False, can_send=True
    )
    ProviderServerFactory(
        provider=provider, host="localhost", port=dovecot.ssl_port, security="ssl", ca_bundle=dovecot.authority.pem
    )
    ProviderServerFactory(
        provider=provider, protocol="smtp", host=smtp.host, port=smtp.port, security="ssl", ca_bundle=smtp.ca_bundle
    )
    ProviderDomainFactory(domain=DOMAIN, provider=provider)
    yield Tenant(oidc, oidc_ca, rights, dovecot, postfix)
    oidc.control(ttl=3600)


def mail_goes_in_and_out(tenant: Tenant, account: EmailAccount, word: str) -> None:
    tenant.deliver(f"In {word}")
    receive(account)
    assert Message.objects.filter(email_account=account, subject=f"In {word}").exists()
    sent = send(account, f"Out {word}")
    assert sent.state in (SendState.SENT, SendState.FILED), sent.last_error_said
    deadline = time.monotonic() + 60
    while not any(f"Out {word}".encode() in raw for raw in tenant.postfix.mails("sales")):
        assert time.monotonic() < deadline, tenant.postfix.log()[-2000:]


def refused_three_times(account: EmailAccount) -> EmailAccount:
    for _each in range(3):
        with pytest.raises(DriverError):
            pipeline.run_once(account.pk)
    account.refresh_from_db()
    return account


def test_a_shared_mailbox_is_opened_with_a_persons_own_sign_in(tenant: Tenant, client: Client, doorbell: Any) -> None:
    tenant.register()
    client.force_login(UserFactory())
    page = begin(client, SHARED)
    signed_in = walk(leave(client, page), MAREN, ca_file=tenant.ca_file)
    text = client.get(come_back(client, "microsoft", signed_in).url).content.decode()
    assert f"You signed in as {MAREN}, but this is about {SHARED}." in text and "Open it with this sign-in" in text
    opened = client.post(page.replace("/password/", "/sign-in/other/"))
    doorbell.answer()
    text = client.get(opened.url).content.decode()
    assert "does not open this mailbox to you" in text and not EmailAccount.objects.exists()
    assert set(tenant.rights.asked[-2:]) == {(SHARED, MAREN, "no")}  # both servers decided
    tenant.rights.full_access[SHARED] = {MAREN}
    client.post(page.replace("/password/", "/retry/"))
    doorbell.answer()
    account = EmailAccount.objects.get()
    assert account.address == SHARED and account.credential.grant.identity == MAREN
    answer_download(account, yes=True)
    mail_goes_in_and_out(tenant, account, "with Maren's sign-in")
    old, before = secrets_of(account), tenant.oidc.count("refresh_token")
    OAuthGrant.objects.update(expires_at=timezone.now())
    mail_goes_in_and_out(tenant, account, "after the renewal")
    assert tenant.oidc.count("refresh_token") == before + 1 and secrets_of(account)["refresh"] != old["refresh"]
    _the_right_is_taken_back(tenant, client, account, doorbell)


def _the_right_is_taken_back(tenant: Tenant, client: Client, account: EmailAccount, doorbell: Any) -> None:
    """Then one notice; given again, the same person signs in and is not asked about another identity."""
    tenant.rights.full_access.clear()
    account = refused_three_times(account)
    assert account.state == AccountState.NEEDS_SIGN_IN
    assert [row.kind for row in Notification.objects.filter(closed_at=None, kind=Kind.SIGN_IN_AGAIN)] == [
        Kind.SIGN_IN_AGAIN
    ]
    tenant.rights.full_access[SHARED] = {MAREN}
    again = str(client.post(f"/email-accounts/{account.pk}/sign-in/").url)
    url = leave(client, again)
    assert "login_hint=maren" in url
    back = come_back(client, "microsoft", walk(url, MAREN, ca_file=tenant.ca_file))
    assert back.url.endswith("/check/")
    doorbell.answer()
    account.refresh_from_db()
    assert account.state == AccountState.ACTIVE
    mail_goes_in_and_out(tenant, account, "signed in again")
    _the_sign_in_is_ended_at_the_service(tenant, client, account)


def _the_sign_in_is_ended_at_the_service(tenant: Tenant, client: Client, account: EmailAccount) -> None:
    """By the person or their administrator there: asked once, told once; a disconnect then forgets what is left."""
    application, token = OAuthApplication.objects.get(), secrets_of(account)["refresh"]
    form = {"token": token, "client_id": application.client_id, "client_secret": f"{application.client_id}-secret-6c1f"}
    door = tenant.oidc.application("microsoft").door
    post_form(f"{tenant.oidc.issuer('microsoft')}/tenant-1/v2.0/token/revocation", form, door)
    OAuthGrant.objects.update(expires_at=timezone.now())
    with pytest.raises(SignInRevoked):
        pipeline.run_once(account.pk)
    for _each in range(3):
        pipeline.run_once(account.pk)  # it rests until the person has signed in again
    account.refresh_from_db()
    assert account.state == AccountState.NEEDS_SIGN_IN and OAuthGrant.objects.get().failures == 1
    assert Notification.objects.filter(kind=Kind.SIGN_IN_AGAIN, closed_at=None).count() == 1
    client.post(f"/settings/email-accounts/{account.pk}/remove/", {"act": "keep"})
    assert not Credential.objects.exists() and not GrantToRevoke.objects.exists()


def test_a_person_without_the_right_opens_nothing_by_any_way(tenant: Tenant, client: Client, doorbell: Any) -> None:
    tenant.register()
    tenant.rights.full_access[SHARED] = {MAREN}
    client.force_login(UserFactory())
    page = begin(client, SHARED)
    come_back(client, "microsoft", walk(leave(client, page), IRIS, ca_file=tenant.ca_file))
    client.post(page.replace("/password/", "/sign-in/other/"))
    doorbell.answer()
    assert MailboxSetup.objects.get().stage == "failed" and not EmailAccount.objects.exists()
    # the application-only way is shut for a person, whatever the tenant allows
    tenant.register(key="service", client_id=SERVICE, is_app_only=True, domains=DOMAIN)
    tenant.rights.applications[SHARED] = {SERVICE}
    assert client.post(page.replace("/password/", "/sign-in/application/")).status_code == 403


@pytest.fixture
def manager(client: Client) -> User:
    made = UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True)
    client.force_login(made)
    return made


def opened_as_application(tenant: Tenant, client: Client, doorbell: Any) -> EmailAccount:
    """Through the administration and the wizard, refused first."""
    application = tenant.register(
        key="service", name="Our service", client_id=SERVICE, is_app_only=True, domains=DOMAIN
    )
    told = client.post(f"{ADMIN}{application.pk}/test/", follow=True).content.decode()
    assert "The service knows this application and its secret." in told
    page = begin(client, SHARED)
    assert "Application-only access, for administrators" in client.get(page).content.decode()
    opened = client.post(page.replace("/password/", "/sign-in/application/"))
    doorbell.answer()
    assert "does not open this mailbox" in client.get(opened.url).content.decode() and not EmailAccount.objects.exists()
    tenant.rights.applications[SHARED] = {SERVICE}
    client.post(page.replace("/password/", "/retry/"))
    doorbell.answer()
    account = EmailAccount.objects.get()
    answer_download(account, yes=True)
    return account


def test_an_application_opens_the_mailboxes_it_was_given_and_no_other(
    tenant: Tenant, client: Client, doorbell: Any, manager: User
) -> None:
    account = opened_as_application(tenant, client, doorbell)
    assert account.credential.grant.is_app_only and secrets_of(account)["refresh"] == ""
    mail_goes_in_and_out(tenant, account, "as the application")
    server = tenant.dovecot.address(Security.SSL, host="localhost")
    with pytest.raises(AuthenticationFailed):
        ImapDriver(server, Login(MAREN, secrets_of(account)["access"], AuthKind.OAUTH2)).open()
    tenant.rights.applications.clear()  # an administrator of the tenant thinks better of it
    with pytest.raises(PermissionMissing):
        pipeline.run_once(account.pk)
    account = refused_three_times(account)
    assert account.state == AccountState.ACTIVE  # nobody can sign in again, so nobody is asked to
    assert not Notification.objects.filter(kind=Kind.SIGN_IN_AGAIN).exists()
    assert Notification.objects.get(kind=Kind.SYNC_TROUBLE).user == manager
    tenant.rights.applications[SHARED] = {SERVICE}
    mail_goes_in_and_out(tenant, account, "allowed again")


def test_an_applications_token_ends_and_the_next_one_is_fetched(
    tenant: Tenant, client: Client, doorbell: Any, manager: User
) -> None:
    tenant.oidc.control(ttl=4)
    account = opened_as_application(tenant, client, doorbell)
    first = secrets_of(account)["access"]
    server = tenant.dovecot.address(Security.SSL, host="localhost")
    deadline = time.monotonic() + 90
    while True:  # it ends on the server's clock
        try:
            ImapDriver(server, Login(SHARED, first, AuthKind.OAUTH2)).check()
        except AuthenticationFailed:
            break
        assert time.monotonic() < deadline
        time.sleep(0.3)
    tenant.oidc.control(ttl=3600)
    before = tenant.oidc.count("client_credentials")
    mail_goes_in_and_out(tenant, account, "with the next token")
    assert tenant.oidc.count("client_credentials") == before + 1 and secrets_of(account)["access"] != first


def test_an_applications_secret_that_is_over_is_the_administrators_matter_and_nobody_is_asked_for_a_password(
    tenant: Tenant, client: Client, doorbell: Any, manager: User
) -> None:
    account = opened_as_application(tenant, client, doorbell)
    other = UserFactory(is_staff=True)
    application = OAuthApplication.objects.get(key="service")
    set_secret(application, "over-since-today")
    application.save()
    OAuthGrant.objects.update(expires_at=timezone.now())
    with pytest.raises(ApplicationRefused):
        pipeline.run_once(account.pk)
    waiting = send(account, "Not lost")
    account.refresh_from_db()
    assert account.state == AccountState.ACTIVE and waiting.state == SendState.QUEUED
    radar.look()
    rows = list(Notification.objects.filter(kind=Kind.DEADLINE))
    assert {row.user for row in rows} == {manager, other} and "is refused by its service" in notices_of(rows)[0].text
    assert not Notification.objects.filter(kind=Kind.SIGN_IN_AGAIN).exists()
    told = client.post(f"{ADMIN}{application.pk}/test/", follow=True).content.decode()
    assert "refuses the client id or the secret" in told
    set_secret(application, f"{SERVICE}-secret-6c1f")
    application.save()
    client.post(f"{ADMIN}{application.pk}/test/")
    mail_goes_in_and_out(tenant, account, "with the new secret")  # at once, without waiting for the back-off
    radar.look()
    assert not Notification.objects.filter(kind=Kind.DEADLINE, closed_at=None).exists()
    assert Credential.objects.get().grant.failures == 0
    OutgoingMessage.objects.filter(pk=waiting.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    delivery.advance(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.state in (SendState.SENT, SendState.FILED), waiting.last_error_said
