"""A message that cannot be read or stored is parked with its raw source and a reason; the others go on."""

from __future__ import annotations

import pytest
from django.core.files.storage import storages
from django.db import DataError, connection

from intake import take_in as room
from mail.models import Copy, CopyState, Message
from mail.parse import Unreadable
from tests.sync.conftest import World, mail


def test_an_unreadable_message_is_parked_and_its_folder_goes_on(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = room.parse_safely

    def poisoned(raw: bytes, **more: object) -> object:
        if b"Subject: Mail 2\r\n" in raw:
            raise Unreadable("takes more than 30 s")
        return original(raw, **more)

    monkeypatch.setattr(room, "parse_safely", poisoned)
    world.deliver(3)
    assert world.sync() is True
    failed = Copy.objects.get(state=CopyState.FAILED)
    assert failed.reason == "takes more than 30 s"
    assert b"Subject: Mail 2" in storages["mail"].open(failed.raw).read()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 3"]
    figures = world.ledger()
    assert (figures.stored, figures.failed, figures.unaccounted) == (2, 1, 0)


def test_a_message_that_the_database_refuses_is_parked_alone(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = room.store_slice

    def refusing(account: object, items: list, **more: object) -> object:
        if any(item.parsed.subject == "Mail 2" for item in items):
            raise DataError("value too long")
        return original(account, items, **more)

    monkeypatch.setattr(room, "store_slice", refusing)
    world.deliver(3)
    assert world.sync() is True
    assert Copy.objects.get(state=CopyState.FAILED).remote_key == "2"
    assert sorted(world.subjects()) == ["Mail 1", "Mail 3"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x00\x00",
        b"Subject: =?utf-8?q?a=00b=0D=0AX:_y?=\r\n\r\nx\x00y",
        b"From: \xff\xfe <a@b>\r\nSubject: \xed\xa0\x80\r\n\r\n\xed\xa0\x80",
        b"Message-ID: <" + b"x" * 60_000 + b"@a>\r\nReferences: " + b"<y@z> " * 20_000 + b"\r\n\r\nhello",
        b"Subject: " + b"long " * 5000 + b"\r\nFrom: " + b"n" * 5000 + b" <a@b.example>\r\n\r\nhello",
        b"To: " + b"x@y.example, " * 3000 + b"\r\n\r\nmany recipients",
        b"Content-Type: text/plain; charset=no-such-charset\r\n\r\ncaf\xe9",
        b'Content-Type: application/x; name="' + b"f" * 9000 + b'"\r\nContent-Disposition: attachment\r\n\r\nx',
    ],
    ids=["empty", "nul", "crlf-word", "surrogate", "long-ids", "long-subject", "many-to", "charset", "long-name"],
)
def test_hostile_bytes_are_stored_whole_or_parked_never_lost(world: World, raw: bytes) -> None:
    world.server.folders["INBOX"].add(raw)
    world.deliver(1, start=7)
    assert world.sync() is True
    assert "Mail 7" in world.subjects()
    assert not Copy.objects.filter(state=CopyState.PENDING).exists()
    assert world.ledger().unaccounted == 0
    assert Message.objects.count() + Copy.objects.filter(state=CopyState.FAILED).count() == 2


REFUSE = {
    "postgresql": (
        "ALTER TABLE mail_messagecontent ADD CONSTRAINT no_poison CHECK (text NOT LIKE '%poison%')",
        "ALTER TABLE mail_messagecontent DROP CONSTRAINT no_poison",
    ),
    "sqlite": (
        "CREATE TRIGGER no_poison BEFORE INSERT ON mail_messagecontent WHEN new.text LIKE '%poison%'"
        " BEGIN SELECT RAISE(ABORT, 'poison'); END",
        "DROP TRIGGER no_poison",
    ),
}


@pytest.mark.django_db(transaction=True)
def test_a_message_that_the_database_itself_refuses_is_parked_alone(world: World) -> None:
    world.server.folders["INBOX"].add(mail(9, body="poison\r\n"))
    world.deliver(3)
    refuse, allow = REFUSE[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(refuse)
    try:
        assert world.sync() is True
    finally:
        with connection.cursor() as cursor:
            cursor.execute(allow)
    failed = Copy.objects.get(state=CopyState.FAILED)
    assert failed.reason.startswith("The database refused it")
    assert b"poison" in storages["mail"].open(failed.raw).read()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2", "Mail 3"]
