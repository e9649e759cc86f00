"""sync_account and mailbox_status: figures that scripts rely on."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AccountState
from tests.sync.conftest import World

FIGURES = ("on_server", "stored", "filtered", "failed", "pending")


def _json(*args: str) -> dict:
    out = StringIO()
    call_command(*args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_sync_account_reads_until_nothing_is_pending_and_prints_the_figures(world: World) -> None:
    world.deliver(12)
    world.deliver(3, folder="Sent", start=100)
    figures = _json("sync_account", "Anna@EXAMPLE.com")
    assert {name: figures[name] for name in FIGURES} == {
        "on_server": 15,
        "stored": 15,
        "filtered": 0,
        "failed": 0,
        "pending": 0,
    }
    assert figures["seconds"] >= 0
    inbox = next(folder for folder in figures["folders"] if folder["role"] == "inbox")
    assert (inbox["name"], inbox["on_server"], inbox["stored"]) == ("INBOX", 12, 12)


def test_the_table_adds_up_for_a_person(world: World) -> None:
    world.deliver(2)
    out = StringIO()
    call_command("sync_account", world.account.address, stdout=out)
    assert "INBOX" in out.getvalue() and "Total" in out.getvalue() and "seconds" in out.getvalue()


def test_mailbox_status_asks_no_server(world: World) -> None:
    world.deliver(2)
    world.sync()
    world.server.calls.clear()
    assert _json("mailbox_status", world.account.address)["stored"] == 2
    assert isinstance(_json("mailbox_status"), list)
    assert world.server.calls == []


def test_an_unknown_address_is_said_with_the_mend(world: World) -> None:
    with pytest.raises(CommandError, match="add_email_account"):
        call_command("sync_account", "nobody@example.com")


def test_a_mailbox_that_is_not_active_is_not_downloaded(make_world) -> None:
    world = make_world(state=AccountState.PAUSED)
    with pytest.raises(CommandError, match="active"):
        call_command("sync_account", world.account.address)


def test_a_refused_password_is_a_clear_error_without_the_password(world: World) -> None:
    world.server.password = "changed"
    with pytest.raises(CommandError, match="could not be read") as raised:
        call_command("sync_account", world.account.address)
    assert "secret" not in str(raised.value)
