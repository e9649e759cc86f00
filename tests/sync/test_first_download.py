"""The first download: everything in scope, newest first, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from accounts.models import AccountState
from mail.models import Copy, Folder, Message
from sync import pipeline
from tests.sync.conftest import World, mail


def test_every_message_of_the_followed_folders_is_stored(world: World) -> None:
    world.deliver(7)
    world.deliver(3, folder="Sent", start=100)
    assert world.sync() is True
    assert world.keys() == {str(n) for n in range(1, 8)}
    assert world.keys("Sent") == {"1", "2", "3"}
    figures = world.ledger()
    assert (figures.on_server, figures.stored, figures.pending, figures.failed) == (10, 10, 0, 0)
    assert figures.adds_up


def test_drafts_junk_and_trash_are_not_downloaded_by_default(world: World) -> None:
    for folder in ("Drafts", "Junk", "Trash"):
        world.deliver(1, folder=folder)
    world.sync()
    assert world.subjects() == []
    assert set(Folder.objects.filter(is_followed=True).values_list("remote_id", flat=True)) == {"INBOX", "Sent"}


def test_the_newest_fifty_are_taken_in_before_the_rest_is_enumerated(world: World, monkeypatch) -> None:
    world.deliver(120)
    monkeypatch.setattr("sync.enumerate.PAGE", 60)
    order: list[str] = []
    original = pipeline.fetch_slice

    def watched(*args: object, **kwargs: object) -> int:
        count = original(*args, **kwargs)
        order.append(f"{count} of {Copy.objects.count()}")
        return count

    monkeypatch.setattr(pipeline, "fetch_slice", watched)
    world.sync()
    assert order[0] == "50 of 60"
    first = Message.objects.order_by("pk")[:50]
    assert {m.subject for m in first} == {f"Mail {n}" for n in range(71, 121)}
    assert Message.objects.count() == 120


def test_a_second_run_fetches_nothing_and_changes_nothing(world: World) -> None:
    world.deliver(5)
    world.sync()
    before = list(Message.objects.values_list("pk", "created_at"))
    world.server.calls.clear()
    assert world.sync() is True
    assert list(Message.objects.values_list("pk", "created_at")) == before
    assert not [call for call in world.server.calls if call.startswith("fetch_messages")]


def test_only_mail_since_the_date_of_the_period_is_in_scope(make_world) -> None:
    since = (datetime.now(UTC) - timedelta(days=7)).date()
    world = make_world(since=since, period="week")
    world.server.folders["INBOX"].add(mail(1), received_at=datetime.now(UTC) - timedelta(days=30))
    world.server.folders["INBOX"].add(mail(2), received_at=datetime.now(UTC) - timedelta(days=1))
    world.sync()
    assert world.subjects() == ["Mail 2"]
    assert world.ledger().on_server == 1


def test_nothing_is_downloaded_before_the_mailbox_is_active(make_world) -> None:
    world = make_world(state=AccountState.CONNECTED)
    world.deliver(2)
    world.sync()
    assert world.subjects() == []
    assert world.server.calls == []


def test_new_mail_arrives_with_the_next_run(world: World) -> None:
    world.deliver(2)
    world.sync()
    world.deliver(1, start=50)
    world.sync()
    assert world.subjects() == ["Mail 2", "Mail 1", "Mail 50"] or sorted(world.subjects()) == [
        "Mail 1",
        "Mail 2",
        "Mail 50",
    ]
    assert world.ledger().adds_up
    assert world.account.last_new_mail_at is not None
