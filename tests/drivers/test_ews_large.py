"""What is large passes in pieces: attachments and sources cost no memory, a long text is cut, an upload is sent as read."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import errors
from drivers.ews import reading, streamed
from drivers.ews.driver import EwsDriver
from drivers.ews.sending import EwsSender
from drivers.ews.upload import PLACE, Upload
from drivers.types import Envelope
from tests.servers.ews import EwsServer, Trouble

HEAD = b"From: anna@example.com\r\nTo: ben@example.org\r\nMessage-ID: <big@example.com>\r\nSubject: Big\r\n\r\n"
LINE = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"
MEGABYTE = 1 << 20
CLIENT = """
import sys
from drivers.ews.driver import EwsDriver
from drivers.types import AuthKind, Login, Security, ServerAddress
url, port, inbox, key = sys.argv[1:]
server = ServerAddress("127.0.0.1", int(port), Security.NONE, "", ("127.0.0.0/8",), url=url, timeout=120.0)
def most():
    return next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
with EwsDriver(server, Login("anna@example.com", "secret", AuthKind.PASSWORD)) as driver:
    before = most()
    size = sum(len(piece) for piece in driver.fetch_part(inbox, key, "a1"))
    print(size, most() - before)
"""


def driver_of(server: EwsServer) -> EwsDriver:
    """A driver not opened yet."""
    return EwsDriver(server.server_address(timeout=60.0), server.login())


def test_an_attachment_of_forty_eight_megabytes_costs_hardly_any_memory(ews_server: EwsServer) -> None:
    inbox = ews_server.store.by_name("inbox")
    item = ews_server.store.add(inbox, HEAD + b"hello\r\n")
    item.attachments.append(("big.bin", "application/octet-stream", os.urandom(MEGABYTE) * 48))
    words = [sys.executable, "-c", CLIENT, ews_server.url, str(ews_server.port), inbox.id, item.id]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    size, grown = map(int, done.stdout.split())
    assert size == 48 * MEGABYTE
    assert grown < 20, f"{grown} MB"


@pytest.mark.parametrize("scheme", ["basic", "ntlm"])
def test_pieces_are_the_bytes_of_the_attachment_and_of_the_source(ews_server: EwsServer, scheme: str) -> None:
    ews_server.schemes = [scheme]
    content = os.urandom(777_777)
    raw = HEAD + LINE * 20_000
    inbox = ews_server.store.by_name("inbox")
    item = ews_server.store.add(inbox, raw)
    item.attachments += [
        ("empty.bin", "application/octet-stream", b""),
        ("big.bin", "application/octet-stream", content),
    ]
    with driver_of(ews_server) as driver:
        assert b"".join(driver.fetch_part(inbox.id, item.id, "a1")) == b""
        assert b"".join(driver.fetch_part(inbox.id, item.id, "a2")) == content
        assert b"".join(driver.fetch_raw(inbox.id, item.id)) == raw
        next(driver.fetch_raw(inbox.id, item.id))  # who stops reading leaves nothing behind
        assert driver.list_folders()
        with pytest.raises(errors.MessageGone):
            list(driver.fetch_part(inbox.id, item.id, "a9"))


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble("GetAttachment", message="ErrorAttachmentNotFound"), errors.MessageGone),
        (Trouble("GetAttachment", message="ErrorMailboxStoreUnavailable"), errors.ServerBusy),
        (Trouble("GetAttachment", code="ErrorServerBusy"), errors.ServerBusy),
        (Trouble("GetAttachment", status=401), errors.AuthenticationFailed),
        (Trouble("GetAttachment", drops="before"), errors.ServerUnreachable),
        (Trouble("GetAttachment", garbage=b"<html>oops"), errors.DriverError),
        (Trouble("GetAttachment", garbage=b'<!DOCTYPE a [<!ENTITY x "y">]><a/>'), errors.ProtocolError),
        (Trouble("GetAttachment", garbage=b"<a><Content>n%t base64</Content></a>"), errors.ProtocolError),
    ],
    ids=str,
)
def test_what_goes_wrong_with_an_attachment_is_said(
    ews_server: EwsServer, trouble: Trouble, error: type[Exception]
) -> None:
    inbox = ews_server.store.by_name("inbox")
    item = ews_server.store.add(inbox, HEAD)
    item.attachments.append(("a.bin", "application/octet-stream", b"content"))
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(trouble)
        with pytest.raises(error):
            list(driver.fetch_part(inbox.id, item.id, "a1"))


def test_a_text_that_is_too_long_is_cut(ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_TEXT", 100_000)
    monkeypatch.setattr(reading, "TEXT_KEPT", 50_000)
    inbox = ews_server.store.by_name("inbox")
    plain = ews_server.store.add(inbox, HEAD + LINE * 5000)
    both = ews_server.store.add(inbox, HEAD + LINE * 5000)
    both.attachments.append(("a.bin", "application/octet-stream", b"content"))
    small = ews_server.store.add(inbox, HEAD + b"short\r\n")
    small.attachments.append(("big.bin", "application/octet-stream", os.urandom(400_000)))
    with driver_of(ews_server) as driver:
        (cut,) = driver.fetch_messages(inbox.id, [plain.id], whole_below=10_000)
        assert not cut.is_complete and 50_000 <= len(cut.raw) < 200_000
        assert message_from_bytes(cut.raw)["Subject"] == "Big"
        with pytest.raises(errors.ProtocolError, match="longer than we take"):
            list(driver.fetch_messages(inbox.id, [both.id], whole_below=10_000))
        (whole,) = driver.fetch_messages(inbox.id, [small.id], whole_below=1)
        assert b"short" in message_from_bytes(whole.raw).get_payload(decode=True)


@pytest.mark.parametrize("scheme", ["basic", "ntlm"])
def test_a_large_mail_is_sent_as_it_is_read(ews_server: EwsServer, scheme: str) -> None:
    ews_server.schemes = [scheme]
    raw = HEAD + LINE * 50_000
    with EwsSender(ews_server.server_address(timeout=60.0), ews_server.login()) as sender:
        sender.send(Envelope("anna@example.com", ("ben@example.org",)), raw)
    ((_recipients, left),) = ews_server.outgoing
    assert left == raw
    ews_server.largest = 1000
    with (
        EwsSender(ews_server.server_address(timeout=60.0), ews_server.login()) as sender,
        pytest.raises(errors.SendRejected),
    ):
        sender.send(Envelope("anna@example.com", ("ben@example.org",)), raw)


@given(st.binary(max_size=200_000), st.integers(1, 90_000))
def test_an_upload_is_the_request_with_the_source_in_its_place(raw: bytes, step: int) -> None:
    upload = Upload(f"<a>{PLACE}</a>".encode(), raw)
    for _turn in range(2):
        pieces = []
        while piece := upload.read(step):
            pieces.append(piece)
        assert b"".join(pieces) == b"<a>" + base64.b64encode(raw) + b"</a>"
        assert len(upload) == sum(map(len, pieces))


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_no_bytes_break_the_reader_of_pieces(data: bytes, step: int) -> None:
    reader = streamed._Reader()
    try:
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
    except errors.ProtocolError:
        pass
