"""The markup of a mail is bytes in its row and text everywhere else."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from base.packing import PACKED
from mail.models import MessageContent
from tests.factories import MessageFactory

LONG = "<p>A lamp &amp; a café</p>\n" * 200
migration = import_module("mail.migrations.0009_packed_html")


def stored(pk: int) -> bytes | str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT html FROM mail_messagecontent WHERE message_id = %s", [pk])
        (value,) = cursor.fetchone()
    return value if isinstance(value, str) else bytes(value)


@pytest.mark.django_db
def test_a_model_gives_back_what_it_was_given() -> None:
    pk = MessageFactory(html=LONG).pk
    raw = stored(pk)
    assert isinstance(raw, bytes) and raw.startswith(PACKED) and len(raw) < len(LONG) / 10
    assert MessageContent.objects.get(pk=pk).html == LONG
    assert MessageContent.objects.values_list("html", flat=True).get(pk=pk) == LONG
    MessageContent.objects.filter(pk=pk).update(html="<p>short</p>")
    assert stored(pk) == b"<p>short</p>"
    assert MessageContent.objects.get(pk=pk).html == "<p>short</p>"


@pytest.mark.django_db(transaction=True)
def test_rows_from_before_are_kept_by_the_migration_both_ways() -> None:
    short, long = MessageFactory(html="a \\ and a ' and \\x41").pk, MessageFactory(html=LONG).pk
    with connection.schema_editor() as editor:
        migration.to_text(apps, editor)
    try:
        assert (stored(short), stored(long)) == ("a \\ and a ' and \\x41", LONG)
    finally:
        with connection.schema_editor() as editor:
            migration.to_bytes(apps, editor)
    found = dict(MessageContent.objects.values_list("pk", "html"))
    assert (found[short], found[long]) == ("a \\ and a ' and \\x41", LONG)
