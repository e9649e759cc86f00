"""Indexes whose column another index begins with are dropped: each row of a download had to be entered into them.

A ledger row is claimed before it is settled: room is left on its page, so that claiming writes into no index (PostgreSQL)."""

import django.db.models.deletion
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
        DropIndexOf(
            model_name="copy",
            name="folder",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="copies", to="mail.folder"
            ),
        ),
        DropIndexOf(
            model_name="message",
            name="email_account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="accounts.emailaccount",
            ),
        ),
        DropIndexOf(
            model_name="message",
            name="processed_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        DropIndexOf(
            model_name="message",
            name="thread",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="messages", to="mail.thread"
            ),
        ),
        DropIndexOf(
            model_name="messageaddress",
            name="correspondent",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="uses",
                to="mail.correspondent",
            ),
        ),
        DropIndexOf(
            model_name="thread",
            name="email_account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.emailaccount",
            ),
        ),
        DropIndexOf(
            model_name="threadreference",
            name="email_account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.emailaccount",
            ),
        ),
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
