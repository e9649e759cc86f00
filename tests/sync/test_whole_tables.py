"""A slice is stored, indexed and claimed by keys: what else lies in the tables is not read for it, statistics or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from base import plans
from intake import take_in
from mail import search
from mail.models import Copy, CopyState, Message
from sync import claims
from tests.sync.conftest import World

pytestmark = pytest.mark.postgres
# Not mail_threadreference: its index is narrow, and all of a mailbox in it is looked through in a millisecond.
TABLES = ("mail_message", "mail_copy", "mail_messageaddress", "linking_messagelink", "mail_thread")
MANY = 3000


def rows_read() -> dict[str, int]:
    """Rows that this transaction read of each table, in order of the table or by an index (the manual, 28.2.21)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = ANY(%s)",
            [list(TABLES)],
        )
        return {name: in_order + by_index for name, in_order, by_index in cursor.fetchall()}


def added(act: Callable[[], object]) -> dict[str, int]:
    """What `act` read more. A test is one transaction: what the planner was told before is taken back."""
    with connection.cursor() as cursor:
        for name in {*plans._BY_KEYS, *plans._IN_ORDER}:
            cursor.execute(f"SET LOCAL {name} TO on")
    before = rows_read()
    act()
    return {name: count - before.get(name, 0) for name, count in rows_read().items()}


def analyze() -> None:
    with connection.cursor() as cursor:
        for table in (*TABLES, "mail_threadreference"):
            cursor.execute(f"ANALYZE {table}")


@pytest.fixture(params=["nothing", "little", "all"])
def full(world: World, request: pytest.FixtureRequest) -> World:
    """A mailbox with many mails, of which PostgreSQL knows nothing, or that there were few, or all that statistics say."""
    world.deliver(20)
    world.sync()
    if request.param == "little":
        analyze()
    world.deliver(MANY - 20, start=21)
    world.sync()
    assert Message.objects.count() == MANY
    if request.param == "all":
        analyze()
    return world


def test_a_slice_is_stored_without_reading_the_others(full: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, int] = {}
    store = take_in.store

    def measured(*given: object, **more: object) -> object:
        result = []
        read.update(added(lambda: result.append(store(*given, **more))))  # type: ignore[arg-type]
        return result[0]

    monkeypatch.setattr("sync.gathering.store", measured)
    full.deliver(10, start=MANY + 1)
    full.sync()
    assert Message.objects.count() == MANY + 10
    assert read and max(read.values()) < MANY / 2, read


def test_the_index_is_written_without_reading_the_others(full: World) -> None:
    search.index_pending(MANY)
    Message.objects.filter(pk__in=Message.objects.order_by("pk").values("pk")[:5]).update(is_indexed=False)
    read = added(lambda: search.index_pending(5))
    assert not Message.objects.filter(is_indexed=False).exists()
    assert read["mail_message"] < MANY / 2, read


def test_a_claim_reads_what_it_takes(full: World) -> None:
    Copy.objects.update(state=CopyState.PENDING, message=None)
    taken: list[object] = []
    read = added(lambda: taken.extend(claims.claim(full.account.pk, "one", 10)))
    assert len(taken) == 10
    assert read["mail_copy"] < MANY / 2, read
