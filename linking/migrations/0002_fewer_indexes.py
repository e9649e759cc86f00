"""Indexes whose column another index begins with are dropped; those of one kind of record hold no rows of the other."""

from django.conf import settings
from django.db import migrations, models

from base.index_drop import DropIndexOf


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0002_address_validity"),
        ("linking", "0001_initial"),
        ("mail", "0006_unmended"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="messagelink",
            name="links_of_a_contact",
        ),
        migrations.RemoveIndex(
            model_name="messagelink",
            name="links_of_a_company",
        ),
        DropIndexOf("messagelink", "company"),
        DropIndexOf("messagelink", "contact"),
        DropIndexOf("messagelink", "made_by"),
        DropIndexOf("messagelink", "message"),
        migrations.AddIndex(
            model_name="messagelink",
            index=models.Index(
                condition=models.Q(("contact__isnull", False)),
                fields=["contact", "-message"],
                name="links_of_a_contact",
            ),
        ),
        migrations.AddIndex(
            model_name="messagelink",
            index=models.Index(
                condition=models.Q(("company__isnull", False)),
                fields=["company", "-message"],
                name="links_of_a_company",
            ),
        ),
        migrations.AddIndex(
            model_name="messagelink",
            index=models.Index(
                condition=models.Q(("made_by__isnull", False)), fields=["made_by"], name="links_made_by"
            ),
        ),
    ]
