"""The sets compared: what was lost from the ledger is reported and mended."""

from __future__ import annotations

import json
from io import StringIO

from django.core.management import call_command

from mail.models import Copy, Message
from tests.sync.conftest import World


def _status(world: World) -> dict:
    out = StringIO()
    call_command("mailbox_status", world.account.address, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_row_deleted_by_hand_is_reported_and_mended(world: World) -> None:
    world.deliver(6)
    world.sync()
    Copy.objects.filter(remote_key="3").delete()
    assert _status(world)["unaccounted"] == 1
    world.sync(compare_all=True)
    assert world.keys() == {str(n) for n in range(1, 7)}
    assert _status(world)["unaccounted"] == 0
    assert len(world.subjects()) == 6, "the message was still here: nothing was stored twice"


def test_a_message_deleted_by_hand_is_fetched_again(world: World) -> None:
    world.deliver(4)
    world.sync()
    Message.objects.filter(subject="Mail 2").delete()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 3", "Mail 4"]
    world.sync(compare_all=True)
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2", "Mail 3", "Mail 4"]


def test_a_row_that_the_server_does_not_have_goes(world: World) -> None:
    world.deliver(3)
    world.sync()
    ghost = Copy.objects.get(remote_key="1", folder__remote_id="INBOX")
    Copy.objects.filter(pk=ghost.pk).update(remote_key="999", uid=999)
    world.sync(compare_all=True)
    world.sync(compare_all=True)
    assert world.keys() == {"1", "2", "3"}
    assert world.ledger().adds_up


def test_each_folder_is_compared_once_a_day(world: World) -> None:
    world.deliver(2)
    world.sync()
    world.server.calls.clear()
    world.sync()
    assert not [call for call in world.server.calls if "list_ids" in call]
