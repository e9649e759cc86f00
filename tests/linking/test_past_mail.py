"""Linking the mail of the past: in batches that a killed worker cannot lose."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from linking import past, people, services
from linking.matching import Target
from linking.models import MessageLink, PastMail
from linking.tasks import link_past_mail
from tests.factories import CompanyFactory, ContactFactory, EmailAccountFactory, UserFactory
from tests.linking.letters import letter

pytestmark = pytest.mark.django_db


def mails(count: int, sender: str = "ida@customer.example") -> list[int]:
    account = EmailAccountFactory()
    return [letter(sender, email_account=account).pk for _ in range(count)]


def test_a_long_past_is_linked_in_batches_newest_first_and_resumed_from_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past, "BATCH", 4)
    ids = mails(10)
    ContactFactory(address="ida@customer.example")
    past.note_past_mail(addresses=["ida@customer.example"])
    assert past.link_past_mail(limit=4) == 4
    assert set(MessageLink.objects.values_list("message_id", flat=True)) == set(ids[-4:])
    assert not past.is_past_mail_linked()
    assert PastMail.objects.get().below == ids[-4]
    assert past.link_past_mail() == 6
    assert past.is_past_mail_linked()


def test_what_a_request_leaves_is_done_by_the_task_it_rings(monkeypatch: pytest.MonkeyPatch, with_tasks) -> None:  # noqa: ANN001
    monkeypatch.setattr(past, "BATCH", 2)
    monkeypatch.setattr(past, "AT_ONCE", 2)
    mails(7)
    client = Client()
    client.force_login(UserFactory())
    with_tasks(lambda: client.post(reverse("panel:contact_new"), {"addresses": "ida@customer.example"}))
    assert MessageLink.objects.count() == 7


def test_the_task_does_nothing_when_nothing_waits() -> None:
    link_past_mail()
    assert not MessageLink.objects.exists()


def test_a_refusal_survives_the_linking_of_the_past_and_the_loss_of_an_address() -> None:
    user = UserFactory()
    (message,) = mails(1)
    contact = ContactFactory(address="ida@customer.example")
    services.link_messages([message])
    services.reject_links(message_ids=[message], target=Target(contact=contact.pk), user=user)
    past.note_past_mail(addresses=["ida@customer.example"])
    past.link_past_mail()
    past.unlink_addresses(["ida@customer.example"], contact_id=contact.pk)
    assert MessageLink.objects.get().is_rejected


def test_a_link_made_by_hand_stays_when_its_address_goes() -> None:
    (message,) = mails(1)
    contact = ContactFactory(address="ida@customer.example")
    services.link_messages([message])
    services.link_by_hand(message_ids=[message], target=Target(contact=contact.pk), user=UserFactory())
    contact.addresses.all().delete()
    assert past.unlink_addresses(["ida@customer.example"], contact_id=contact.pk) == 0
    assert MessageLink.objects.get().reason == "by_hand"


def test_a_mail_whose_address_went_is_linked_by_what_else_it_holds() -> None:
    account = EmailAccountFactory()
    contact = ContactFactory(address="ida@customer.example")
    message = letter("ida@customer.example", cc=["ida@private.example"], email_account=account)
    services.link_messages([message.pk])
    contact.addresses.create(address="ida@private.example")
    contact.addresses.filter(address="ida@customer.example").delete()
    past.unlink_addresses(["ida@customer.example"], contact_id=contact.pk)
    assert MessageLink.objects.get().evidence["role"] == "cc"


def test_what_a_thread_inherited_goes_with_the_link_it_came_from() -> None:
    contact = ContactFactory(address="ida@customer.example")
    first = letter("ida@customer.example", to=["ben@elsewhere.example"])
    reply = letter("ben@elsewhere.example", email_account=first.email_account, thread=first.thread)
    services.link_messages([first.pk, reply.pk])
    assert MessageLink.objects.filter(message=reply, reason="thread").exists()
    contact.addresses.all().delete()
    past.unlink_addresses(["ida@customer.example"], contact_id=contact.pk)
    assert not MessageLink.objects.exists()


def test_merging_keeps_one_link_per_mail_and_it_stands_if_either_stood() -> None:
    user = UserFactory()
    kept, merged = ContactFactory(address="a@customer.example"), ContactFactory(address="b@customer.example")
    both = letter("a@customer.example", to=["b@customer.example"])
    only = letter("b@customer.example", email_account=both.email_account)
    services.link_messages([both.pk, only.pk])
    services.reject_links(message_ids=[both.pk], target=Target(contact=kept.pk), user=user)
    people.merge_contacts(kept=kept, merged=merged)
    rows = MessageLink.objects.filter(contact=kept)
    assert {(row.message_id, row.is_rejected) for row in rows} == {(both.pk, False), (only.pk, False)}


def test_a_contact_who_moves_to_another_company_takes_the_mail_along() -> None:
    old, new = CompanyFactory(name="Old"), CompanyFactory(name="New")
    (message,) = mails(1)
    contact = ContactFactory(company=old, address="ida@customer.example")
    services.link_messages([message])
    fields = people.ContactFields(first_name="Ida", company_id=new.pk, addresses=["ida@customer.example"])
    people.save_contact(fields=fields, contact=contact)
    past.link_past_mail()
    companies = MessageLink.objects.filter(company__isnull=False).values_list("company__name", flat=True)
    assert list(companies) == ["New"]
