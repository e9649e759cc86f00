"""The wizard with an Exchange Server: typed in, chosen as a provider, and what is said when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.models import AccountState, EmailAccount
from drivers.ews.autodiscover import Found
from panel.forms import wizard as forms
from providers.models import LoginFormat, Provider
from providers.server_rules import NewServer, server_errors
from providers.services import add_provider_with_servers
from tests.factories import ProviderFactory, ProviderServerFactory, UserFactory
from tests.panel.test_wizard_pages import begin, sign_in
from tests.servers.ews import EwsServer, Trouble

pytestmark = pytest.mark.django_db(transaction=True)
ANNA = "anna@example.com"


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")


@pytest.fixture
def corporate(ews_server: EwsServer) -> Provider:
    made = ProviderFactory(key="hafen", name="Hafen AG")
    ProviderServerFactory(provider=made, protocol="ews", host="", port=None, url=ews_server.url)
    return made


def test_a_server_typed_in_becomes_a_mailbox_and_a_provider(
    client: Client, ews_server: EwsServer, with_tasks: Any
) -> None:
    client.force_login(UserFactory(is_mail_administrator=True))
    begin(client, ANNA)
    page = begin(client, ANNA).replace("service", "server")
    text = client.get(page).content.decode()
    assert "Exchange Server" in text and 'name="ews_url"' in text
    typed = {"name": "Hafen", "kind": "exchange", "login_format": LoginFormat.ADDRESS.value}
    refused = client.post(page, typed | {"ews_url": "ftp://x"})
    assert "Write the host of the Exchange Server" in refused.content.decode()
    answer = client.post(page, typed | {"ews_url": ews_server.url})
    assert answer.status_code == 302, answer.content.decode()
    text = sign_in(client, with_tasks, answer.url, "secret")
    assert "Download the emails of the last week?" in text
    account = EmailAccount.objects.get()
    assert account.state == AccountState.CONNECTED and account.can_send and account.can_receive
    assert account.provider is not None and account.provider.name == "Hafen"
    kept = account.provider.servers.get()
    assert (kept.protocol, kept.url) == ("ews", ews_server.url)


def test_a_provider_on_exchange_is_chosen_and_its_version_is_kept(
    client: Client, ews_server: EwsServer, corporate: Provider, with_tasks: Any
) -> None:
    client.force_login(UserFactory())
    page = begin(client, ANNA)
    answer = client.post(page, {"provider": corporate.pk})
    text = client.get(answer.url).content.decode()
    assert "Sign in to Hafen AG" in text and "127.0.0.1" in text
    sign_in(client, with_tasks, answer.url, "secret")
    account = EmailAccount.objects.get()
    assert account.servers.get().capabilities["names"] == ["Exchange 15.2.1544.11"]
    settings_page = client.get(reverse("panel:email_account", args=[account.pk])).content.decode()
    assert "Receives and sends by" in settings_page and "Exchange 15.2.1544.11" in settings_page
    assert "only receives" not in settings_page


def test_a_windows_name_is_typed_by_the_person(
    client: Client, ews_server: EwsServer, corporate: Provider, with_tasks: Any
) -> None:
    corporate.servers.update(login_format=LoginFormat.MANUAL)
    ews_server.schemes = ["ntlm"]
    ews_server.users["HAFEN\\anna"], ews_server.mailbox_of["HAFEN\\anna"] = "geheim", ANNA
    client.force_login(UserFactory())
    answer = client.post(begin(client, ANNA), {"provider": corporate.pk})
    text = sign_in(client, with_tasks, answer.url, "geheim", user_name="HAFEN\\anna")
    assert "Download the emails of the last week?" in text
    assert EmailAccount.objects.get().servers.get().user_name == "HAFEN\\anna"


def test_a_wrong_password_is_said(client: Client, ews_server: EwsServer, corporate: Provider, with_tasks: Any) -> None:
    client.force_login(UserFactory())
    answer = client.post(begin(client, ANNA), {"provider": corporate.pk})
    text = sign_in(client, with_tasks, answer.url, "wrong")
    assert "Hafen AG does not accept this user name and password." in text
    assert not EmailAccount.objects.exists()


def test_an_organisation_that_blocks_ews_is_said_with_the_way_out(
    client: Client, ews_server: EwsServer, corporate: Provider, with_tasks: Any
) -> None:
    ews_server.troubles.append(Trouble("GetFolder", status=403, times=9))
    client.force_login(UserFactory())
    answer = client.post(begin(client, ANNA), {"provider": corporate.pk})
    text = sign_in(client, with_tasks, answer.url, "secret")
    assert "does not let programs in by Exchange Web Services" in text and "choose Microsoft 365" in text


def test_a_service_address_may_be_a_host() -> None:
    good = ("mail.example.org", "mail.example.org:8443", "https://mail.example.org/EWS/Exchange.asmx")
    assert all(server_errors([NewServer("ews", url=url)]) == {} for url in good)
    bad = ("", "ftp://mail.example.org", "https://a:b@mail.example.org/", "two words", "https://")
    assert all("ews-url" in server_errors([NewServer("ews", url=url)]) for url in bad)


def test_a_host_is_kept_as_the_whole_address() -> None:
    admin = UserFactory(is_mail_administrator=True)
    made = add_provider_with_servers(name="Hafen", servers=[NewServer("ews", url="mail.example.org")], user=admin)
    assert made.servers.get().url == "https://mail.example.org/EWS/Exchange.asmx"
    assert made.can_receive and made.can_send
    with pytest.raises(ValidationError):
        add_provider_with_servers(name="Other", servers=[NewServer("ews", url="x y")], user=admin)


def typed_without_address(client: Client) -> str:
    """The text after *Add new server* with Exchange and no service address, or the URL that follows."""
    client.force_login(UserFactory(is_mail_administrator=True))
    page = begin(client, ANNA).replace("service", "server")
    typed = {"name": "Hafen", "kind": "exchange", "login_format": LoginFormat.ADDRESS.value, "ews_url": ""}
    answer = client.post(page, typed)
    return answer.url if answer.status_code == 302 else answer.content.decode()  # type: ignore[attr-defined]


def test_an_empty_address_is_found_by_autodiscover_and_shown_before_the_password(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found("https://mail.hafen.de/EWS/Exchange.asmx", "autodiscover.hafen.de")
    monkeypatch.setattr(forms, "find_exchange", lambda address, ca_bundle: found if address == ANNA else None)
    page = typed_without_address(client)
    assert page.endswith("/password/")
    assert "mail.hafen.de" in client.get(page).content.decode()


def test_a_mailbox_on_microsoft_365_is_sent_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found("https://outlook.office365.com/EWS/Exchange.asmx", "autodiscover.hafen.de")
    monkeypatch.setattr(forms, "find_exchange", lambda address, ca_bundle: found)
    assert "is on Microsoft 365" in typed_without_address(client)


def test_a_service_that_nobody_names_is_to_be_typed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "find_exchange", lambda address, ca_bundle: None)
    assert "type the address of its service" in typed_without_address(client)
