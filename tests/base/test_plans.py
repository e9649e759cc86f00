"""PostgreSQL is told to go by the indexes for one transaction."""

import pytest
from django.db import connection, transaction

from base.plans import look_up_by_keys

SETTINGS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")


def shown() -> set[str]:
    with connection.cursor() as cursor:
        return {cursor.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_it_holds_for_one_transaction() -> None:
    assert shown() == {"on"}
    with transaction.atomic():
        look_up_by_keys()
        assert shown() == {"off"}
    assert shown() == {"on"}
