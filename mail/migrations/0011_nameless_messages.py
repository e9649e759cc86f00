"""The digest is asked for only where there is no Message-ID: the others need not be entered into its index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mail", "0010_claims_by_the_index")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("message_id_hash__isnull", True)),
                fields=["email_account", "digest"],
                name="nameless_messages",
            ),
        ),
        migrations.RemoveIndex(model_name="message", name="messages_by_digest"),
    ]
