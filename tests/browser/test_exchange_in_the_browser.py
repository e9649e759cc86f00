"""An Exchange Server added in Chromium: its fields show when its kind is chosen, and the mailbox is connected."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import EmailAccount
from tests.factories import UserFactory
from tests.servers.ews import EwsServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("SHOTS", "")


def test_a_mail_administrator_adds_an_exchange_server(
    open_page: Callable[..., Any], ews_server: EwsServer, doorbell: Any, settings: Any
) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8",)
    page = open_page(UserFactory(is_mail_administrator=True))
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill("anna@example.com")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("link", name="Add new server").first.click()
    page.get_by_role("heading", name="Add new server").wait_for()
    assert page.get_by_label("Inbound mail server: host").is_visible()
    assert not page.get_by_label("Service address").is_visible()
    page.get_by_label("Exchange Server").check()
    assert page.get_by_label("Service address").is_visible()
    assert not page.get_by_label("Inbound mail server: host").is_visible()
    page.get_by_label("Name", exact=True).fill("Hafen AG")
    page.get_by_label("Service address").fill(ews_server.url)
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/exchange-server.png", full_page=True)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("heading", name="Sign in to Hafen AG").wait_for()
    page.get_by_label("Password", exact=True).fill("secret")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Sign in to send through 127.0.0.1").wait_for()
    doorbell.answer()
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for()
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/exchange-done.png", full_page=True)
    account = EmailAccount.objects.get()
    assert account.can_receive and account.can_send and account.provider and account.provider.name == "Hafen AG"
