"""Which people and companies a stored mail is linked to, and why."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from linking import services
from linking.matching import Target
from linking.models import MessageLink
from mail.models import Message
from mail.types import StoredMail
from tests.factories import (
    CompanyFactory,
    ContactFactory,
    EmailAccountFactory,
    ProviderDomainFactory,
    ProviderFactory,
    UserFactory,
)
from tests.linking.letters import letter

pytestmark = pytest.mark.django_db


def links_of(message: Message) -> set[tuple[str, str]]:
    """{(name of the record, reason)} of the links that stand."""
    rows = MessageLink.objects.filter(message=message, is_rejected=False).select_related("contact", "company")
    return {(str(row.contact or row.company), row.reason) for row in rows}


def test_a_mail_is_linked_to_its_sender_and_to_the_company_the_sender_works_for() -> None:
    company = CompanyFactory(name="Casa Azulejos")
    ContactFactory(first_name="Inês", last_name="F", company=company, address="ines@correio.example")
    message = letter("ines@correio.example")
    assert services.link_messages([message.pk]) == 2
    assert links_of(message) == {("Inês F", "contact_address"), ("Casa Azulejos", "contact_company")}
    link = MessageLink.objects.get(message=message, contact__isnull=False)
    assert link.evidence == {"role": "from", "address": "ines@correio.example"}


def test_linking_twice_makes_nothing_twice() -> None:
    CompanyFactory(domain="customer.example")
    message = letter("ida@customer.example")
    assert services.link_messages([message.pk]) == 1
    assert services.link_messages([message.pk]) == 0
    assert MessageLink.objects.count() == 1


def test_the_longest_domain_of_a_company_wins_for_a_subdomain() -> None:
    CompanyFactory(name="Group", domain="group.example")
    CompanyFactory(name="Branch", domain="branch.group.example")
    message = letter("x@mail.branch.group.example")
    services.link_messages([message.pk])
    assert links_of(message) == {("Branch", "company_domain")}


def test_recipients_are_linked_but_for_addresses_of_our_own_users_and_mailboxes() -> None:
    ours = CompanyFactory(name="Ours", domain="mail.example")
    CompanyFactory(name="Theirs", domain="customer.example")
    account = EmailAccountFactory(address="me@mail.example")
    UserFactory(email="Colleague@Mail.Example")
    message = letter(
        "me@mail.example",
        to=["ida@customer.example"],
        cc=["colleague@mail.example"],
        email_account=account,
        is_outgoing=True,
    )
    services.link_messages([message.pk])
    assert links_of(message) == {("Theirs", "company_domain")}
    assert not ours.links.exists()


def test_a_public_mail_domain_never_matches_a_company_even_if_one_claims_it() -> None:
    CompanyFactory(name="Claims it", domain="freemail.example")
    ProviderDomainFactory(domain="freemail.example", provider=ProviderFactory(kind="consumer"))
    message = letter("someone@freemail.example")
    services.link_messages([message.pk])
    assert links_of(message) == set()


def test_an_unverified_sender_is_linked_and_said_to_be_unverified() -> None:
    CompanyFactory(domain="customer.example")
    message = letter("ida@customer.example", verdict="failed")
    services.link_messages([message.pk])
    assert MessageLink.objects.get(message=message).evidence["unverified"] is True


def test_a_refused_link_is_not_made_again_nor_in_later_mails_of_the_thread() -> None:
    user = UserFactory()
    company = CompanyFactory(domain="customer.example")
    first = letter("ida@customer.example", to=["me@mail.example"])
    services.link_messages([first.pk])
    assert services.reject_links(message_ids=[first.pk], target=Target(company=company.pk), user=user) == 1
    later = letter("ida@customer.example", email_account=first.email_account, thread=first.thread)
    services.link_messages([first.pk, later.pk])
    assert links_of(first) == links_of(later) == set()
    assert services.restore_links(message_ids=[first.pk], target=Target(company=company.pk), user=user) == 1
    services.link_messages([later.pk])
    assert links_of(first) == links_of(later) == {(company.name, "company_domain")}


def thread_by_hand() -> tuple[Message, Target]:
    """A mail of somebody unknown, linked by hand to a company."""
    company = CompanyFactory(name="By hand")
    first = letter("anna@elsewhere.example", to=["me@mail.example", "ben@elsewhere.example"])
    services.link_by_hand(message_ids=[first.pk], target=Target(company=company.pk), user=UserFactory())
    return first, Target(company=company.pk)


def test_a_reply_of_a_participant_inherits_the_links_of_its_thread() -> None:
    first, _ = thread_by_hand()
    reply = letter("ben@elsewhere.example", email_account=first.email_account, thread=first.thread)
    services.link_messages([reply.pk])
    assert links_of(reply) == {("By hand", "thread")}
    assert MessageLink.objects.get(message=reply).evidence == {"message": first.pk}


def test_a_stranger_who_answers_into_a_thread_inherits_nothing_not_even_the_second_time() -> None:
    first, _ = thread_by_hand()
    for _again in range(2):
        reply = letter(
            "mallory@evil.example", to=["ben@elsewhere.example"], email_account=first.email_account, thread=first.thread
        )
        services.link_messages([reply.pk])
        assert links_of(reply) == set()


def test_a_colleague_of_a_participant_inherits_by_the_company_they_share() -> None:
    CompanyFactory(name="Elsewhere", domain="elsewhere.example")
    first, _ = thread_by_hand()
    reply = letter("new.colleague@elsewhere.example", email_account=first.email_account, thread=first.thread)
    services.link_messages([reply.pk])
    assert links_of(reply) == {("By hand", "thread"), ("Elsewhere", "company_domain")}


def test_a_forged_participant_inherits_nothing() -> None:
    first, _ = thread_by_hand()
    reply = letter("ben@elsewhere.example", email_account=first.email_account, thread=first.thread, verdict="failed")
    services.link_messages([reply.pk])
    assert links_of(reply) == set()


def test_a_link_reaches_a_reply_that_was_downloaded_before_the_mail_it_answers() -> None:
    ContactFactory(first_name="Anna", last_name="A", address="anna@elsewhere.example")
    reply = letter("ben@elsewhere.example", to=["me@mail.example"])
    services.link_messages([reply.pk])
    assert links_of(reply) == set()
    earlier = letter(
        "anna@elsewhere.example",
        to=["ben@elsewhere.example"],
        email_account=reply.email_account,
        thread=reply.thread,
        received_at=reply.received_at.replace(year=2020),
    )
    services.link_messages([earlier.pk])
    assert links_of(reply) == {("Anna A", "thread")}


def test_a_slice_costs_the_same_number_of_queries_whatever_its_size() -> None:
    account = EmailAccountFactory()
    CompanyFactory(domain="customer.example")
    counts = []
    for size in (2, 60):
        ids = [
            letter(f"p{n}@customer.example", to=[f"q{n}@x{n}.example"], email_account=account).pk for n in range(size)
        ]
        with CaptureQueriesContext(connection) as queries:
            assert services.link_messages(ids) == size
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


def test_threads_that_were_just_stored_are_linked_as_if_they_were_read_again() -> None:
    company = CompanyFactory(name="Casa Azulejos", domain="azulejos.example")
    ContactFactory(first_name="Inês", last_name="F", company=company, address="ines@correio.example")
    alone = letter("ines@correio.example")
    first = letter("ida@elsewhere.example", to=["ines@correio.example"])
    reply = letter("ines@correio.example", thread=first.thread, to=["x@azulejos.example"])
    stranger = letter("guess@bad.example", thread=first.thread)
    new_threads = [_as_stored([alone]), _as_stored([first, reply, stranger])]
    made = services.link_messages([one.pk for one in (alone, first, reply, stranger)], new_threads)
    found = set(MessageLink.objects.values_list("message", "contact", "company", "reason"))
    assert made == len(found) > 4
    MessageLink.objects.all().delete()
    assert services.link_messages([one.pk for one in (alone, first, reply, stranger)]) == made
    assert set(MessageLink.objects.values_list("message", "contact", "company", "reason")) == found


def _as_stored(messages: list[Message]) -> list[StoredMail]:
    return [
        StoredMail(
            one.pk,
            one.is_outgoing,
            one.verdict,
            list(one.addresses.order_by("id").values_list("role", "correspondent__address")),
        )
        for one in messages
    ]
