"""Saving cards when somebody else saves at the same moment; uploads that nobody imports."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from contacts import queries, services
from contacts.models import Contact
from contacts.services import CompanyFields, ContactFields
from linking import uploads
from tests.factories import CompanyFactory, ContactFactory, ProviderDomainFactory, ProviderFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_an_address_that_somebody_else_saved_meanwhile_is_an_error_of_the_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ContactFactory(address="ida@customer.example")
    monkeypatch.setattr(services, "_check_contact", lambda fields, contact: (["ida@customer.example"], []))
    with pytest.raises(ValidationError) as error:
        services.save_contact(fields=ContactFields(first_name="Other"))
    assert "addresses" in error.value.message_dict
    assert Contact.objects.count() == 1


def test_a_public_mail_domain_or_one_below_it_is_refused_for_a_company() -> None:
    ProviderDomainFactory(domain="freemail.example", provider=ProviderFactory(kind="consumer"))
    for domain in ("freemail.example", "mail.freemail.example"):
        with pytest.raises(ValidationError):
            services.save_company(fields=CompanyFields(name="Claims it", domains=[domain]))
    assert queries.free_domain("someone@freemail.example") == ""


def test_a_suggested_company_is_the_one_with_the_longest_domain() -> None:
    CompanyFactory(name="Group", domain="group.example")
    branch = CompanyFactory(name="Branch", domain="branch.group.example")
    assert queries.company_of("x@mail.branch.group.example") == branch
    assert queries.company_of("x@elsewhere.example") is None
    assert queries.company_of("nonsense") is None


def test_saving_a_card_twice_changes_nothing() -> None:
    fields = ContactFields(first_name="Ida", addresses=["ida@x.example", "IDA@X.example"], phones=["+4791234567"])
    contact, first = services.save_contact(fields=fields)
    _contact, second = services.save_contact(fields=fields, contact=contact)
    assert first.added_addresses == ("ida@x.example",)
    assert second.added_addresses == second.removed_addresses == ()
    assert contact.phones.count() == 1


def test_an_uploaded_file_is_forgotten_after_a_day_and_is_its_users_only() -> None:
    user = UserFactory()
    token = uploads.keep(b"one", user=user)
    assert uploads.read(token, user=user) == b"one"
    assert uploads.read(token, user=UserFactory()) is None
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert uploads.read(token, user=user) is None
        uploads.keep(b"two", user=user)  # sweeps
    assert uploads.read(token, user=user) is None
