"""Writing providers, domains and proposals."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from providers.lookup import find_provider
from providers.models import DomainProposal, DomainSource, ProposalState, Provider, ProviderDomain
from providers.services import (
    NewServer,
    add_domain,
    add_provider_with_servers,
    approve_proposal,
    delete_provider,
    propose_domain,
    reject_proposal,
    remove_domain,
)
from tests.factories import EmailAccountFactory, UserFactory

pytestmark = pytest.mark.django_db

IMAP = NewServer("imap", "imap.nordlys.example", 993)
SMTP = NewServer("smtp", "smtp.nordlys.example", 587, "starttls", "use_mailbox_name")


@pytest.fixture
def manager() -> object:
    """A mail administrator."""
    return UserFactory(is_mail_administrator=True)


@pytest.fixture
def fastmail(catalogue: None) -> Provider:
    """A provider of the catalogue."""
    return Provider.objects.get(key="fastmail")


@pytest.mark.parametrize("domain", ["gmail.com", "hey.com", "mailinator.com", "", "host", "[192.0.2.1]"])
def test_a_public_mail_domain_is_never_learned(fastmail: Provider, domain: str) -> None:
    assert propose_domain(domain=domain, provider=fastmail, user=UserFactory()) is None
    assert not DomainProposal.objects.exists()


def test_what_the_lookup_knows_already_is_not_proposed(fastmail: Provider) -> None:
    add_domain(domain="nordlys.example", provider=fastmail)
    assert propose_domain(domain="nordlys.example", provider=fastmail, user=UserFactory()) is None


def test_an_approved_proposal_counts_for_everybody_and_settles_the_same_of_others(
    fastmail: Provider, manager: object
) -> None:
    maren, jonas = UserFactory(), UserFactory()
    first = propose_domain(domain="Nordlys.example", provider=fastmail, user=maren)
    second = propose_domain(domain="nordlys.example", provider=fastmail, user=jonas)
    assert first is not None and second is not None
    row = approve_proposal(proposal=first, user=manager)  # type: ignore[arg-type]
    assert (row.domain, row.source) == ("nordlys.example", DomainSource.LEARNED)
    second.refresh_from_db()
    assert (first.state, second.state) == (ProposalState.APPROVED, ProposalState.APPROVED)
    match = find_provider("x@nordlys.example", user=UserFactory())
    assert match is not None and (match.provider, match.how) == (fastmail, "lookup")


def test_a_rejected_proposal_counts_for_nobody_and_does_not_come_back(fastmail: Provider, manager: object) -> None:
    maren = UserFactory()
    proposal = propose_domain(domain="nordlys.example", provider=fastmail, user=maren)
    assert proposal is not None
    reject_proposal(proposal=proposal, user=manager)  # type: ignore[arg-type]
    assert find_provider("x@nordlys.example", user=maren) is None
    again = propose_domain(domain="nordlys.example", provider=fastmail, user=maren)
    assert again is not None and again.state == ProposalState.REJECTED
    other = propose_domain(domain="nordlys.example", provider=Provider.objects.get(key="posteo"), user=maren)
    assert other is not None and other.state == ProposalState.WAITING


def test_only_who_may_manage_servers_decides(fastmail: Provider) -> None:
    proposal = propose_domain(domain="nordlys.example", provider=fastmail, user=UserFactory())
    assert proposal is not None
    for decide in (approve_proposal, reject_proposal):
        with pytest.raises(PermissionDenied):
            decide(proposal=proposal, user=UserFactory())
    assert not ProviderDomain.objects.filter(domain="nordlys.example").exists()


def test_a_domain_of_another_provider_is_refused_with_its_name(fastmail: Provider) -> None:
    with pytest.raises(ValidationError) as caught:
        add_domain(domain="gmail.com", provider=fastmail)
    assert "Gmail" in caught.value.message_dict["domain"][0]


def test_a_removed_row_comes_back_when_it_is_added_again(fastmail: Provider) -> None:
    row = ProviderDomain.objects.get(domain="gmx.de")
    remove_domain(row=row)
    assert add_domain(domain="gmx.de", provider=fastmail).pk == row.pk
    match = find_provider("a@gmx.de")
    assert match is not None and match.provider == fastmail


def test_a_domain_that_no_catalogue_names_is_really_deleted(fastmail: Provider) -> None:
    remove_domain(row=add_domain(domain="nordlys.example", provider=fastmail))
    assert not ProviderDomain.objects.filter(domain="nordlys.example").exists()


def test_a_provider_of_ones_own_works_at_once(manager: object) -> None:
    provider = add_provider_with_servers(
        name=" Nordlys  mail ",
        servers=[IMAP, SMTP],
        user=manager,  # type: ignore[arg-type]
        domain="nordlys.example",
    )
    assert (provider.name, provider.key, provider.kind) == ("Nordlys mail", "nordlys-mail", "corporate")
    assert (provider.can_receive, provider.can_send, provider.servers.count()) == (True, True, 2)
    match = find_provider("a@nordlys.example")
    assert match is not None and match.provider == provider


def test_a_receive_only_provider_does_not_send(manager: object) -> None:
    provider = add_provider_with_servers(name="In", servers=[IMAP], user=manager)  # type: ignore[arg-type]
    assert (provider.can_receive, provider.can_send) == (True, False)


def test_a_user_without_the_right_adds_no_server() -> None:
    with pytest.raises(PermissionDenied):
        add_provider_with_servers(name="Mine", servers=[IMAP], user=UserFactory())
    assert not Provider.objects.filter(name="Mine").exists()


def test_an_exchange_server_without_encryption_is_refused_where_no_network_is_private(
    manager: object, settings: object
) -> None:
    settings.PRIVATE_NETWORKS = ()  # type: ignore[attr-defined]
    with pytest.raises(ValidationError) as caught:
        add_provider_with_servers(
            name="New", servers=[NewServer("ews", url="http://mail.example.org/EWS/Exchange.asmx")], user=manager
        )  # type: ignore[arg-type]
    assert "ews-url" in caught.value.message_dict


@pytest.mark.parametrize(
    ("name", "servers", "field"),
    [
        ("", [IMAP], "name"),
        ("Taken", [IMAP], "name"),
        ("New", [], "servers"),
        ("New", [IMAP, IMAP], "servers"),
        ("New", [NewServer("imap", "https://imap.example.org", 993)], "imap-host"),
        ("New", [NewServer("imap", "a\r\nb", 993)], "imap-host"),
        ("New", [NewServer("smtp", "smtp.example.org", 0)], "smtp-port"),
        ("New", [NewServer("smtp", "smtp.example.org", None)], "smtp-port"),
        ("New", [NewServer("smtp", "smtp.example.org", 465, "rot13")], "smtp-security"),
        ("New", [NewServer("imap", "imap.example.org", 993, "ssl", "guess")], "imap-login_format"),
        ("New", [NewServer("imap", "imap.example.org", 993, ca_bundle="junk")], "imap-ca_bundle"),
        ("New", [NewServer("ews", url="https://u:p@mail.example.org/")], "ews-url"),
        ("New", [NewServer("pop3", "pop.example.org", 995)], "pop3-protocol"),
    ],
)
def test_a_wrong_server_is_refused_at_its_field(
    manager: object, name: str, servers: list[NewServer], field: str
) -> None:
    Provider.objects.create(key="taken", name="taken")
    with pytest.raises(ValidationError) as caught:
        add_provider_with_servers(name=name, servers=servers, user=manager)  # type: ignore[arg-type]
    assert field in caught.value.message_dict
    assert not Provider.objects.filter(name="New").exists()


def test_without_private_networks_odd_ports_and_unencrypted_servers_are_refused(
    manager: object, settings: object
) -> None:
    settings.PRIVATE_NETWORKS = ()  # type: ignore[attr-defined]
    odd = NewServer("imap", "imap.example.org", 1143, "none")
    with pytest.raises(ValidationError) as caught:
        add_provider_with_servers(name="New", servers=[odd], user=manager)  # type: ignore[arg-type]
    assert set(caught.value.message_dict) == {"imap-port", "imap-security"}


def test_a_taken_domain_leaves_no_half_made_provider(manager: object, fastmail: Provider) -> None:
    with pytest.raises(ValidationError):
        add_provider_with_servers(name="Half", servers=[IMAP], user=manager, domain="gmail.com")  # type: ignore[arg-type]
    assert not Provider.objects.filter(name="Half").exists()


def test_a_provider_in_use_is_not_deleted_and_the_reason_is_said(manager: object) -> None:
    provider = add_provider_with_servers(
        name="Nordlys",
        servers=[IMAP],
        user=manager,  # type: ignore[arg-type]
        domain="nordlys.example",
    )
    EmailAccountFactory(provider=provider)
    with pytest.raises(ValidationError) as caught:
        delete_provider(provider=provider, user=manager)  # type: ignore[arg-type]
    said = " ".join(caught.value.messages)
    assert "nordlys.example" in said and "1 email account" in said


def test_a_provider_that_nothing_uses_is_deleted_and_one_of_the_catalogue_is_not(
    manager: object, fastmail: Provider
) -> None:
    provider = add_provider_with_servers(name="Nordlys", servers=[IMAP], user=manager)  # type: ignore[arg-type]
    remove_domain(row=add_domain(domain="gmx.de", provider=provider, replace=True))
    delete_provider(provider=provider, user=manager)  # type: ignore[arg-type]
    assert not Provider.objects.filter(name="Nordlys").exists()
    assert ProviderDomain.objects.get(domain="gmx.de").is_removed
    with pytest.raises(ValidationError):
        delete_provider(provider=fastmail, user=manager)  # type: ignore[arg-type]
