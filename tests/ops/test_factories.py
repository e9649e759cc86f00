"""The factories make rows that hold together."""

import pytest
from django.db import connection

from mail.models import Copy
from tests.environment import IS_POSTGRES
from tests.factories import CompanyFactory, ContactFactory, FolderFactory, MessageFactory, PartFactory, UserFactory


@pytest.mark.django_db
def test_a_message_has_content_a_thread_and_a_copy() -> None:
    folder = FolderFactory()
    message = MessageFactory(email_account=folder.email_account, folder=folder, text="Good  day\nto you")
    assert message.content.text == "Good  day\nto you"
    assert message.snippet == "Good day to you"
    assert message.thread.unread_count == 1
    assert message.thread.email_account == folder.email_account
    assert Copy.objects.get().message == message
    assert MessageFactory(is_read=True).thread.unread_count == 0


@pytest.mark.django_db
def test_people_have_addresses_and_companies_domains() -> None:
    assert ContactFactory(address="ida@customer.example").addresses.get().address == "ida@customer.example"
    assert CompanyFactory(domain="customer.example").domains.get().domain == "customer.example"
    assert PartFactory().message.has_attachments
    assert UserFactory().check_password("correct horse battery")


@pytest.mark.django_db
def test_the_database_is_the_one_asked_for() -> None:
    assert connection.vendor == ("postgresql" if IS_POSTGRES else "sqlite")
