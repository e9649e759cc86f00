"""Exchange in Chromium: the server added, Autodiscover asked, a host confirmed, a colleague's and a service account's way."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import EmailAccount
from base import net
from providers.discovery import autodiscover
from providers.models import LoginFormat, Provider
from tests.factories import ProviderDomainFactory, ProviderFactory, ProviderServerFactory, UserFactory
from tests.servers.ews import EwsServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("SHOTS", "")
HOST, ANNA = "autodiscover.hafen.de", "anna@hafen.de"
OpenPage = Callable[..., Any]


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8",)


@pytest.fixture
def hafen(monkeypatch: pytest.MonkeyPatch) -> Iterator[EwsServer]:
    """An Exchange Server over TLS; every name leads to it, its Autodiscover asks the port that it listens on."""
    monkeypatch.setattr(net, "resolve", lambda host, port, timeout: [ipaddress.ip_address("127.0.0.1")])
    with EwsServer(address=ANNA, tls=True, name=HOST) as server:
        monkeypatch.setattr(autodiscover, "PORT", server.port)
        yield server


def photograph(page: Any, name: str) -> None:
    """The page in three widths and both themes, where pictures are asked for."""
    if not SHOTS:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1440, 900, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{SHOTS}/exchange-{name}-{width}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def ask_for_a_server(page: Any, address: str) -> None:
    """From the address to the form of a new server, Exchange chosen and named."""
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill(address)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("link", name="Add new server").first.click()
    page.get_by_role("heading", name="Add new server").wait_for()
    assert page.get_by_label("Inbound mail server: host").is_visible()
    assert not page.get_by_label("Service address").is_visible()
    page.get_by_label("Exchange Server").check()
    assert page.get_by_label("Service address").is_visible()
    assert not page.get_by_label("Inbound mail server: host").is_visible()
    page.get_by_label("Name", exact=True).fill("Hafen AG")


def trust(page: Any, server: EwsServer) -> None:
    """Paste the certificate of the organisation's own authority."""
    assert server.authority is not None
    page.get_by_text("Certificate of your own authority").click()
    page.get_by_label("Certificate (PEM)").fill(server.authority.pem)


def sign_in(page: Any, doorbell: Any, password: str, *, user_name: str = "") -> None:
    """The password, and the check done."""
    if user_name:
        if not page.get_by_label("User name", exact=True).is_visible():
            page.get_by_text("My user name is not my address").click()
        page.get_by_label("User name", exact=True).fill(user_name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Sign in to send through").wait_for()
    answer(page, doorbell)


def answer(page: Any, doorbell: Any) -> None:
    """The worker, once the page's click has rung for it."""
    end = time.monotonic() + 60
    while not doorbell.rung and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert doorbell.answer()


def try_again(page: Any, doorbell: Any) -> None:
    """From the failed check on."""
    page.get_by_role("button", name="Try again").click()
    answer(page, doorbell)


def added(page: Any) -> EmailAccount:
    """The mailbox, once the page says so."""
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for()
    account = EmailAccount.objects.get()
    assert account.can_receive and account.can_send
    return account


def test_a_mail_administrator_adds_an_exchange_server(
    open_page: OpenPage, ews_server: EwsServer, doorbell: Any
) -> None:
    page = open_page(UserFactory(is_mail_administrator=True))
    ask_for_a_server(page, "anna@example.com")
    page.get_by_label("Service address").fill(ews_server.url)
    photograph(page, "server")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    photograph(page, "password")
    sign_in(page, doorbell, "secret")
    account = added(page)
    photograph(page, "done")
    assert account.provider and account.provider.name == "Hafen AG"
    page.goto(f"/settings/email-accounts/{account.pk}/")
    page.get_by_text("Exchange 15.2.1544.11").first.wait_for()
    photograph(page, "settings")


def test_autodiscover_names_the_host_that_the_person_confirms(
    open_page: OpenPage, hafen: EwsServer, doorbell: Any
) -> None:
    hafen.json_answer = (200, json.dumps({"Protocol": "EWS", "Url": hafen.url}).encode(), {})
    page = open_page(UserFactory(is_mail_administrator=True))
    ask_for_a_server(page, ANNA)
    trust(page, hafen)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    assert {who for _path, who in hafen.discoveries} == {""} and hafen.calls == [], "no secret was sent so far"
    assert HOST in page.locator("main").inner_text(), "the person sees the host before typing a password"
    photograph(page, "discovered")
    sign_in(page, doorbell, "wrong")
    page.get_by_text("Check the address and the password").or_(page.get_by_text("refused")).first.wait_for()
    photograph(page, "refused")
    assert len(hafen.refused) == 1, hafen.refused


def test_autodiscover_that_names_nobody_or_microsoft_365_is_said(open_page: OpenPage, hafen: EwsServer) -> None:
    page = open_page(UserFactory(is_mail_administrator=True))
    ask_for_a_server(page, ANNA)
    trust(page, hafen)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Autodiscover names no Exchange Server for this address").wait_for()
    photograph(page, "nobody")
    online = json.dumps({"Protocol": "EWS", "Url": "https://outlook.office365.com/EWS/Exchange.asmx"}).encode()
    hafen.json_answer = (200, online, {})
    page.get_by_role("button", name="Next").click()
    page.get_by_text("This mailbox is on Microsoft 365").wait_for()
    photograph(page, "online")


@pytest.mark.parametrize("knows_soap", [True, False])
def test_a_typed_autodiscover_address_leads_to_the_service_or_names_another_host(
    open_page: OpenPage, hafen: EwsServer, doorbell: Any, knows_soap: bool
) -> None:
    hafen.knows_soap = knows_soap
    hafen.elsewhere = "https://mail.hafen.de/EWS/Exchange.asmx"
    page = open_page(UserFactory(is_mail_administrator=True))
    ask_for_a_server(page, ANNA)
    trust(page, hafen)
    page.get_by_label("Service address").fill(f"https://{HOST}:{hafen.port}/autodiscover/autodiscover.xml")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    sign_in(page, doorbell, "secret")
    page.get_by_text("Autodiscover says that another server has this mailbox: mail.hafen.de").first.wait_for()
    page.get_by_text("The password was not sent there.").first.wait_for()
    photograph(page, "elsewhere")
    hafen.elsewhere = ""
    try_again(page, doorbell)
    added(page)


def test_a_colleague_opens_a_shared_mailbox(open_page: OpenPage, ews_server: EwsServer, doorbell: Any) -> None:
    provider = ProviderFactory(name="Hafen AG")
    ProviderServerFactory(provider=provider, protocol="ews", host="", port=None, url=ews_server.url)
    ProviderDomainFactory(domain="example.com", provider=provider)
    ews_server.add_mailbox("sales@example.com")
    page = open_page(UserFactory(), "/email-accounts/new/")
    page.get_by_label("Your email address").fill("sales@example.com")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    sign_in(page, doorbell, "secret", user_name="anna@example.com")
    page.get_by_text("This mailbox may not be opened").or_(page.get_by_text("no right")).first.wait_for()
    photograph(page, "no-right")
    ews_server.delegates["anna@example.com"] = {"sales@example.com"}
    try_again(page, doorbell)
    assert added(page).address_key == "sales@example.com"
    photograph(page, "shared")


def test_an_administrator_offers_a_service_account_that_opens_mailboxes(
    open_page: OpenPage, ews_server: EwsServer, doorbell: Any
) -> None:
    ews_server.users["HAFEN\\robot"], ews_server.mailbox_of["HAFEN\\robot"] = "r0bot", "robot@example.com"
    ews_server.impersonators.add("robot@example.com")
    user = UserFactory(is_staff=True, is_superuser=True)
    page = open_page(user, "/admin/providers/provider/add/")
    page.locator("#id_name").fill("Hafen AG")
    page.get_by_text("Add another Server").click()
    page.locator("#id_servers-0-protocol").select_option("ews")
    page.locator("#id_servers-0-url").fill(ews_server.url)
    page.locator("#id_servers-0-login_format").select_option(LoginFormat.MANUAL.value)
    page.locator("#id_servers-0-impersonates").check()
    photograph(page, "admin")
    page.locator("input[name=_save]").click()
    page.get_by_text("was added successfully").wait_for()
    provider = Provider.objects.get(name="Hafen AG")
    assert provider.servers.get().impersonates
    ProviderDomainFactory(domain="example.com", provider=provider)
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill("anna@example.com")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    photograph(page, "service-account")
    sign_in(page, doorbell, "r0bot", user_name="HAFEN\\robot")
    account = added(page)
    assert account.servers.get().impersonates and account.address_key == "anna@example.com"
