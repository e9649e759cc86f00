"""Many rows at once: what is there already is left alone, the transaction goes on, and values stay what they are."""

import json
from collections import defaultdict
from datetime import timedelta

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import EmailAccount, User
from base.bulk import delete_rows, insert_rows, reserve_ids, update_rows
from mail.models import Correspondent, Folder, Thread, ThreadReference
from tests.factories import MessageFactory

pytestmark = pytest.mark.django_db
COLUMNS = ("address", "domain")
THREAD = (
    "id", "email_account", "subject", "snippet", "participants", "last_received_at", "message_count", "unread_count",
    "open_count", "sent_count", "draft_count", "has_attachments", "is_flagged",
)  # fmt: skip


def addresses() -> list[str]:
    return sorted(Correspondent.objects.values_list("address", flat=True))


def test_rows_that_are_there_are_left_out_and_the_others_are_inserted() -> None:
    insert_rows(Correspondent, COLUMNS, [("b", "kept")])
    with transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", "x"), ("b", "y"), ("c", "z")], ignore_conflicts=True)
        insert_rows(Correspondent, COLUMNS, [("d", "x"), ("e\t\\n\n", "y")], ignore_conflicts=True)
    assert addresses() == ["a", "b", "c", "d", "e\t\\n\n"]
    assert Correspondent.objects.get(address="b").domain == "kept"


def test_the_same_row_twice_in_one_call_is_one_row() -> None:
    insert_rows(Correspondent, COLUMNS, [("a", "x"), ("a", "x")], ignore_conflicts=True)
    assert addresses() == ["a"]


def test_a_conflict_that_was_not_allowed_is_an_error() -> None:
    insert_rows(Correspondent, COLUMNS, [("a", "x")])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", "x")])


def test_an_error_that_is_no_conflict_stays_one() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Correspondent, COLUMNS, [("a", None)], ignore_conflicts=True)


def test_reserved_ids_are_nobody_elses() -> None:
    with transaction.atomic():
        first, second = reserve_ids(Correspondent, 3), reserve_ids(Correspondent, 0)
        insert_rows(Correspondent, ("id", *COLUMNS), [(pk, str(pk), "x") for pk in first])
    assert len(set(first)) == 3 and second == [] and first == sorted(first)
    assert Correspondent.objects.create(address="next", domain="x").pk not in first


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL is given texts")
def test_a_value_that_no_row_has_is_an_error_and_not_its_description() -> None:
    with pytest.raises(TypeError):
        update_rows(Correspondent, ("domain",), [(b"bytes", 1), (b"more", 2)])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps any number in any column")
@pytest.mark.parametrize("count", [2**31, -(2**31) - 1, 2**63])
def test_a_number_that_its_column_cannot_hold_is_refused_and_not_cut_off(count: int) -> None:
    row = (1, 1, "", "", [], timezone.now(), count, 0, 0, 0, 0, False, False)
    with pytest.raises(DataError), transaction.atomic():
        insert_rows(Thread, THREAD, [row])
    with pytest.raises(DataError), transaction.atomic():
        insert_rows(ThreadReference, ("email_account", "id_hash", "thread"), [(1, count * 2**32, 1)])
    assert not Thread.objects.exists()


def test_what_is_inserted_is_what_a_model_reads() -> None:
    user = User.objects.create(username="ida")
    account = EmailAccount.objects.create(owner=user, address="ida@example.com")
    at = timezone.now()
    participants = [["Grüße \\ \t\n", "a@b.example", True], [None, 1.5, {"k": []}]]
    row = (7, account.pk, "\\N \\. \r\n 😀", "", participants, at, 2**31 - 1, 0, 0, 0, 1, True, False)
    insert_rows(Thread, THREAD, [row])
    thread = Thread.objects.get(pk=7)
    assert tuple(getattr(thread, name) for name in ("pk", "email_account_id", *THREAD[2:])) == row


@pytest.mark.parametrize("value", [[], {}, (), 0, False, "", 0.0, defaultdict(list), [0, None, ""], {"a": ()}])
def test_any_json_is_read_as_it_was_written(value: object) -> None:
    account = EmailAccount.objects.create(owner=User.objects.create(username="ida"), address="ida@example.com")
    row = (7, account.pk, "", "", value, timezone.now(), 0, 0, 0, 0, 0, False, False)
    insert_rows(Thread, THREAD, [row])
    assert Thread.objects.get(pk=7).participants == json.loads(json.dumps(value))


def test_rows_are_updated_each_with_its_own_values_and_nothing_where_there_is_none() -> None:
    account = EmailAccount.objects.create(owner=User.objects.create(username="ida"), address="ida@example.com")
    at = timezone.now()
    folders = [Folder.objects.create(email_account=account, remote_id=str(number)) for number in range(3)]
    rows: list[tuple[object, ...]] = [
        (at, None, ["a\\b", 'c"d', "é{},\n"], "NULL", 0, True),
        (None, 2**40, [], "", 0, False),
        (at + timedelta(days=1, microseconds=7), None, [None], "null\\", 0, True),
    ]
    names = ("on_server_at", "on_server", "path", "last_error", "unmended", "is_followed")
    update_rows(Folder, names, [(*row, folder.pk) for row, folder in zip(rows, folders, strict=True)])
    assert list(Folder.objects.order_by("pk").values_list(*names)) == rows


def test_rows_can_be_found_by_another_column_even_by_the_one_that_changes() -> None:
    insert_rows(Correspondent, COLUMNS, [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")])
    update_rows(Correspondent, ("domain",), [("w", "x"), ("w", "y")], by="domain")
    update_rows(Correspondent, ("domain",), [('q"\\', "z")], by="domain")
    found = dict(Correspondent.objects.values_list("address", "domain"))
    assert found == {"a": "w", "b": "w", "c": "w", "d": 'q"\\'}


def test_only_the_named_rows_are_deleted() -> None:
    insert_rows(Correspondent, COLUMNS, [(letter, "x") for letter in "abcd"])
    delete_rows(Correspondent, Correspondent.objects.filter(address__in="bd").values_list("pk", flat=True))
    delete_rows(Correspondent, [])
    assert addresses() == ["a", "c"]


def test_a_row_that_something_refers_to_is_not_deleted() -> None:
    message = MessageFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        delete_rows(Thread, [message.thread_id])
        connection.check_constraints()
    assert Thread.objects.filter(pk=message.thread_id).exists()
