"""A query that is written once gives the rows that its query set gives, for each id, on both databases."""

from datetime import timedelta

import pytest
from django.db import DataError
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from base.arrays import one_of
from base.prepared import ID, IDS, TEXTS, Prepared, PreparedValues
from mail.models import Correspondent, Folder, Message
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


STRANGE = [
    'quote"s',
    "it's",
    "back\\slash",
    "{braces}",
    "comma, and more",
    "über",
    "日本",
    "",
    "NULL",
    "{-7301948255}",
    "%s",
]
FOUND = PreparedValues(
    lambda texts, ids: (
        Correspondent.objects.filter(one_of("address", texts) | one_of("pk", ids))
        .order_by("address")
        .values_list("address", "pk")
    ),
    TEXTS,
    IDS,
)


def test_tuples_are_found_by_lists_of_any_length_and_by_any_text() -> None:
    rows = Correspondent.objects.bulk_create(Correspondent(address=text, domain="x") for text in [*STRANGE, "a", "b"])
    known = {row.address: row.pk for row in rows}
    for texts, ids in (
        (STRANGE, []), ([], [known["a"]]), (STRANGE[:1], [known["a"], -(2**63)]), ({"a"}, {known["b"]: 1}), ([], []),
        (["missing"] * 500, range(2**40, 2**40 + 500)), *(([one], []) for one in STRANGE),
    ):  # fmt: skip
        expected = {(one, known[one]) for one in known if one in set(texts) or known[one] in set(ids)}
        found = FOUND.fetch(texts, ids)
        assert set(found) == expected and len(found) == len(expected)


def test_values_that_python_makes_out_of_a_column_are_made() -> None:
    account = EmailAccountFactory()
    at = timezone.now()
    folder = FolderFactory(email_account=account, path=["Work", "ü"], cursor={"uid": 7}, on_server_at=at)
    asked = PreparedValues(
        lambda pk: Folder.objects.filter(email_account=pk).order_by("pk").values_list("path", "cursor", "on_server_at"),
        ID,
    )
    for _ in range(2):
        assert asked.fetch(account.pk)[0] == (folder.path, folder.cursor, at)
    assert asked.fetch(EmailAccountFactory().pk) == []


def test_a_query_without_values_and_one_of_several_tables_can_be_written_once() -> None:
    both = PreparedValues(
        lambda: (
            Correspondent.objects.order_by()
            .values_list("address")
            .union(Message.objects.order_by().values_list("from_address"), all=True)
        )
    )
    assert both.fetch() == []
    Correspondent.objects.create(address="one", domain="x")
    MessageFactory(from_address="other")
    assert sorted(both.fetch()) == [("one",), ("other",)]


@pytest.mark.postgres
def test_a_value_that_is_no_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="parameter"):
        PreparedValues(lambda pk, ids: Message.objects.filter(pk=pk).values_list("pk"), ID, IDS).fetch(1, [2])


@pytest.mark.postgres
def test_a_text_with_a_nul_is_an_error_and_not_another_text() -> None:
    with pytest.raises((DataError, ValueError)):
        FOUND.fetch(["a\x00b"], [])
