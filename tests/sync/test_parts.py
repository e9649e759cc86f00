"""Attachments on demand: by part from the server, kept with a cap, never from a message that the key no longer means."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.core.files.storage import storages
from django.test import override_settings
from django.utils import timezone

from drivers.errors import MessageGone
from mail.models import Message, Part
from sync import parts
from tests.sync.conftest import World, mail

PDF = b"%PDF-1.4 " + bytes(range(256)) * 40


def _with_file(number: int = 1) -> bytes:
    head = mail(number).partition(b"\r\n\r\n")[0]
    body = base64.encodebytes(PDF).replace(b"\n", b"\r\n")
    return (
        head
        + b'\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        + b"Content-Type: text/plain\r\n\r\nsee the file\r\n--b\r\n"
        + b'Content-Type: application/pdf; name="offer.pdf"\r\nContent-Disposition: attachment; filename="offer.pdf"\r\n'
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + body
        + b"\r\n--b--\r\n"
    )


@pytest.fixture
def part(world: World) -> Part:
    world.server.folders["INBOX"].add(_with_file())
    world.sync()
    return Part.objects.get(file_name="offer.pdf")


def test_a_part_comes_from_the_server_once_and_then_from_here(world: World, part: Part) -> None:
    world.server.calls.clear()
    assert parts.open_part(part).read() == PDF
    assert any(call.startswith("fetch_part") for call in world.server.calls)
    world.server.calls.clear()
    part = Part.objects.get(pk=part.pk)
    assert part.stored and part.size == len(PDF)
    assert parts.open_part(part).read() == PDF
    assert world.server.calls == []


def test_the_source_comes_whole(world: World, part: Part) -> None:
    assert b"".join(parts.raw_source(part.message)) == _with_file()


def test_a_part_of_a_message_that_is_gone_says_so(world: World, part: Part) -> None:
    world.server.folders["INBOX"].remove("1")
    with pytest.raises(MessageGone):
        parts.open_part(part).read()


def test_a_folder_numbered_anew_never_gives_another_messages_file(world: World, part: Part) -> None:
    inbox = world.server.folders["INBOX"]
    inbox.remove("1")
    inbox.add(mail(2))
    inbox.renumber()
    with pytest.raises(MessageGone):
        parts.open_part(part)


def test_a_part_that_is_too_large_is_refused_before_it_is_fetched(world: World, part: Part) -> None:
    Part.objects.update(size=parts.LARGEST + 1)
    world.server.calls.clear()
    with pytest.raises(parts.PartTooLarge):
        parts.open_part(Part.objects.get(pk=part.pk))
    assert world.server.calls == []


def test_the_cache_forgets_the_oldest_above_its_cap_but_never_what_the_server_lost(world: World, part: Part) -> None:
    parts.open_part(part).close()
    name = Part.objects.get(pk=part.pk).stored
    Part.objects.update(stored_at=timezone.now() - timedelta(hours=2))
    assert parts.trim_cache() == 0, "below the cap nothing goes"
    with override_settings(MAIL_PART_CACHE_BYTES=10):
        Message.objects.update(gone_at=timezone.now())
        assert parts.trim_cache() == 0
        Message.objects.update(gone_at=None)
        assert parts.trim_cache() == 1
    assert not storages["mail"].exists(name)
    assert parts.open_part(Part.objects.get(pk=part.pk)).read() == PDF
