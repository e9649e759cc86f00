"""Indexes whose column another index begins with are dropped: each row of a download had to be entered into them.

A ledger row is claimed before it is settled: room is left on its page, so that claiming writes into no index (PostgreSQL)."""

from django.conf import settings
from django.db import migrations, models

from base.index_drop import DropIndexOf


def leave_room(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE mail_copy SET (fillfactor = 50)")


def leave_none(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE mail_copy RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_disconnecting"),
        ("mail", "0006_unmended"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        DropIndexOf("copy", "folder"),
        DropIndexOf("message", "email_account"),
        DropIndexOf("message", "processed_by"),
        DropIndexOf("message", "thread"),
        DropIndexOf("messageaddress", "correspondent"),
        DropIndexOf("thread", "email_account"),
        DropIndexOf("threadreference", "email_account"),
        migrations.RunPython(leave_room, leave_none),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("processed_by__isnull", False)),
                fields=["processed_by"],
                name="messages_processed_by",
            ),
        ),
    ]
