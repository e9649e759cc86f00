"""A mail on an Exchange Server that cannot be read is parked as on IMAP: kept, listed, its folder goes on, read again later."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import storages

from accounts.models import EmailAccount
from intake import take_in
from mail import parse
from mail.models import Copy, CopyState, Message
from sync import explain, pipeline
from tests.drivers.contract import mail
from tests.journeys.exchange_moves import ANNA, command
from tests.journeys.test_exchange import connect
from tests.servers.ews import EwsServer, Trouble, poor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
FIGURES = ("on_server", "stored", "failed", "filtered", "pending", "unaccounted")


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")


def bomb(parts: int = 2500) -> bytes:
    """A mail of so many parts that a helper process reads it."""
    head = b"From: Ida <ida@example.org>\r\nTo: anna@example.com\r\nSubject: Number 50\r\nMessage-ID: <m50@example.org>\r\n"
    part = b"--b\r\nContent-Type: text/plain; charset=no-such-charset\r\n\r\ncaf\xe9 of the bomb\r\n"
    return (
        head + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + part * parts + b"--b--\r\n"
    )


def filled(server: EwsServer) -> None:
    """Six ordinary mails and the bomb among them."""
    inbox = server.store.by_name("inbox")
    for number in range(3):
        server.store.add(inbox, mail(number))
    server.store.add(inbox, bomb())
    for number in range(3, 6):
        server.store.add(inbox, mail(number))


def figures() -> tuple[int, ...]:
    """On the server, stored, failed, filtered, pending, unaccounted."""
    told = command("mailbox_status", ANNA)
    return tuple(told[name] for name in FIGURES)


def parked(account: EmailAccount) -> Copy:
    """The only failed copy, as *Why isn't this email here?* and the ledger list it."""
    copy = Copy.objects.get(state=CopyState.FAILED)
    found = [one for one in explain.from_server(account, "Number 50") if one.remote_key == copy.remote_key]
    assert [(one.kind, one.can_be_imported) for one in found] == [("failed", True)]
    (folder,) = [one for one in command("mailbox_status", ANNA)["folders"] if one["failed"]]
    assert [(one["state"], one["reason"], one["count"]) for one in folder["reasons"]] == [("failed", copy.reason, 1)]
    return copy


def test_a_bomb_is_parked_with_its_source_and_read_after_an_update(monkeypatch: Any, ews_server: EwsServer) -> None:
    filled(ews_server)
    with monkeypatch.context() as patch:
        patch.setattr(parse, "JAIL_SECONDS", 0)  # the helper is killed for real
        account = connect(patch, ews_server)
        pipeline.run_once(account.pk)
        assert figures() == (7, 6, 1, 0, 0, 0)
        copy = parked(account)
        assert copy.reason and storages["mail"].open(copy.raw).read() == bomb()
        pipeline.run_once(account.pk)
        assert figures() == (7, 6, 1, 0, 0, 0)
        ews_server.store.add(ews_server.store.by_name("inbox"), mail(9))
        pipeline.run_once(account.pk)
        assert figures() == (8, 7, 1, 0, 0, 0), "the folder goes on"
    ews_server.calls.clear()
    assert explain.try_again(account, [copy.pk]) == 1
    pipeline.run_once(account.pk)
    assert figures() == (8, 8, 0, 0, 0, 0)
    assert "caf" in Message.objects.get(subject="Number 50").content.text
    assert "GetItem" not in ews_server.calls, "it is read from what was kept"


def test_what_the_database_refuses_is_parked_alone(monkeypatch: Any, ews_server: EwsServer) -> None:
    filled(ews_server)
    original = take_in.store_slice

    def refusing(account: object, items: list[Any], **more: Any) -> object:
        if any(item.parsed.subject == "Number 50" for item in items):
            raise ValueError("an encoding that the database refuses")
        return original(account, items, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(take_in, "store_slice", refusing)
        account = connect(patch, ews_server)
        pipeline.run_once(account.pk)
    assert figures() == (7, 6, 1, 0, 0, 0)
    copy = Copy.objects.get(state=CopyState.FAILED)
    assert copy.reason == "The database refused it: ValueError" and copy.raw
    assert explain.import_anyway(account, copy.folder, copy.remote_key) is not None
    assert figures() == (7, 7, 0, 0, 0, 0)


@pytest.mark.parametrize("status", [500, 0])
def test_a_mail_that_the_server_cannot_give_out_is_parked_and_asked_for_again(
    monkeypatch: Any, ews_server: EwsServer, status: int
) -> None:
    filled(ews_server)
    key = list(ews_server.store.by_name("inbox").items)[3]
    poor.stumbles_over(ews_server, key, status=status, wants_mime=False)
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    assert figures() == (7, 6, 1, 0, 0, 0)
    copy = Copy.objects.get(state=CopyState.FAILED)
    assert copy.remote_key == key and copy.reason.startswith("The server could not give it out") and not copy.raw
    ews_server.refuses.clear()
    assert explain.try_again(account, [copy.pk]) == 1
    pipeline.run_once(account.pk)
    assert figures() == (7, 7, 0, 0, 0, 0)


def test_a_mail_that_the_server_cannot_convert_comes_from_its_properties(
    monkeypatch: Any, ews_server: EwsServer
) -> None:
    filled(ews_server)
    key = list(ews_server.store.by_name("inbox").items)[3]
    poor.stumbles_over(ews_server, key)
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    assert figures() == (7, 7, 0, 0, 0, 0)
    assert "caf" in Message.objects.get(subject="Number 50").content.text


def test_a_server_in_trouble_parks_nothing(monkeypatch: Any, ews_server: EwsServer) -> None:
    filled(ews_server)
    account = connect(monkeypatch, ews_server)
    ews_server.troubles += [Trouble("GetItem", status=500, times=50), Trouble("GetFolder", status=500, times=50)]
    with pytest.raises(Exception, match="in trouble"):
        pipeline.run_once(account.pk)
    assert not Copy.objects.filter(state=CopyState.FAILED).exists()
    ews_server.troubles.clear()
    pipeline.run_once(account.pk)
    assert figures() == (7, 7, 0, 0, 0, 0)
