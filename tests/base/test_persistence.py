"""How hard a write is meant."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from base.persistence import do_not_wait_for_the_disk


@pytest.mark.django_db(transaction=True)
def test_what_can_be_fetched_again_does_not_wait_for_the_disk_and_everything_else_does() -> None:
    if connection.vendor != "postgresql":
        with transaction.atomic():
            do_not_wait_for_the_disk()  # SQLite in WAL mode never waits
        return

    def now() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    usual = now()
    with transaction.atomic():
        do_not_wait_for_the_disk()
        assert now() == "off"
    assert now() == usual
