"""The wizard in Chromium against a real IMAP server: four clicks, live steps, a wrong password, no scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AccountState, EmailAccount
from providers.models import Provider
from tests.factories import (
    EmailAccountFactory,
    FolderFactory,
    ProviderDomainFactory,
    ProviderFactory,
    ProviderServerFactory,
    UserFactory,
)
from tests.servers.dovecot import PASSWORD, Dovecot

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def provider(dovecot: Dovecot, settings: Any) -> Provider:
    """Example Post: the Dovecot of the test, receiving only."""
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8",)
    made = ProviderFactory(name="Example Post", can_send=False)
    ca = dovecot.authority.pem
    ProviderServerFactory(provider=made, host="localhost", port=dovecot.ssl_port, security="ssl", ca_bundle=ca)
    ProviderDomainFactory(domain="example.com", provider=made)
    return made


def test_four_clicks_from_the_empty_inbox(
    open_page: Callable[..., Any], provider: Provider, dovecot: Dovecot, dovecot_user: str, doorbell: Any
) -> None:
    dovecot.add_messages(dovecot_user, "INBOX", [b"From: ines@azulejos.example\r\nSubject: Lot 3\r\n\r\nHello\r\n"])
    page = open_page(UserFactory())
    page.locator("main").get_by_role("link", name="New email account").click()
    page.get_by_label("Your email address").fill(dovecot_user)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Example Post").wait_for()
    assert page.evaluate("document.activeElement.id") == "password"
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Sign in to receive from localhost").wait_for()
    doorbell.answer()
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for()
    assert page.url.endswith("/done/") and PASSWORD not in page.content()
    assert EmailAccount.objects.get().state == AccountState.CONNECTED
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url("**/")
    doorbell.answer()
    page.reload()
    page.get_by_text("Lot 3").first.wait_for()


def test_a_wrong_password_leads_back_to_its_field(
    open_page: Callable[..., Any], provider: Provider, dovecot_user: str, doorbell: Any
) -> None:
    page = open_page(UserFactory(), "/email-accounts/new/", width=390, height=844, scheme="dark")
    page.get_by_label("Your email address").fill(dovecot_user)
    page.keyboard.press("Enter")
    page.get_by_label("Password", exact=True).fill("wrong-Horse")
    page.keyboard.press("Enter")
    page.get_by_text("Trying it out").wait_for()
    doorbell.answer()
    page.get_by_role("heading", name="Example Post does not accept this user name and password.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Enter new password").click()
    page.get_by_label("Password", exact=True).wait_for()
    assert page.get_by_label("Password", exact=True).input_value() == ""
    page.wait_for_timeout(1200)  # a late poll must not cover this page
    assert page.get_by_role("heading", name="Sign in to Example Post").is_visible()
    page.get_by_role("link", name="Back").click()
    assert page.get_by_label("Your email address").input_value() == dovecot_user


def test_the_wizard_works_without_scripts(
    chromium: Any, live_server: Any, client: Any, provider: Provider, dovecot_user: str, doorbell: Any
) -> None:
    client.force_login(UserFactory())
    context = chromium.new_context(java_script_enabled=False, base_url=live_server.url)
    cookie = client.cookies["sessionid"]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill(dovecot_user)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Trying it out").wait_for()
    doorbell.answer()
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for(timeout=10_000)
    page.get_by_role("link", name="Change settings").click()
    page.get_by_role("button", name="Save and download").click()
    page.get_by_text("Saved.").first.wait_for()
    context.close()
    assert EmailAccount.objects.get().state == AccountState.ACTIVE


def test_a_ticked_folder_brings_its_subfolders(open_page: Callable[..., Any]) -> None:
    account = EmailAccountFactory()
    for path in (["Projects"], ["Projects", "Porto"], ["Projects", "Obernau"]):
        FolderFactory(email_account=account, remote_id="/".join(path), path=path, role="", is_followed=False)
    page = open_page(account.owner, f"/settings/email-accounts/{account.pk}/")
    page.get_by_label("Projects").check()
    assert page.get_by_label("Porto").is_checked() and page.get_by_label("Obernau").is_checked()
    page.get_by_label("Obernau").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").first.wait_for()
    assert set(account.folders.filter(is_followed=True).values_list("remote_id", flat=True)) == {
        "Projects",
        "Projects/Porto",
    }
