"""Markup is sent to the database packed (base.packing). What is there already is the UTF-8 that it was, and is read as such."""

from django.db import migrations

from base.models import PackedText

TABLE, COLUMN = "mail_messagecontent", "html"


def to_bytes(apps, editor):
    """SQLite keeps bytes in a column of text as they are."""
    if editor.connection.vendor == "postgresql":
        _retype(editor, "bytea", f"convert_to({COLUMN}, 'UTF8')")


def to_text(apps, editor):
    """Each row is unpacked first."""
    content, is_postgres = apps.get_model("mail", "MessageContent"), editor.connection.vendor == "postgresql"
    for pk, html in content.objects.values_list("pk", "html").iterator():
        plain = html.encode() if is_postgres else html
        with editor.connection.cursor() as cursor:
            cursor.execute(f"UPDATE {TABLE} SET {COLUMN} = %s WHERE message_id = %s", [plain, pk])  # noqa: S608
    if is_postgres:
        _retype(editor, "text", f"convert_from({COLUMN}, 'UTF8')")


def _retype(editor, kind, values):
    editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN {COLUMN} TYPE {kind} USING {values}")
    editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN {COLUMN} SET COMPRESSION lz4")


class Migration(migrations.Migration):
    dependencies = [("mail", "0008_fewer_constraints")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AlterField("messagecontent", "html", PackedText(blank=True))]
        ),
        migrations.RunPython(to_bytes, to_text),
    ]
