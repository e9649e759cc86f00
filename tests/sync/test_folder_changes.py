"""Folders renamed, deleted, and lists that lie: links, notes and state survive, nothing is fetched twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db.models import Q
from django.utils import timezone

from drivers.fake.driver import FakeDriver
from drivers.types import RemoteFolder
from linking.models import MessageLink, Reason
from mail.folders import set_followed
from mail.models import Copy, Folder, Message
from sync.absences import PATIENCE
from tests.factories import ContactFactory
from tests.sync.conftest import World, mail


def _bodies(world: World) -> list[str]:
    return [call for call in world.server.calls if call.startswith("fetch_messages")]


def _fill(world: World, name: str, count: int, *, epoch: int) -> None:
    folder = world.server.add_folder(name)
    folder.epoch = epoch
    for number in range(count):
        folder.add(mail(100 * epoch + number))


def _rename(world: World, old: str, new: str) -> None:
    folder = world.server.folders.pop(old)
    folder.name = new
    world.server.folders[new] = folder


def test_a_renamed_folder_keeps_its_row_its_choice_and_every_message(world: World) -> None:
    _fill(world, "Projects", 20, epoch=7)
    world.deliver(3)
    world.sync()
    row = Folder.objects.get(remote_id="Projects")
    set_followed(world.account, Folder.objects.filter(is_followed=True).values_list("pk", flat=True))
    linked = Message.objects.get(subject="Mail 700")
    link = MessageLink.objects.create(message=linked, contact=ContactFactory(), reason=Reason.BY_HAND)
    Message.objects.filter(pk=linked.pk).update(processed_at=timezone.now())
    before = set(Message.objects.values_list("pk", flat=True))
    _rename(world, "Projects", "Porto 2027")
    world.server.calls.clear()
    world.sync()
    world.sync()
    found = Folder.objects.get(remote_id="Porto 2027")
    assert (found.pk, found.is_followed, found.gone_at, found.path) == (row.pk, True, None, ["Porto 2027"])
    assert _bodies(world) == []
    assert set(Message.objects.values_list("pk", flat=True)) == before
    linked.refresh_from_db()
    assert linked.processed_at and MessageLink.objects.filter(pk=link.pk, message=linked).exists()
    world.server.folders["Porto 2027"].add(mail(9))
    world.sync()
    assert "Mail 9" in world.subjects() and world.ledger().adds_up


def test_a_new_folder_with_the_epoch_of_a_deleted_one_is_not_taken_for_it(world: World) -> None:
    _fill(world, "Old", 6, epoch=7)
    world.sync()
    world.server.folders.pop("Old")
    other = world.server.add_folder("New")
    other.epoch = 7
    for number in range(6):
        other.add(mail(500 + number))
    world.sync()
    assert {f"Mail {500 + number}" for number in range(6)} <= set(world.subjects())
    assert Folder.objects.filter(remote_id__in=["Old", "New"]).count() == 2


def test_a_folder_renamed_and_numbered_anew_fetches_no_body_again(world: World) -> None:
    _fill(world, "Projects", 20, epoch=7)
    world.sync()
    before = set(Message.objects.values_list("pk", flat=True))
    _rename(world, "Projects", "Porto 2027")
    world.server.folders["Porto 2027"].renumber()
    world.server.calls.clear()
    world.sync()
    assert _bodies(world) == []
    assert set(Message.objects.values_list("pk", flat=True)) == before
    assert len(world.keys("Porto 2027")) == 20


def test_a_deleted_folder_loses_its_mail_only_after_a_second_look_and_keeps_what_is_linked(world: World) -> None:
    _fill(world, "Projects", 3, epoch=7)
    world.sync()
    MessageLink.objects.create(
        message=Message.objects.get(subject="Mail 700"), contact=ContactFactory(), reason=Reason.BY_HAND
    )
    world.server.folders.pop("Projects")
    world.sync()
    world.sync()
    assert Copy.objects.count() == 3 and not Message.objects.filter(gone_at__isnull=False).exists()
    with time_machine.travel(timezone.now() + PATIENCE + timedelta(minutes=1), tick=True):
        world.sync()
    assert Copy.objects.count() == 0
    assert set(Message.objects.annotate(kept=Q(trashed_at=None)).values_list("subject", "kept")) == {
        ("Mail 700", True),
        ("Mail 701", False),
        ("Mail 702", False),
    }


@pytest.mark.parametrize("kept", [0, 2])
def test_a_folder_list_that_lies_once_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    _fill(world, "Projects", 4, epoch=7)
    world.deliver(4)
    world.sync()
    original = FakeDriver.list_folders
    lies = [True]

    def list_folders(self: FakeDriver) -> list[RemoteFolder]:
        listed = original(self)
        return listed[:kept] if lies and lies.pop() else listed

    monkeypatch.setattr(FakeDriver, "list_folders", list_folders)
    world.server.calls.clear()
    world.sync()
    world.deliver(1, start=9)
    world.sync()
    assert not Folder.objects.filter(gone_at__isnull=False).exists()
    assert not Message.objects.filter(gone_at__isnull=False).exists()
    assert len(world.subjects()) == 9 and world.ledger().adds_up
    assert len(_bodies(world)) == 1, "only the new one"


def test_a_restored_backup_that_counts_on_from_an_older_number_hides_no_new_mail(world: World) -> None:
    world.deliver(10)
    world.sync()
    inbox = world.server.folders["INBOX"]
    for uid in (8, 9, 10):  # what came after the backup is lost on the server
        inbox.copies.pop(uid)
    inbox.uidnext = 8
    inbox.add(mail(81), received_at=timezone.now())
    inbox.add(mail(82), received_at=timezone.now())
    world.sync()
    world.sync()
    assert {"Mail 81", "Mail 82"} <= set(world.subjects())
    assert world.keys() == {str(n) for n in range(1, 10)}
    assert world.ledger().adds_up
    stored = dict(Copy.objects.filter(folder__remote_id="INBOX").values_list("remote_key", "message__subject"))
    assert (stored["7"], stored["8"], stored["9"]) == ("Mail 7", "Mail 81", "Mail 82")
    lost = Message.objects.filter(subject__in=["Mail 8", "Mail 9", "Mail 10"])
    assert lost.filter(gone_at__isnull=False).count() == 3, "kept here, in the trash for thirty days"


def test_mail_in_a_trash_that_is_followed_stays_deleted(world: World) -> None:
    world.deliver(2)
    world.sync()
    set_followed(world.account, Folder.objects.values_list("pk", flat=True))
    message = Message.objects.get(subject="Mail 1")
    Message.objects.filter(pk=message.pk).update(trashed_at=timezone.now())
    inbox, trash = world.server.folders["INBOX"], world.server.folders["Trash"]
    raw = inbox.copies[1]
    trash.add(raw.raw, received_at=raw.received_at)
    inbox.remove("1")
    world.sync()
    message.refresh_from_db()
    assert message.trashed_at is not None and message.gone_at is None
    assert [copy.folder.role for copy in message.copies.all()] == ["trash"]
