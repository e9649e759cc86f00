"""Indexes and constraints that another one makes needless are gone; nothing else went with them."""

import pytest
from django.db import IntegrityError, connection, migrations, transaction

from base.index_drop import DropConstraintOf, DropIndexOf
from linking.models import MessageLink
from mail.models import Copy, Message, MessageAddress, Thread, ThreadReference
from tests.factories import CopyFactory, MessageFactory

pytestmark = pytest.mark.django_db
GONE = [
    (Thread, "email_account"), (ThreadReference, "email_account"), (Message, "email_account"), (Message, "thread"),
    (MessageAddress, "correspondent"), (Copy, "folder"), (MessageLink, "message"), (MessageLink, "contact"),
    (MessageLink, "company"),
]  # fmt: skip
# A key whose row reaches the same mailbox by another key, which keeps its constraint (decision 5).
REPEATED = [(Copy, "folder"), (Message, "thread"), (ThreadReference, "thread")]


def constraints_of(model: type) -> dict[str, dict]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, model._meta.db_table)


@pytest.mark.parametrize(("model", "name"), GONE)
def test_another_index_begins_with_the_column(model: type, name: str) -> None:
    column = model._meta.get_field(name).column
    found = constraints_of(model).values()
    indexes = [one["columns"] for one in found if one["index"] or one["unique"]]
    assert [column] not in indexes
    assert any(columns[:1] == [column] for columns in indexes)


@pytest.mark.parametrize(("model", "name"), [one for one in GONE if one[1] != "email_account"])
def test_the_foreign_keys_hold_without_their_indexes(model: type, name: str) -> None:
    column = model._meta.get_field(name).column
    assert any(one["foreign_key"] and one["columns"] == [column] for one in constraints_of(model).values())


@pytest.mark.postgres
@pytest.mark.parametrize(("model", "way"), REPEATED)
def test_a_row_reaches_its_mailbox_by_one_constraint_and_not_by_two(model: type, way: str) -> None:
    keys = [one["columns"] for one in constraints_of(model).values() if one["foreign_key"]]
    assert ["email_account_id"] not in keys
    above = model._meta.get_field(way)
    assert [above.column] in keys
    above_keys = [one["columns"] for one in constraints_of(above.related_model).values() if one["foreign_key"]]
    assert ["email_account_id"] in above_keys


@pytest.mark.postgres
@pytest.mark.parametrize("factory", [CopyFactory, MessageFactory])
def test_a_mailbox_cannot_go_from_under_its_rows(factory: type) -> None:
    account = factory().email_account_id
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_emailaccount WHERE id = %s", [account])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.postgres
def test_a_dropped_constraint_can_be_made_again() -> None:
    from_state = migrations.state.ProjectState.from_apps(migrations.state.global_apps)
    drop = DropConstraintOf("message", "email_account")

    def has_it() -> bool:
        return ["email_account_id"] in [
            one["columns"] for one in constraints_of(Message).values() if one["foreign_key"]
        ]

    with connection.schema_editor() as editor:
        drop.database_backwards("mail", editor, from_state, from_state)
    assert has_it()
    with connection.schema_editor() as editor:
        drop.database_forwards("mail", editor, from_state, from_state)
    assert not has_it()


def test_an_index_that_the_model_names_stays() -> None:
    assert "missing_copies" in constraints_of(Copy)


@pytest.mark.postgres
def test_a_dropped_index_can_be_made_again() -> None:
    from_state = migrations.state.ProjectState.from_apps(migrations.state.global_apps)
    drop = DropIndexOf("copy", "folder")
    with connection.schema_editor() as editor:
        drop.database_backwards("mail", editor, from_state, from_state)
    assert ["folder_id"] in [one["columns"] for one in constraints_of(Copy).values() if one["index"]]
    with connection.schema_editor() as editor:
        drop.database_forwards("mail", editor, from_state, from_state)
    assert ["folder_id"] not in [one["columns"] for one in constraints_of(Copy).values() if one["index"]]


def test_the_search_row_still_goes_with_its_message_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'mail_message'")
        assert ("mail_search_follows_messages",) in cursor.fetchall()
