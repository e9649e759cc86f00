"""The newest pending copies are claimed in the order of an index, whatever PostgreSQL knows of the table: while a mailbox is
downloaded for the first time it knows nothing, and sorted all that waits for each slice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_disconnecting"),
        ("mail", "0009_packed_html"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="copy",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["email_account", "-received_at", "-uid"],
                name="pending_newest_first",
            ),
        ),
        migrations.RemoveIndex(model_name="copy", name="pending_copies"),
    ]
