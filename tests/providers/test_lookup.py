"""Who runs the mail of an address."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.discovery import mx
from providers.discovery.mx import MxRecord, dns_resolver, find_mx, read_answer
from providers.lookup import find_provider, is_public_domain, public_among, to_domain
from providers.models import DomainMatch, DomainSource, Provider
from providers.queries import mail_services, server_offers
from providers.services import add_domain, propose_domain, remove_domain
from tests.factories import UserFactory
from tests.servers.dns import DnsServer

pytestmark = pytest.mark.django_db


def _provider(key: str) -> Provider:
    return Provider.objects.get(key=key)


@pytest.mark.parametrize("text", ["maren@gmail.com", "MAREN@GMail.COM", "gmail.com", " gmail.com. "])
def test_an_exact_domain_is_found_in_any_spelling(catalogue: None, text: str) -> None:
    match = find_provider(text)
    assert match is not None
    assert (match.provider.key, match.how, match.evidence) == ("gmail", "lookup", "gmail.com")
    assert "gmail.com" in match.because


@pytest.mark.parametrize("text", ["", "@", "nobody", "a@b@c", "a@[192.0.2.1]", "x" * 5000, "a@\x00.de", "localhost"])
def test_what_is_no_address_has_no_provider(catalogue: None, text: str) -> None:
    assert find_provider(text) is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=80))
def test_no_text_makes_the_lookup_fail(text: str) -> None:
    assert find_provider(text, ask_dns=False) is None


def test_exact_wins_over_suffix_and_the_longest_suffix_wins(catalogue: None) -> None:
    add_domain(domain="corp.example", provider=_provider("strato"), match=DomainMatch.SUFFIX)
    add_domain(domain="north.corp.example", provider=_provider("ionos"), match=DomainMatch.SUFFIX)
    add_domain(domain="mail.north.corp.example", provider=_provider("fastmail"))
    found = {
        domain: (match.provider.key, match.how) if (match := find_provider(domain)) else None
        for domain in (
            "corp.example",
            "a.corp.example",
            "x.north.corp.example",
            "mail.north.corp.example",
            "notcorp.example",
        )
    }
    assert found == {
        "corp.example": ("strato", "suffix"),
        "a.corp.example": ("strato", "suffix"),
        "x.north.corp.example": ("ionos", "suffix"),
        "mail.north.corp.example": ("fastmail", "lookup"),
        "notcorp.example": None,
    }


def test_an_exact_row_does_not_count_for_the_domains_below_it(catalogue: None) -> None:
    assert find_provider("a@sub.gmail.com") is None


def test_an_international_domain_is_found_in_both_writings(catalogue: None) -> None:
    add_domain(domain="Bücher.example", provider=_provider("posteo"))
    for text in ("a@bücher.example", "a@BÜCHER.example", "a@xn--bcher-kva.example"):
        match = find_provider(text)
        assert match is not None and match.provider.key == "posteo"


def test_a_disabled_provider_is_never_offered_whatever_the_mx_says(catalogue: None, name_server: DnsServer) -> None:
    name_server.zones["gmail.com"] = [(5, "gmail-smtp-in.l.google.com.")]
    Provider.objects.filter(key="gmail").update(is_enabled=False)
    assert find_provider("a@gmail.com") is None
    assert not mail_services().filter(key="gmail").exists()


def test_a_removed_domain_is_not_found(catalogue: None) -> None:
    remove_domain(row=_provider("gmx_de").domains.get(domain="gmx.de"))
    assert find_provider("a@gmx.de") is None


def test_a_proposal_counts_for_its_user_at_once_and_for_nobody_else(catalogue: None) -> None:
    maren, jonas = UserFactory(), UserFactory()
    propose_domain(domain="nordlys.example", provider=_provider("fastmail"), user=maren)
    match = find_provider("a@nordlys.example", user=maren)
    assert match is not None and (match.provider.key, match.how) == ("fastmail", "proposal")
    assert find_provider("a@nordlys.example", user=jonas) is None
    assert find_provider("a@nordlys.example") is None


def test_the_mx_records_name_the_provider_the_most_preferred_first(catalogue: None, name_server: DnsServer) -> None:
    name_server.zones["nordlys.com"] = [
        (20, "alt.aspmx.l.google.com."),
        (10, "nordlys-com.mail.protection.outlook.com."),
    ]
    match = find_provider("maren@nordlys.com")
    assert match is not None and (match.provider.key, match.how) == ("microsoft365", "mx")
    assert "nordlys-com.mail.protection.outlook.com" in match.because
    assert name_server.asked == ["nordlys.com"]


def test_a_known_domain_asks_no_name_server(catalogue: None, name_server: DnsServer) -> None:
    find_provider("a@gmail.com")
    find_provider("a@nordlys.com", ask_dns=False)
    assert name_server.asked == []


@pytest.mark.parametrize("host", ["mx1.nordlys.com.", "evil-google.com.", "google.com.evil.com.", "mx.pphosted.com."])
def test_an_mx_host_that_only_looks_alike_names_nobody(catalogue: None, name_server: DnsServer, host: str) -> None:
    name_server.zones["nordlys.com"] = [(10, host)]
    assert find_provider("a@nordlys.com") is None


@pytest.mark.parametrize("mode", ["silent", "garbage", "refuse"])
def test_a_name_server_that_misbehaves_costs_three_seconds_at_most(catalogue: None, mode: str) -> None:
    with DnsServer({}, mode) as server:
        began = time.monotonic()
        assert find_provider("a@nordlys.com", resolver=dns_resolver([server.address], timeout=1.0)) is None
        assert time.monotonic() - began < 3.0
    assert mx.TIMEOUT == 3.0


def test_a_hostile_answer_is_capped_and_cleaned() -> None:
    pairs = [(1, "."), (2, "a\r\nb.example"), (3, "x" * 300 + ".example"), (4, "MX.Example.ORG."), (5, "single")]
    assert read_answer(pairs) == (MxRecord(4, "mx.example.org"),)
    assert len(read_answer((n, f"mx{n}.example.org") for n in range(10_000))) == mx.MAX_RECORDS


def test_a_null_mx_and_an_unregistrable_name_have_no_records(name_server: DnsServer) -> None:
    name_server.zones["nomail.com"] = [(0, ".")]
    assert find_mx("nomail.com") == ()
    for name in ("com", "router.local", "mail.nordlys.example", "co.uk", "10.in-addr.arpa"):
        assert find_mx(name) == ()
    assert name_server.asked == ["nomail.com"]


def test_public_domains_are_those_that_strangers_share(catalogue: None) -> None:
    remove_domain(row=_provider("gmail").domains.get(domain="gmail.com"))
    add_domain(domain="nordlys.example", provider=_provider("fastmail"), source=DomainSource.LEARNED)
    add_domain(domain="gmx.example", provider=_provider("gmx_de"))
    assert public_among(
        ["gmail.com", "GMX.de", "mailinator.com", "nordlys.example", "gmx.example", "contoso.onmicrosoft.com", "junk"]
    ) == {"gmail.com", "GMX.de", "mailinator.com", "gmx.example"}
    assert is_public_domain("one.com")
    assert not is_public_domain("")


def test_public_domains_cost_one_query(catalogue: None, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        public_among([f"d{number}.example" for number in range(200)])


def test_servers_are_offered_ready_to_use(catalogue: None) -> None:
    imap, smtp = server_offers(_provider("icloud"), "Maren@icloud.com")
    assert (imap.host, imap.port, imap.security, imap.user_name) == ("imap.mail.me.com", 993, "ssl", "maren")
    assert (smtp.host, smtp.port, smtp.security, smtp.user_name) == (
        "smtp.mail.me.com",
        587,
        "starttls",
        "maren@icloud.com",
    )
    assert server_offers(_provider("inbox_lv"), "a@inbox.lt")[0].host == "mail.inbox.lt"
    assert server_offers(_provider("gmail"), "no address") == ()
    Provider.objects.filter(key="icloud").update(can_send=False)
    assert [offer.protocol for offer in server_offers(_provider("icloud"), "a@icloud.com")] == ["imap"]


def test_the_services_to_select_are_in_order_and_searchable(catalogue: None) -> None:
    assert [provider.key for provider in mail_services()[:3]] == ["gmail", "google_workspace", "microsoft365"]
    assert [provider.key for provider in mail_services("fastm")] == ["fastmail"]
    assert [provider.key for provider in mail_services("hotmail.co.uk")] == ["outlook_com"]
    assert not mail_services("100%").exists()


def test_to_domain_reads_addresses_and_domains() -> None:
    assert to_domain("A@Example.ORG") == to_domain("example.org") == "example.org"
    assert to_domain("a@[192.0.2.1]") == to_domain("host") == ""
