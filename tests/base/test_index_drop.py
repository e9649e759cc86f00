"""Indexes that another one makes needless are gone; nothing else went with them."""

import pytest
from django.db import connection, migrations

from base.index_drop import DropIndexOf
from linking.models import MessageLink
from mail.models import Copy, Message, MessageAddress, Thread, ThreadReference

pytestmark = pytest.mark.django_db
GONE = [
    (Thread, "email_account"), (ThreadReference, "email_account"), (Message, "email_account"), (Message, "thread"),
    (MessageAddress, "correspondent"), (Copy, "folder"), (MessageLink, "message"), (MessageLink, "contact"),
    (MessageLink, "company"),
]  # fmt: skip


def constraints_of(model: type) -> dict[str, dict]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, model._meta.db_table)


@pytest.mark.parametrize(("model", "name"), GONE)
def test_another_index_begins_with_the_column_and_the_foreign_key_holds(model: type, name: str) -> None:
    column = model._meta.get_field(name).column
    found = constraints_of(model).values()
    indexes = [one["columns"] for one in found if one["index"] or one["unique"]]
    assert [column] not in indexes
    assert any(columns[:1] == [column] for columns in indexes)
    assert any(one["foreign_key"] and one["columns"] == [column] for one in found)


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
