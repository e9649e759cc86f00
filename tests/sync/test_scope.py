"""The download period and the chosen folders: widening adds, narrowing removes nothing."""

from __future__ import annotations

from datetime import timedelta

from mail.folders import set_followed
from mail.models import Copy, Folder, Message
from tests.sync.conftest import NOW, World, mail


def _since(world: World, days: int | None) -> None:
    world.account.since = (NOW - timedelta(days=days)).date() if days else None
    world.account.save()


def test_widening_adds_the_older_mail(world: World) -> None:
    inbox = world.server.folders["INBOX"]
    inbox.add(mail(1), received_at=NOW - timedelta(days=60))
    inbox.add(mail(2), received_at=NOW - timedelta(days=1))
    _since(world, 7)
    world.sync()
    assert world.subjects() == ["Mail 2"]
    _since(world, 90)
    world.sync()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2"]
    assert world.ledger().adds_up


def test_narrowing_removes_nothing_and_says_out_of_scope(world: World) -> None:
    inbox = world.server.folders["INBOX"]
    inbox.add(mail(1), received_at=NOW - timedelta(days=60))
    inbox.add(mail(2), received_at=NOW - timedelta(days=1))
    world.sync()
    _since(world, 7)
    world.sync()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2"]
    figures = world.ledger()
    assert (figures.on_server, figures.stored, figures.out_of_scope) == (1, 1, 1)
    assert not Message.objects.filter(gone_at__isnull=False).exists()
    _since(world, None)
    world.sync()
    assert world.ledger().out_of_scope == 0 and world.ledger().stored == 2


def test_a_folder_left_out_keeps_its_mail_and_comes_back_without_fetching(world: World) -> None:
    world.server.add_folder("Projects")
    world.deliver(3, folder="Projects")
    world.sync()
    inbox = Folder.objects.get(remote_id="INBOX")
    set_followed(world.account, [inbox.pk])
    world.sync()
    assert len(world.subjects()) == 3
    assert world.ledger().stored == 0
    projects = Folder.objects.get(remote_id="Projects")
    assert not projects.is_followed
    set_followed(world.account, [inbox.pk, projects.pk])
    world.server.calls.clear()
    world.sync()
    assert len(world.subjects()) == 3 and world.ledger().stored == 3
    assert not [call for call in world.server.calls if call.startswith("fetch_messages")]


def test_sent_is_always_followed(world: World) -> None:
    world.sync()
    set_followed(world.account, [])
    assert set(Folder.objects.filter(is_followed=True).values_list("role", flat=True)) == {"sent"}
    assert Copy.objects.count() == 0
