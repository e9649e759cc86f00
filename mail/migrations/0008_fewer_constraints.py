"""A copy has its mailbox by its folder, a message and a Message-ID by their thread: PostgreSQL looked the mailbox up once more
for each of them."""

from django.db import migrations

from base.index_drop import DropConstraintOf


class Migration(migrations.Migration):
    dependencies = [("mail", "0007_fewer_indexes")]

    operations = [
        DropConstraintOf("copy", "email_account"),
        DropConstraintOf("message", "email_account"),
        DropConstraintOf("threadreference", "email_account"),
    ]
