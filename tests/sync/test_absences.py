"""What is no longer on the server: seen twice, kept when it matters, and one strange answer deletes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from linking.models import MessageLink, Reason
from mail.models import Copy, Message
from sync.absences import PATIENCE, TRASH_KEPT, erase_trash
from tests.factories import ContactFactory
from tests.sync.conftest import World


def test_a_deleted_message_goes_to_the_trash_and_out_of_the_ledger(world: World) -> None:
    keys = world.deliver(5)
    world.sync()
    world.server.folders["INBOX"].remove(keys[0])
    world.sync()
    assert world.keys() == set(keys[1:])
    gone = Message.objects.get(subject="Mail 1")
    assert gone.gone_at and gone.trashed_at
    assert world.ledger().adds_up


def test_a_linked_message_stays_and_is_marked(world: World) -> None:
    keys = world.deliver(5)
    world.sync()
    message = Message.objects.get(subject="Mail 1")
    MessageLink.objects.create(message=message, contact=ContactFactory(), reason=Reason.BY_HAND)
    world.server.folders["INBOX"].remove(keys[0])
    world.sync()
    message.refresh_from_db()
    assert message.gone_at is not None
    assert message.trashed_at is None


def test_a_processed_message_stays(world: World) -> None:
    keys = world.deliver(5)
    world.sync()
    Message.objects.filter(subject="Mail 1").update(processed_at=timezone.now())
    world.server.folders["INBOX"].remove(keys[0])
    world.sync()
    assert Message.objects.get(subject="Mail 1").trashed_at is None


def test_a_folder_that_seems_empty_loses_nothing_at_once(world: World) -> None:
    keys = world.deliver(40)
    world.sync()
    for key in keys:
        world.server.folders["INBOX"].remove(key)
    world.sync()
    world.sync()
    assert Copy.objects.filter(folder__remote_id="INBOX").count() == 40
    assert not Message.objects.filter(gone_at__isnull=False).exists()
    with time_machine.travel(timezone.now() + PATIENCE + timedelta(minutes=1)):
        world.sync()
    assert Copy.objects.filter(folder__remote_id="INBOX").count() == 0


def test_what_is_back_on_the_second_look_stays(world: World) -> None:
    keys = world.deliver(3)
    world.sync()
    Copy.objects.filter(remote_key=keys[1]).update(missing_since=timezone.now())
    world.sync()
    assert Copy.objects.get(remote_key=keys[1], folder__remote_id="INBOX").missing_since is None


@pytest.mark.django_db(transaction=True)
def test_the_trash_is_erased_after_thirty_days(world: World) -> None:
    keys = world.deliver(3)
    world.sync()
    world.server.folders["INBOX"].remove(keys[0])
    world.sync()
    assert erase_trash() == 0
    with time_machine.travel(timezone.now() + TRASH_KEPT + timedelta(hours=1)):
        assert erase_trash() == 1
    assert not Message.objects.filter(subject="Mail 1").exists()
    assert Message.objects.count() == 2


def test_a_move_keeps_the_message_its_links_and_its_state(world: World) -> None:
    keys = world.deliver(5)
    world.server.add_folder("Projects")
    world.sync()
    message = Message.objects.get(subject="Mail 3")
    Message.objects.filter(pk=message.pk).update(processed_at=timezone.now())
    inbox, projects = world.server.folders["INBOX"], world.server.folders["Projects"]
    raw = inbox.copies[int(keys[2])]
    projects.add(raw.raw, flags=("\\Seen",), received_at=raw.received_at)
    inbox.remove(keys[2])
    world.sync()
    assert Message.objects.filter(subject="Mail 3").count() == 1
    message.refresh_from_db()
    assert message.gone_at is None and message.processed_at is not None
    assert [copy.folder.remote_id for copy in message.copies.all()] == ["Projects"]


def test_a_new_uidvalidity_keeps_every_message_and_fetches_no_body_again(world: World) -> None:
    world.deliver(30)
    world.sync()
    before = set(Message.objects.values_list("pk", flat=True))
    world.server.folders["INBOX"].renumber()
    world.server.calls.clear()
    world.sync()
    world.sync()
    assert set(Message.objects.values_list("pk", flat=True)) == before
    assert not Message.objects.filter(gone_at__isnull=False).exists()
    assert len(world.keys()) == 30
    assert world.ledger().adds_up
    assert Copy.objects.filter(folder__remote_id="INBOX", epoch=1).count() == 0
    assert not [call for call in world.server.calls if call.startswith("fetch_messages")]
