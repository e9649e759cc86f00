"""Servers that lack or get wrong one thing of the documentation (or most of it): the mailbox is read and changed all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest

from drivers import errors
from drivers.ews import changes
from drivers.ews.driver import EwsDriver
from drivers.ews.push import EwsPushChannel
from drivers.ews.sending import EwsSender
from drivers.types import Envelope, FolderRole
from tests.drivers.contract import mail, mail_with_attachment
from tests.drivers.test_ews_poor import everything
from tests.drivers.test_ews_push import lost
from tests.servers.ews import EwsServer, poor

FAR = 10_000_000
COUNT = 12


def driver_of(server: EwsServer) -> EwsDriver:
    """A driver not opened yet."""
    return EwsDriver(server.server_address(), server.login())


def filled(server: EwsServer, count: int = COUNT) -> list[str]:
    """The inbox with so many mails, oldest first."""
    inbox, now = server.store.by_name("inbox"), datetime.now(UTC)
    return [
        server.store.add(inbox, mail(number, f"text of {number}"), received_at=now - timedelta(hours=count - number)).id
        for number in range(count)
    ]


@pytest.mark.parametrize("name", poor.VARIATIONS)
def test_a_mailbox_is_read_and_changed_whatever_the_server_lacks(ews_server: EwsServer, name: str) -> None:
    keys = filled(ews_server)
    poor.VARIATIONS[name](ews_server)
    store = ews_server.store
    inbox, trash = store.by_name("inbox"), store.by_name("deleteditems")
    seen = everything(ews_server, 5)
    assert set(seen) == set(keys) and len(seen) == len(keys)
    with driver_of(ews_server) as driver:
        roles = {folder.role: folder.id for folder in driver.list_folders()}
        assert roles[FolderRole.INBOX] == inbox.id and roles[FolderRole.SENT] == store.by_name("sentitems").id
        assert {copy.key for copy in driver.list_ids(inbox.id, since=None)} == set(keys)
        for number, message in enumerate(driver.fetch_messages(inbox.id, keys, whole_below=FAR)):
            parsed = message_from_bytes(message.raw)
            body = parsed.get_payload(decode=True)
            assert parsed["Message-ID"] == f"<m{number}@example.org>" and f"text of {number}".encode() in body
        assert [one.copy.key for one in driver.fetch_headers(inbox.id, keys)] == keys
        driver.set_flags(inbox.id, keys[:1], add=("\\Seen", "\\Flagged"))
        moved = driver.move(inbox.id, keys[1:2], trash.id)
        driver.delete(inbox.id, keys[2:3])
        assert list(moved.values()) == list(trash.items) and keys[2] not in inbox.items
        assert inbox.items[keys[0]].is_read and inbox.items[keys[0]].values[0x1090] == "2"
        draft = driver.append(roles[FolderRole.DRAFTS], mail(77), flags=("\\Draft",))
        assert draft in store.by_name("drafts").items
        found = driver.find(inbox.id, "<m3@example.org>")
        assert [copy.key for copy in found] == [keys[3]] or name == "no ids of messages"


@pytest.mark.parametrize("name", poor.VARIATIONS)
def test_a_mail_leaves_once_whatever_the_server_lacks(ews_server: EwsServer, name: str) -> None:
    poor.VARIATIONS[name](ews_server)
    raw = b"From: anna@example.com\r\nTo: ben@example.org\r\nSubject: Tiles\r\nMessage-ID: <5@example.com>\r\n\r\nHello\r\n"
    with EwsSender(ews_server.server_address(), ews_server.login()) as sender:
        receipt = sender.send(Envelope("anna@example.com", ("ben@example.org",)), raw)
    assert receipt.results[0].accepted and len(ews_server.outgoing) == 1
    assert ews_server.store.by_name("drafts").items == {}


@pytest.mark.parametrize("status", [500, 502, 0])
@pytest.mark.parametrize("wants_mime", [True, False])
def test_a_mail_that_breaks_the_server_stops_no_other(ews_server: EwsServer, status: int, wants_mime: bool) -> None:
    keys = filled(ews_server)
    poor.stumbles_over(ews_server, keys[4], status=status, wants_mime=wants_mime)
    inbox = ews_server.store.by_name("inbox").id
    with driver_of(ews_server) as driver:
        others = [key for key in keys if key != keys[4]]
        assert [one.copy.key for one in driver.fetch_messages(inbox, others, whole_below=FAR)] == others
        if wants_mime:  # its properties can still be had
            found = list(driver.fetch_messages(inbox, keys, whole_below=FAR))
            assert [one.copy.key for one in found] == keys
            assert b"text of 4" in message_from_bytes(found[4].raw).get_payload(decode=True)
            return
        with pytest.raises(errors.ProtocolError):
            list(driver.fetch_messages(inbox, keys, whole_below=FAR))
        with pytest.raises(errors.ProtocolError):
            list(driver.fetch_messages(inbox, keys[4:5], whole_below=FAR))


def test_a_server_in_trouble_is_busy_and_no_mail_is_blamed(ews_server: EwsServer) -> None:
    keys = filled(ews_server)
    with driver_of(ews_server) as driver:
        poor.knows_not(ews_server, "GetItem", "GetFolder", status=500)
        with pytest.raises(errors.ServerBusy):
            list(driver.fetch_messages(ews_server.store.by_name("inbox").id, keys, whole_below=FAR))


def test_what_is_listed_is_never_less_than_the_folder_counts(
    ews_server: EwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that ends its walk too early: what it left out is not taken for gone."""
    keys = filled(ews_server, 30)
    monkeypatch.setattr(changes, "SYNC_MOST", 7)
    poor.says(ews_server, "IncludesLastItemInRange", "true")
    inbox = ews_server.store.by_name("inbox").id
    with driver_of(ews_server) as driver:
        assert {copy.key for copy in driver.list_ids(inbox, since=None)} == set(keys)
        poor.without(ews_server, "Changes", of="SyncFolderItems")
        assert {copy.key for copy in driver.list_ids(inbox, since=None)} == set(keys)


def test_a_stream_that_is_promised_and_not_given_is_polled(ews_server: EwsServer) -> None:
    poor.knows_not(ews_server, "GetStreamingEvents", code="ErrorInvalidOperation")
    channel = EwsPushChannel(ews_server.server_address(), ews_server.login())
    channel.open()
    assert isinstance(lost(channel), errors.PushUnavailable)


@pytest.mark.parametrize("status", [500, 0])
def test_a_server_that_breaks_over_a_subscription_is_polled(ews_server: EwsServer, status: int) -> None:
    poor.knows_not(ews_server, "Subscribe", status=status, code="ErrorAccessDenied")
    with pytest.raises(errors.PushUnavailable):
        EwsPushChannel(ews_server.server_address(), ews_server.login()).open()


def test_attachments_of_mime_that_differs_each_time_keep_their_bytes(ews_server: EwsServer) -> None:
    ews_server.regenerates = True
    poor.gives_other_mime_each_time(ews_server)
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail_with_attachment())
    inbox = ews_server.store.by_name("inbox").id
    with driver_of(ews_server) as driver:
        first = b"".join(driver.fetch_part(inbox, item.id, "2"))
        assert (
            first
            == b"".join(driver.fetch_part(inbox, item.id, "2"))
            == b"".join(driver.fetch_part(inbox, item.id, "a1"))
        )
