"""Read and flagged, both ways: the local change wins until it is pushed, then the server."""

from __future__ import annotations

from drivers.errors import ServerUnreachable
from mail.changes import set_flagged, set_read
from mail.models import Change, Message, Thread
from tests.sync.conftest import World


def _message(number: int) -> Message:
    return Message.objects.get(subject=f"Mail {number}")


def test_read_on_the_server_is_read_here(world: World) -> None:
    keys = world.deliver(3)
    world.sync()
    inbox = world.server.folders["INBOX"]
    inbox.modseq += 1
    inbox.copies[int(keys[0])].flags.add("\\seen")
    inbox.copies[int(keys[0])].modseq = inbox.modseq
    world.sync()
    assert _message(1).is_read and not _message(2).is_read
    assert Thread.objects.get(messages=_message(1)).unread_count == 0


def test_read_here_is_read_on_the_server(world: World) -> None:
    keys = world.deliver(3)
    world.sync()
    set_read([_message(2).pk], is_read=True)
    assert Change.objects.filter(done_at__isnull=True).count() == 1
    world.sync()
    assert "\\seen" in world.server.folders["INBOX"].copies[int(keys[1])].flags
    assert not Change.objects.filter(done_at__isnull=True).exists()
    set_read([_message(2).pk], is_read=False)
    world.sync()
    assert "\\seen" not in world.server.folders["INBOX"].copies[int(keys[1])].flags


def test_the_local_change_wins_until_it_is_pushed(world: World) -> None:
    keys = world.deliver(1)
    world.sync()
    set_flagged([_message(1).pk], is_flagged=True)
    world.server.fail_next.append(ServerUnreachable("away"))
    world.sync()
    assert _message(1).is_flagged
    assert Change.objects.filter(done_at__isnull=True).count() == 1
    world.sync()
    assert "\\flagged" in world.server.folders["INBOX"].copies[int(keys[0])].flags
    assert _message(1).is_flagged


def test_taking_a_change_back_before_it_was_pushed_leaves_one_wish(world: World) -> None:
    world.deliver(1)
    world.sync()
    pk = _message(1).pk
    set_read([pk], is_read=True)
    set_read([pk], is_read=False)
    waiting = Change.objects.filter(done_at__isnull=True)
    assert [(change.add, change.remove) for change in waiting] == [([], ["\\Seen"])]


def test_the_threads_counts_follow(world: World) -> None:
    world.deliver(1)
    world.sync()
    thread = Thread.objects.get(messages__subject="Mail 1")
    assert thread.unread_count == 1
    set_read([_message(1).pk], is_read=True)
    thread.refresh_from_db()
    assert thread.unread_count == 0
