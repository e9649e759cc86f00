"""Administration of providers in Django admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from providers.models import DomainSource, ProposalState, Provider, ProviderDomain
from providers.services import add_domain, load_catalogue, propose_domain
from tests.factories import EmailAccountFactory, UserFactory
from tests.servers.dns import DnsServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    """A signed-in administrator (not a superuser)."""
    client.force_login(UserFactory(is_staff=True))
    return client


def _form(client: Client, url: str, **changes: Any) -> dict[str, Any]:
    """What a browser would send from the page's forms, with changes."""
    page = client.get(url)
    assert page.status_code == 200
    data: dict[str, Any] = {}
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for field in form:
            value = field.value()
            if value is not None and value is not False:
                data[field.html_name] = value
    return {**data, **changes}


def test_an_edited_field_is_remembered_and_survives_a_load(admin: Client, catalogue: None) -> None:
    provider = Provider.objects.get(key="fastmail")
    url = reverse("admin:providers_provider_change", args=[provider.pk])
    answer = admin.post(url, _form(admin, url, help_url="https://intranet.example/mail"))
    assert answer.status_code == 302
    load_catalogue()
    provider.refresh_from_db()
    assert (provider.help_url, provider.edited_fields) == ("https://intranet.example/mail", ["help_url"])


def test_edited_servers_are_remembered_and_survive_a_load(admin: Client, catalogue: None) -> None:
    provider = Provider.objects.get(key="fastmail")
    url = reverse("admin:providers_provider_change", args=[provider.pk])
    data = _form(admin, url)
    host = next(name for name, value in data.items() if value == "imap.fastmail.com")
    assert admin.post(url, {**data, host: "imap.proxy.example"}).status_code == 302
    load_catalogue()
    provider.refresh_from_db()
    assert provider.edited_fields == ["servers"]
    assert provider.servers.get(protocol="imap").host == "imap.proxy.example"


def test_mx_suffixes_are_written_one_on_a_line(admin: Client, catalogue: None) -> None:
    provider = Provider.objects.get(key="fastmail")
    url = reverse("admin:providers_provider_change", args=[provider.pk])
    answer = admin.post(url, _form(admin, url, mx_suffixes="messagingengine.com\nno domain"))
    assert answer.status_code == 200 and "is no domain" in answer.content.decode()
    admin.post(url, _form(admin, url, mx_suffixes="messagingengine.com\r\n MX.Other.example \r\n"))
    provider.refresh_from_db()
    assert provider.mx_suffixes == ["messagingengine.com", "mx.other.example"]


def test_a_wrong_server_is_refused_at_its_field(admin: Client, catalogue: None) -> None:
    provider = Provider.objects.get(key="fastmail")
    url = reverse("admin:providers_provider_change", args=[provider.pk])
    data = _form(admin, url)
    host = next(name for name, value in data.items() if value == "imap.fastmail.com")
    answer = admin.post(url, {**data, host: "https://imap"})
    assert answer.status_code == 200
    assert "server&#x27;s name only" in answer.content.decode()


def test_a_new_provider_comes_with_servers_and_domains_in_one_form(admin: Client) -> None:
    url = reverse("admin:providers_provider_add")
    data = _form(admin, url, key="nordlys", name="Nordlys", can_receive="on", can_send="on")
    data |= {
        "servers-TOTAL_FORMS": 1,
        "servers-0-protocol": "imap",
        "servers-0-host": "imap.nordlys.example",
        "servers-0-port": 993,
        "servers-0-security": "ssl",
        "servers-0-login_format": "use_email_address",
        "servers-0-position": 0,
        "domains-TOTAL_FORMS": 1,
        "domains-0-domain": "@Nordlys.example",
        "domains-0-match": "suffix",
    }
    answer = admin.post(url, data)
    assert answer.status_code == 302, answer.context["errors"]
    provider = Provider.objects.get(key="nordlys")
    row = provider.domains.get()
    assert (row.domain, row.match, row.source) == ("nordlys.example", "suffix", DomainSource.ADMINISTRATOR)
    assert provider.servers.count() == 1


def test_a_removed_domain_stays_removed_and_may_be_added_again(admin: Client, catalogue: None) -> None:
    row = ProviderDomain.objects.get(domain="gmx.de")
    admin.post(reverse("admin:providers_providerdomain_delete", args=[row.pk]), {"post": "yes"})
    load_catalogue()
    row.refresh_from_db()
    assert row.is_removed
    page = admin.get(reverse("admin:providers_providerdomain_changelist"), {"q": "gmx.de"})
    assert "gmx.de</a>" not in page.content.decode()
    other = Provider.objects.get(key="fastmail")
    url = reverse("admin:providers_providerdomain_add")
    answer = admin.post(url, {"domain": "GMX.de", "match": "exact", "provider": other.pk})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.is_removed, row.provider, row.source) == (False, other, DomainSource.ADMINISTRATOR)


def test_deleting_a_provider_in_use_is_refused_with_the_reason(admin: Client) -> None:
    provider = Provider.objects.create(key="nordlys", name="Nordlys")
    add_domain(domain="nordlys.example", provider=provider)
    EmailAccountFactory(provider=provider)
    url = reverse("admin:providers_provider_delete", args=[provider.pk])
    page = admin.get(url).content.decode()
    assert "nordlys.example" in page and "1 email account" in page
    admin.post(url, {"post": "yes"})
    assert Provider.objects.filter(pk=provider.pk).exists()
    admin.post(
        reverse("admin:providers_provider_changelist"),
        {"action": "delete_selected", "_selected_action": [provider.pk], "post": "yes"},
    )
    assert Provider.objects.filter(pk=provider.pk).exists()


def test_try_an_address_says_which_rule_matched_and_why(admin: Client, catalogue: None, name_server: DnsServer) -> None:
    url = reverse("admin:providers_try_address")
    assert admin.get(url).status_code == 200
    name_server.zones["nordlys.com"] = [(10, "in1-smtp.messagingengine.com.")]

    def tried(address: str) -> str:
        return admin.post(url, {"address": address}).content.decode()

    assert "Found in the list of email providers domains: gmail.com" in tried("a@gmail.com")
    assert "public mail domain" in tried("a@gmail.com")
    assert "onmicrosoft.com and all domains below it" in tried("x.onmicrosoft.com")
    assert "Found by the MX record of nordlys.com: in1-smtp.messagingengine.com" in tried("a@nordlys.com")
    assert "imap.fastmail.com:993" in tried("a@nordlys.com")
    assert "Nobody knows" in tried("a@nobody.com")
    assert "neither an address nor a domain" in tried("<script>")


def test_proposals_are_approved_and_rejected_from_the_list(admin: Client, catalogue: None) -> None:
    provider, user = Provider.objects.get(key="fastmail"), UserFactory()
    good = propose_domain(domain="good.example", provider=provider, user=user)
    bad = propose_domain(domain="bad.example", provider=provider, user=user)
    assert good is not None and bad is not None
    url = reverse("admin:providers_domainproposal_changelist")
    admin.post(url, {"action": "approve", "_selected_action": [good.pk]})
    admin.post(url, {"action": "reject", "_selected_action": [bad.pk]})
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.state, bad.state) == (ProposalState.APPROVED, ProposalState.REJECTED)
    assert ProviderDomain.objects.filter(domain="good.example").exists()
    assert not ProviderDomain.objects.filter(domain="bad.example").exists()


def test_domains_are_exported_and_imported_after_a_preview(admin: Client, catalogue: None) -> None:
    text = admin.get(reverse("admin:providers_export_domains")).content.decode()
    assert len(text.splitlines()) == 614
    url = reverse("admin:providers_import_domains")
    csv = "domain,applies_to,provider\nnordlys.example,suffix,Fastmail\ngmail.com,exact,strato\nweb.de,exact,web_de\n"
    preview = admin.post(url, {"text": csv}).content.decode()
    assert "New: 1. Moved to another provider: 1. Known already: 1." in preview
    assert "gmail.com: Gmail → strato" in preview
    assert not ProviderDomain.objects.filter(domain="nordlys.example").exists()
    assert admin.post(url, {"text": csv, "apply": "1"}).status_code == 302
    assert ProviderDomain.objects.get(domain="nordlys.example").source == DomainSource.IMPORT
    assert ProviderDomain.objects.get(domain="gmail.com").provider.key == "strato"


def test_an_import_with_one_wrong_line_changes_nothing(admin: Client, catalogue: None) -> None:
    url = reverse("admin:providers_import_domains")
    csv = "domain,provider\ngood.example,fastmail\nno domain,fastmail\nother.example,nobody\n"
    page = admin.post(url, {"text": csv, "apply": "1"}).content.decode()
    assert "Line 3" in page and "Line 4" in page
    assert not ProviderDomain.objects.filter(domain="good.example").exists()


def test_the_catalogue_is_loaded_by_a_button_and_never_by_a_link(admin: Client) -> None:
    url = reverse("admin:providers_load_catalogue")
    assert admin.get(url).status_code == 405
    assert not Provider.objects.exists()
    assert admin.post(url).status_code == 302
    assert Provider.objects.count() >= 70


@pytest.mark.parametrize(
    "name",
    [
        "providers_provider_changelist",
        "providers_provider_add",
        "providers_providerdomain_changelist",
        "providers_domainproposal_changelist",
        "providers_try_address",
        "providers_load_catalogue",
        "providers_export_domains",
        "providers_import_domains",
    ],
)
def test_a_stranger_gets_into_no_page(client: Client, name: str) -> None:
    for user in (None, UserFactory()):
        if user is not None:
            client.force_login(user)
        for method in (client.get, client.post):
            assert method(reverse(f"admin:{name}")).status_code in (302, 403, 405)
    assert not Provider.objects.exists()
