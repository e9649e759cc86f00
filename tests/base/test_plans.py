"""PostgreSQL is told to go by the indexes for one transaction."""

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from base.plans import look_up_by_keys, read_in_order

BY_KEYS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
IN_ORDER = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit")


def shown(names: tuple[str, ...]) -> set[str]:
    with connection.cursor() as cursor:
        return {cursor.execute(f"SHOW {name}").fetchone()[0] for name in names}


@pytest.mark.postgres
@pytest.mark.parametrize(("tell", "names"), [(look_up_by_keys, BY_KEYS), (read_in_order, IN_ORDER)])
@pytest.mark.django_db(transaction=True)
def test_it_holds_for_one_transaction(tell: Callable[[], None], names: tuple[str, ...]) -> None:
    assert shown(names) == {"on"}
    with transaction.atomic():
        tell()
        assert shown(names) == {"off"}
    assert shown(names) == {"on"}
