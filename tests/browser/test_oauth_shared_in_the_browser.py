"""A shared mailbox and an application-only one in Chromium: the wizard, the service's own pages, the administration."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import EmailAccount
from providers.models import OAuthApplication
from tests.browser.test_oauth_in_the_browser import PATIENCE, agree, shoot, sign_in
from tests.factories import UserFactory
from tests.journeys.test_oauth_shared import ADMIN, MAREN, SERVICE, SHARED, Tenant, machines, tenant  # noqa: F401
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers.postfix import DOMAIN

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def at_home(tenant: Tenant, settings: Any, live_server: Any) -> Tenant:  # noqa: F811 - the fixture
    settings.BASE_URL = live_server.url
    return tenant


def type_address(page: Any) -> None:
    page.set_default_timeout(PATIENCE)
    page.goto("/email-accounts/new/")
    page.get_by_label("Your email address").fill(SHARED)
    page.get_by_role("button", name="Next").click()


def reads(page: Any, tenant: Tenant, live_server: Any, doorbell: Any, subject: str) -> None:  # noqa: F811
    """*Yes*, and the mail is on the screen."""
    tenant.deliver(subject)
    page.get_by_role("heading", name="Added. Download the emails of the last week?").wait_for()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url(f"{live_server.url}/")
    doorbell.answer()
    page.reload()
    page.get_by_text(subject).first.wait_for()


def test_a_person_opens_a_shared_mailbox_with_their_own_sign_in(
    open_page: Any, at_home: Tenant, live_server: Any, doorbell: Any
) -> None:
    at_home.register()
    at_home.rights.full_access[SHARED] = {MAREN}
    context = open_page(UserFactory(), "/").context
    page = context.browser.new_context(
        base_url=live_server.url, ignore_https_errors=True, storage_state=context.storage_state()
    ).new_page()
    type_address(page)
    page.get_by_role("button", name="Sign in with Microsoft").click()
    page.locator('input[name="login"]').wait_for()
    sign_in(page, MAREN)
    agree(page)
    page.get_by_text(f"You signed in as {MAREN}, but this is about {SHARED}.").wait_for()
    shoot(page, "shared-other")
    page.get_by_role("button", name="Open it with this sign-in").click()
    page.wait_for_url("**/check/")
    doorbell.answer()
    reads(page, at_home, live_server, doorbell, "Lot for the team")
    shoot(page, "shared-inbox")
    account = EmailAccount.objects.get()
    assert account.address == SHARED and account.credential.grant.identity == MAREN and account.can_send
    page.context.close()


def test_an_administrator_registers_an_application_tests_it_and_opens_a_mailbox_with_it(
    open_page: Any, at_home: Tenant, live_server: Any, doorbell: Any
) -> None:
    at_home.rights.applications[SHARED] = {SERVICE}
    manager = UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True)
    page = open_page(manager, f"{ADMIN}add/?kind=microsoft")
    page.set_default_timeout(PATIENCE)
    for label, value in {
        "Name": "Our service", "Key": "service", "Client id": SERVICE, "Client secret": "a-wrong-one",
        "Tenant": "tenant-1", "Issuer": at_home.oidc.issuer("microsoft"), "Domains": DOMAIN,
        "Private CA (PEM)": at_home.oidc.authority.pem,
    }.items():  # fmt: skip
        page.get_by_label(f"{label}:").fill(value)
    page.get_by_label("For application-only access").check()
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("button", name="Test").click()
    page.get_by_text("The service refuses the client id or the secret.").first.wait_for()
    shoot(page, "admin-refused")
    page.get_by_label("Client secret:").fill(f"{SERVICE}-secret-6c1f")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("button", name="Test").click()
    page.get_by_text("The service knows this application and its secret.").first.wait_for()
    shoot(page, "admin-tested")
    assert OAuthApplication.objects.get().test_problem == ""
    type_address(page)
    page.get_by_text("Application-only access, for administrators").wait_for()  # open: there is no other way in yet
    shoot(page, "app-only")
    page.get_by_role("button", name="Open it as the application").click()
    page.wait_for_url("**/check/")
    doorbell.answer()
    reads(page, at_home, live_server, doorbell, "Lot for the service")
    assert EmailAccount.objects.get().credential.grant.is_app_only
