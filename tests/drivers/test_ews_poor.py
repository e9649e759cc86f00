"""A server that does less than the documentation says: nothing is lost, nothing runs for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drivers.ews.driver import EwsDriver
from tests.drivers.contract import mail
from tests.servers.ews import EwsServer, Trouble, operations

FAR = 10_000


def filled(server: EwsServer, count: int) -> list[str]:
    """The inbox with so many mails, oldest first; one of last year among them."""
    inbox, now = server.store.by_name("inbox"), datetime.now(UTC)
    keys = [server.store.add(inbox, mail(999), received_at=now - timedelta(days=400)).id]
    return keys + [
        server.store.add(inbox, mail(number), received_at=now - timedelta(minutes=count - number)).id
        for number in range(count)
    ]


def everything(server: EwsServer, limit: int, since: datetime | None = None) -> list[str]:
    """All keys that a first look tells, page by page."""
    seen: list[str] = []
    inbox = server.store.by_name("inbox").id
    day = since.date() if since else None
    with EwsDriver(server.server_address(), server.login()) as driver:
        changes = driver.fetch_changes(inbox, None, since=day, limit=limit)
        for _turn in range(500):
            seen += [copy.key for copy in changes.added]
            if not changes.has_more:
                return seen
            changes = driver.fetch_changes(inbox, changes.cursor, since=day, limit=limit)
    raise AssertionError("it does not end")


def test_without_finditem_the_walk_tells_all(ews_server: EwsServer) -> None:
    keys = filled(ews_server, 20)
    ews_server.troubles.append(Trouble("FindItem", code="ErrorInvalidOperation", times=1000))
    assert set(everything(ews_server, 6)) == set(keys)
    week_ago = datetime.now(UTC) - timedelta(days=7)
    assert set(everything(ews_server, 6, week_ago)) == set(keys[1:])
    with EwsDriver(ews_server.server_address(), ews_server.login()) as driver:
        (found,) = driver.find(ews_server.store.by_name("inbox").id, "<m3@example.org>")
    assert found.key == keys[4]


@pytest.mark.parametrize("what", ["Restriction", "SortOrder", "Offset", "all"])
def test_a_server_that_ignores_a_part_of_the_question(
    ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    keys = filled(ews_server, 30)
    child, page = operations._child, operations._page

    def without(element: object, name: str, namespace: str = "") -> object:
        return (
            None
            if name == what or (what == "all" and name in ("Restriction", "SortOrder"))
            else child(element, name, namespace)
        )

    def first(request: object, view: str, found: list[object]) -> object:
        wish = child(request, view)
        if wish is not None:
            wish.set("Offset", "0")
        return page(request, view, found)

    monkeypatch.setattr(operations, "_child", without)
    if what in ("Offset", "all"):
        monkeypatch.setattr(operations, "_page", first)
    seen = everything(ews_server, 7, datetime.now(UTC) - timedelta(days=7))
    assert set(seen) == set(keys[1:]) and len(seen) == len(keys) - 1


def test_a_mailbox_above_the_memory_of_the_cursor_is_told_whole(
    ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.ews.changes.TOLD_MOST", 5)
    keys = filled(ews_server, 40)
    seen = everything(ews_server, 10)
    assert set(seen) == set(keys)
    assert seen[:5] == keys[:-6:-1]
