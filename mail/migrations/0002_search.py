"""The search index: a table with GIN on PostgreSQL, an FTS5 table and its trigger on SQLite."""

from django.db import migrations

from mail import search_postgres, search_sqlite


def create(apps, editor):
    vendor = editor.connection.vendor
    statements = search_postgres.CREATE if vendor == "postgresql" else (search_sqlite.CREATE, search_sqlite.TRIGGER)
    for statement in statements:
        editor.execute(statement, params=None)  # they hold strftime's own %s


def drop(apps, editor):
    if editor.connection.vendor != "postgresql":
        editor.execute("DROP TRIGGER IF EXISTS mail_search_follows_messages")
    editor.execute("DROP TABLE IF EXISTS mail_search")


class Migration(migrations.Migration):
    dependencies = [("mail", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
