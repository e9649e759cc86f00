"""Signing in without a password in Chromium: the authorization server's own pages, back to the wizard, mail read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import EmailAccount, SignInAttempt
from providers.models import OAuthApplication
from tests.factories import UserFactory
from tests.journeys.test_oauth_wizard import USERS, register
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_mail import oauth_dovecot
from tests.servers.oidc_server import OidcServer

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.django_db(transaction=True)]
PATIENCE = 60_000  # ms: the machine may be slow


@pytest.fixture(scope="module", params=["microsoft", "google"])
def place(request: Any, oidc: OidcServer) -> Iterator[tuple[str, Dovecot]]:
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with oauth_dovecot(oidc, request.param, USERS) as server:
        yield request.param, server


@pytest.fixture
def registered(place: tuple[str, Dovecot], oidc: OidcServer, settings: Any, live_server: Any) -> OAuthApplication:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    settings.BASE_URL = live_server.url
    return register(oidc, *place)


@pytest.fixture
def page(chromium: Any, live_server: Any) -> Iterator[Any]:
    """A signed-in page that trusts the test's authority."""
    client = Client()
    client.force_login(UserFactory())
    context = chromium.new_context(base_url=live_server.url, ignore_https_errors=True)
    cookie = client.cookies["sessionid"]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    yield made
    context.close()


def to_the_service(page: Any, service: str) -> None:
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill(USERS[0])
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name=f"Sign in with {service}").click()
    page.locator('input[name="login"]').wait_for()
    assert "code_challenge" not in page.url  # the service has moved on to its own pages


def shoot(page: Any, name: str) -> None:
    """A picture for people to look at, where SHOTS names a folder."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/oauth-{name}.png")


def sign_in(page: Any, address: str) -> None:
    page.locator('input[name="login"]').fill(address)
    page.locator('input[name="password"]').fill("any")
    page.get_by_role("button", name="Sign-in").click()


def test_a_person_signs_in_at_the_service_and_reads_mail(
    page: Any, registered: OAuthApplication, place: tuple[str, Dovecot], doorbell: Any, live_server: Any
) -> None:
    dovecot = place[1]
    dovecot.add_messages(USERS[0], "INBOX", [b"From: ines@azulejos.example\r\nSubject: Lot 3\r\n\r\nHello\r\n"])
    to_the_service(page, registered.kind.title())
    sign_in(page, USERS[0])
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{live_server.url}/email-accounts/new/*/check/")
    assert "code=" not in page.url and "state=" not in page.url
    doorbell.answer()
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url(f"{live_server.url}/")
    doorbell.answer()
    page.reload()
    page.get_by_text("Lot 3").first.wait_for()
    assert EmailAccount.objects.get().credential.kind == "oauth2"


@pytest.mark.parametrize("place", ["microsoft"], indirect=True)
def test_a_refusal_and_a_closed_window_lead_back_to_the_button(
    page: Any, registered: OAuthApplication, live_server: Any
) -> None:
    service = registered.kind.title()
    to_the_service(page, service)
    page.go_back()  # the window is closed, or Back is pressed: the wizard stands where it stood
    page.goto("/email-accounts/new/")
    to_the_service(page, service)
    sign_in(page, USERS[0])
    page.get_by_role("button", name="Continue").wait_for()
    page.locator('a[href$="/abort"]').click()
    page.wait_for_url(f"{live_server.url}/email-accounts/new/*/password/*")
    page.get_by_text(f"The access was not granted at {service}.").wait_for()
    page.get_by_role("button", name=f"Sign in with {service}").wait_for()


def agree(page: Any) -> None:
    page.get_by_role("button", name="Continue").click()


@pytest.mark.parametrize("place", ["google"], indirect=True)
def test_whatever_goes_wrong_is_a_sentence_and_a_way_on(
    page: Any, registered: OAuthApplication, oidc: OidcServer, live_server: Any, doorbell: Any
) -> None:
    """One window: the right unticked, too late, the Back button's old answer, another person; then it works."""
    wizard, heard = f"{live_server.url}/email-accounts/new/*/password/*", []
    page.on("request", lambda request: heard.append(request.url) if "/callback/" in request.url else None)

    def told(sentence: str, way: str, name: str) -> None:
        page.wait_for_url(wizard)
        page.get_by_text(sentence).wait_for()
        page.get_by_role("button", name=way).first.wait_for()
        shoot(page, name)

    oidc.control(narrow=1)
    try:
        to_the_service(page, "Google")
        sign_in(page, USERS[0])
        agree(page)
        told("Google signed you in, but without the right to read and send mail.", "Sign in with Google", "scope")
    finally:
        oidc.control(narrow=0)
    page.goto(heard[-1])
    told("This sign-in was used already.", "Sign in with Google", "replayed")
    page.get_by_role("button", name="Sign in with Google").click()  # signed in at the service by now: it asks no more
    page.get_by_role("button", name="Continue").wait_for()
    SignInAttempt.objects.update(expires_at=timezone.now())
    agree(page)
    told("This sign-in took too long, or was begun in another browser.", "Sign in with Google", "expired")
    page.goto(heard[-1].replace("state=", "state=x"))
    page.get_by_text("The answer did not belong to a sign-in that you began.").wait_for()
    page.get_by_role("link", name="New email account").first.wait_for()
    shoot(page, "astray")
    _another_person(page, told)


def _another_person(page: Any, told: Any) -> None:
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill(USERS[1])
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Sign in with Google").click()
    agree(page)
    told(f"You signed in as {USERS[0]}, but this is about {USERS[1]}.", "Connect the other mailbox instead", "other")
    page.get_by_role("button", name="Connect the other mailbox instead").click()
    page.get_by_role("button", name="Sign in with Google").click()
    agree(page)
    page.wait_for_url("**/check/")
    assert not EmailAccount.objects.exists()  # the check is the worker's
