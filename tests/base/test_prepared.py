"""A query that is written once gives the rows that its query set gives, for each id, on both databases."""

from datetime import timedelta

import pytest
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from base.prepared import Prepared
from mail.models import Folder, Message
from tests.factories import EmailAccountFactory, FolderFactory, MessageFactory

pytestmark = pytest.mark.django_db


def test_each_id_gets_its_own_rows_with_every_kind_of_value() -> None:
    accounts = [EmailAccountFactory() for _ in range(3)]
    for number, account in enumerate(accounts):
        for place in range(number):
            FolderFactory(
                email_account=account,
                remote_id=f"Work{place}",
                path=["Work", "ü"],
                cursor={"uid": 7},
                on_server_at=timezone.now(),
            )
    folders = Prepared(lambda pk: Folder.objects.filter(email_account=pk).order_by("pk"))
    names = [field.attname for field in Folder._meta.concrete_fields]
    for number, account in enumerate(accounts * 2):
        expected = Folder.objects.filter(email_account=account).order_by("pk")
        found = folders.fetch(account.pk)
        assert len(found) == number % 3
        assert [[getattr(row, name) for name in names] for row in found] == list(
            map(list, expected.values_list(*names))
        )


def test_conditions_that_ask_the_clock_of_the_database_are_asked_anew() -> None:
    message = MessageFactory(gone_at=None)
    gone = Prepared(lambda pk: Message.objects.filter(pk=pk, gone_at__lt=Now()))
    assert not gone.fetch(message.pk)
    Message.objects.update(gone_at=timezone.now() - timedelta(seconds=1))
    assert gone.fetch(message.pk) == [message]


def test_a_condition_on_other_rows_may_stand_in_it() -> None:
    message = MessageFactory()
    rows = Message.objects.filter(email_account=OuterRef("pk"))
    having = Prepared(lambda pk: type(message.email_account).objects.filter(Exists(rows), pk=pk))
    assert having.fetch(message.email_account_id) == [message.email_account]
    assert having.fetch(EmailAccountFactory().pk) == []


def test_a_query_that_does_not_depend_on_the_id_is_refused() -> None:
    with pytest.raises(ValueError, match="parameter"):
        Prepared(lambda pk: Message.objects.filter(is_read=True)).fetch(1)
