"""What goes wrong with an Exchange Server, and what the driver says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drivers import errors
from drivers.ews.driver import EwsDriver
from drivers.ews.sending import EwsSender
from drivers.types import AuthKind, Envelope, Login
from tests.drivers.contract import mail, mail_with_attachment
from tests.servers.ews import EwsServer, Trouble

FAR = 10_000


def driver_of(server: EwsServer, **more: object) -> EwsDriver:
    """A driver not opened yet."""
    return EwsDriver(server.server_address(**more), server.login())


def inbox_of(server: EwsServer) -> str:
    return server.store.by_name("inbox").id


def test_a_busy_server_says_for_how_long(ews_server: EwsServer) -> None:
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("FindItem", code="ErrorServerBusy", back_off=297_749))
        with pytest.raises(errors.ServerBusy) as caught:
            driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR)
        assert caught.value.retry_after == pytest.approx(297.749)
        assert driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR).added == ()


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_request_says_for_how_long(ews_server: EwsServer, status: int) -> None:
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("GetFolder", status=status, headers={"Retry-After": "30"}))
        with pytest.raises(errors.ServerBusy) as caught:
            driver.epoch(inbox_of(ews_server))
        assert caught.value.retry_after == 30.0


def test_a_busy_mailbox_in_an_answer_stops_the_fetch(ews_server: EwsServer) -> None:
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail(1))
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("GetItem", message="ErrorMailboxStoreUnavailable"))
        with pytest.raises(errors.ServerBusy):
            list(driver.fetch_messages(inbox_of(ews_server), [item.id], whole_below=FAR))


def test_an_expired_state_is_an_invalid_cursor_and_the_next_look_gives_the_same_ids(ews_server: EwsServer) -> None:
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail(1))
    with driver_of(ews_server) as driver:
        first = driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR)
        ews_server.store.expire()
        with pytest.raises(errors.CursorInvalid):
            driver.fetch_changes(inbox_of(ews_server), first.cursor, since=None, limit=FAR)
        again = driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR)
    assert [copy.key for copy in again.added] == [item.id] and again.epoch == first.epoch


def test_a_cursor_of_nobody_is_invalid(ews_server: EwsServer) -> None:
    with driver_of(ews_server) as driver, pytest.raises(errors.CursorInvalid):
        driver.fetch_changes(inbox_of(ews_server), {"since": "None", "state": 1}, since=None, limit=FAR)


def test_a_changed_password_is_an_authentication_failure(ews_server: EwsServer) -> None:
    with driver_of(ews_server) as driver:
        ews_server.users[ews_server.address_of_user] = "another"
        with pytest.raises(errors.AuthenticationFailed):
            driver.list_folders()


def test_a_tenant_that_blocks_ews_is_told_apart_from_a_wrong_password(ews_server: EwsServer) -> None:
    ews_server.troubles.append(Trouble("GetFolder", status=403))
    with pytest.raises(errors.ExchangeBlocked) as caught:
        driver_of(ews_server).open()
    assert caught.value.server_said == "HTTP 403"


def test_a_connection_that_breaks_is_said(ews_server: EwsServer) -> None:
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("GetFolder", drops="before"))
        with pytest.raises(errors.ServerUnreachable):
            driver.epoch(inbox_of(ews_server))
        assert driver.epoch(inbox_of(ews_server)), "the next request has a connection of its own"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"oops",
        b"<html><body>gateway</body></html>",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b"\xff\xfe<\x00a\x00",
        b'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>',
    ],
)
def test_an_answer_that_is_none_is_a_protocol_error(ews_server: EwsServer, answer: bytes) -> None:
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("SyncFolderItems", garbage=answer))
        with pytest.raises(errors.ProtocolError):
            driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR)
        assert driver.list_folders()


def test_a_url_without_the_service_is_said(ews_server: EwsServer) -> None:
    url = ews_server.url.replace("Exchange.asmx", "Other.asmx")
    with pytest.raises(errors.ProtocolError):
        driver_of(ews_server, url=url).open()


def test_a_redirect_is_never_followed(ews_server: EwsServer) -> None:
    away = {"Location": "http://127.0.0.2:1/EWS/Exchange.asmx"}
    ews_server.troubles.append(Trouble("GetFolder", status=302, headers=away))
    with pytest.raises(errors.ProtocolError):
        driver_of(ews_server).open()


def test_a_server_address_that_is_not_allowed_is_not_dialled(ews_server: EwsServer) -> None:
    server = replace(ews_server.server_address(), private_networks=())
    with pytest.raises(errors.ServerUnreachable) as caught:
        EwsDriver(server, ews_server.login()).open()
    assert caught.value.kind == "blocked" and ews_server.calls == []


def test_an_old_server_is_asked_in_its_own_version(ews_server: EwsServer) -> None:
    ews_server.max_version = "Exchange2010_SP2"
    with driver_of(ews_server) as driver:
        assert len(driver.list_folders()) >= 5


def test_tls_is_checked_against_the_private_authority() -> None:
    with EwsServer(tls=True) as server:
        with driver_of(server) as driver:
            assert driver.list_folders()
        stranger = replace(server.server_address(), ca_bundle="")
        with pytest.raises(errors.CertificateInvalid):
            EwsDriver(stranger, server.login()).open()
        assert server.violations == []


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", ["CORP\\anna", "anna"])
def test_ntlm_signs_in_by_domain_and_user_or_by_name(tls: bool, name: str) -> None:
    with EwsServer(tls=tls) as server:
        server.schemes = ["ntlm"]
        server.users[name], server.mailbox_of[name] = "s3cret", server.address_of_user
        with EwsDriver(server.server_address(), Login(name, "s3cret")) as driver:
            assert driver.list_folders()
        with pytest.raises(errors.AuthenticationFailed):
            EwsDriver(server.server_address(), Login(name, "wrong")).open()


@pytest.mark.parametrize("schemes", [["ntlm", "basic"], ["basic"], ["ntlm"]], ids=str)
@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_is_one_failed_sign_in_at_the_server(tls: bool, schemes: list[str]) -> None:
    with EwsServer(tls=tls) as server:
        server.schemes = schemes
        with pytest.raises(errors.AuthenticationFailed):
            EwsDriver(server.server_address(), server.login("wrong")).open()
        assert len(server.refused) == 1
        with driver_of(server) as driver:
            assert driver.list_folders()
        assert len(server.refused) == 1


def test_basic_is_tried_where_ntlm_is_offered_but_gets_nowhere(ews_server: EwsServer) -> None:
    ews_server.schemes = ["ntlm", "basic"]
    ews_server.answers_ntlm = False
    with driver_of(ews_server) as driver:
        assert driver.list_folders()
    assert ews_server.refused == []


def test_over_tls_a_server_without_working_ntlm_is_reached_by_basic() -> None:
    with EwsServer(tls=True) as server:
        server.schemes = ["ntlm", "basic"]
        server.knows_ntlm = False
        with driver_of(server) as driver:
            assert driver.list_folders()
        assert server.refused == []


def test_a_bearer_token_signs_in(ews_server: EwsServer) -> None:
    ews_server.schemes = ["bearer"]
    ews_server.tokens["t0ken"] = ews_server.address_of_user
    with EwsDriver(ews_server.server_address(), Login("anna@example.com", "t0ken", AuthKind.OAUTH2)) as driver:
        assert driver.list_folders()
    with pytest.raises(errors.AuthenticationFailed):
        EwsDriver(ews_server.server_address(), Login("anna@example.com", "old", AuthKind.OAUTH2)).open()
    with pytest.raises(errors.AuthenticationFailed):
        driver_of(ews_server).open()


def test_a_shared_mailbox_opens_for_a_delegate_only(ews_server: EwsServer) -> None:
    shared = ews_server.add_mailbox("sales@example.com")
    shared.add(shared.by_name("inbox"), mail(7))
    with pytest.raises(errors.PermissionMissing):
        driver_of(ews_server, mailbox="sales@example.com").open()
    ews_server.delegates["anna@example.com"] = {"sales@example.com"}
    with driver_of(ews_server, mailbox="sales@example.com") as driver:
        inbox = next(folder for folder in driver.list_folders() if folder.role == "inbox")
        assert inbox.id == shared.by_name("inbox").id and inbox.total == 1


def test_a_service_account_acts_as_the_owner(ews_server: EwsServer) -> None:
    ews_server.users["service"], ews_server.mailbox_of["service"] = "robot", "service@example.com"
    ews_server.add_mailbox("service@example.com")
    login = Login("service", "robot")
    with pytest.raises(errors.PermissionMissing):
        EwsDriver(ews_server.server_address(impersonate=True), login).open()
    ews_server.impersonators.add("service@example.com")
    with EwsDriver(ews_server.server_address(impersonate=True), login) as driver:
        ids = {folder.id for folder in driver.list_folders()}
    assert inbox_of(ews_server) in ids


def test_no_secret_is_in_any_log(ews_server: EwsServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0), driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("SyncFolderItems", garbage=b"x"))
        with pytest.raises(errors.ProtocolError):
            driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=FAR)
    basic = "YW5uYUBleGFtcGxlLmNvbTpzZWNyZXQ"
    assert not [r for r in caplog.records if "secret" in r.getMessage() or basic in r.getMessage()]


def test_a_message_that_cannot_be_converted_comes_from_its_properties(ews_server: EwsServer) -> None:
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail(1, "Grüße"))
    ews_server.no_mime.add("IPM.Note")
    with driver_of(ews_server) as driver:
        (found,) = driver.fetch_messages(inbox_of(ews_server), [item.id], whole_below=FAR * 100)
        assert b"Message-ID: <m1@example.org>" in found.raw and found.is_complete
        assert b"".join(driver.fetch_raw(inbox_of(ews_server), item.id)) == found.raw


def test_a_body_of_megabytes_passes_both_ways(ews_server: EwsServer) -> None:
    big = mail(1, "x" * 1_000_000 + " end")
    item = ews_server.store.add(ews_server.store.by_name("inbox"), big)
    with driver_of(ews_server) as driver:
        (whole,) = driver.fetch_messages(inbox_of(ews_server), [item.id], whole_below=10_000_000)
        (built,) = driver.fetch_messages(inbox_of(ews_server), [item.id], whole_below=65_536)
        key = driver.append(inbox_of(ews_server), big)
        assert key and b"".join(driver.fetch_raw(inbox_of(ews_server), key)) == big
    assert whole.raw == big and built.is_complete and len(built.raw) > 1_000_000


def test_thousands_of_folders_are_listed(ews_server: EwsServer) -> None:
    parent = ews_server.store.add_folder("Kunden")
    for number in range(2000):
        ews_server.store.add_folder(f"Kunde {number}", parent=parent)
    with driver_of(ews_server) as driver:
        paths = {folder.path for folder in driver.list_folders()}
    assert ("Kunden", "Kunde 1999") in paths and len(paths) > 2000


def test_mail_that_came_in_one_second_is_told_once_page_by_page(ews_server: EwsServer) -> None:
    store, moment = ews_server.store, datetime.now(UTC) - timedelta(hours=1)
    keys = {store.add(store.by_name("inbox"), mail(number), received_at=moment).id for number in range(23)}
    seen: list[str] = []
    with driver_of(ews_server) as driver:
        changes = driver.fetch_changes(inbox_of(ews_server), None, since=None, limit=4)
        while True:
            assert len(changes.added) <= 4
            seen += [copy.key for copy in changes.added]
            if not changes.has_more:
                break
            changes = driver.fetch_changes(inbox_of(ews_server), changes.cursor, since=None, limit=4)
    assert len(seen) == 23 and set(seen) == keys


def test_an_old_mail_moved_in_between_two_pages_is_not_lost(ews_server: EwsServer) -> None:
    store, now = ews_server.store, datetime.now(UTC)
    inbox = store.by_name("inbox")
    for number in range(6):
        store.add(inbox, mail(number), received_at=now - timedelta(minutes=number))
    with driver_of(ews_server) as driver:
        changes = driver.fetch_changes(inbox.id, None, since=None, limit=4)
        seen = [copy.key for copy in changes.added]
        late = store.add(inbox, mail(99), received_at=now - timedelta(seconds=90))
        while changes.has_more:
            changes = driver.fetch_changes(inbox.id, changes.cursor, since=None, limit=4)
            seen += [copy.key for copy in changes.added]
    assert late.id in seen and len(seen) == len(set(seen)) == 7


def test_more_changes_than_one_answer_holds_are_all_told(ews_server: EwsServer) -> None:
    store, now = ews_server.store, datetime.now(UTC)
    inbox = store.by_name("inbox")
    for number in range(1100):
        store.add(inbox, mail(number), received_at=now - timedelta(minutes=number))
    with driver_of(ews_server) as driver:
        changes = driver.fetch_changes(inbox.id, None, since=None, limit=FAR)
        assert len(changes.added) == 1100 and not changes.has_more and changes.total == 1100
        for item in list(inbox.items.values())[:700]:
            item.is_read = True
            store.touch(item, only_read=True)
        changes = driver.fetch_changes(inbox.id, changes.cursor, since=None, limit=FAR)
        assert len(changes.flags) == 700 and all("\\seen" in copy.flags for copy in changes.flags)


def test_items_that_are_no_mail_are_told_as_such(ews_server: EwsServer) -> None:
    inbox = ews_server.store.by_name("inbox")
    for item_class in ("IPM.Schedule.Meeting.Request", "REPORT.IPM.Note.NDR", "IPM.Contact", "IPM.Appointment"):
        ews_server.store.add(inbox, mail(1), item_class=item_class)
    signed = ews_server.store.add(inbox, mail(2), item_class="IPM.Note.SMIME.MultipartSigned")
    with driver_of(ews_server) as driver:
        added = driver.fetch_changes(inbox.id, None, since=None, limit=FAR).added
    assert [copy.key for copy in added if copy.is_mail] == [signed.id] and len(added) == 5
    assert sum(copy.is_report for copy in added) == 1


def test_a_stale_change_key_is_read_again(ews_server: EwsServer) -> None:
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail(1))
    with driver_of(ews_server) as driver:
        ews_server.troubles.append(Trouble("UpdateItem", message="ErrorIrresolvableConflict"))
        driver.set_flags(inbox_of(ews_server), [item.id], add=["\\Seen"])
    assert item.is_read and ews_server.calls.count("UpdateItem") == 2


def test_sending_refuses_what_exchange_refuses(ews_server: EwsServer) -> None:
    ews_server.bad_recipients.add("nobody@example.org")
    raw = b"From: anna@example.com\r\nTo: nobody@example.org\r\nSubject: Hi\r\n\r\nHi\r\n"
    with EwsSender(ews_server.server_address(), ews_server.login()) as sender:
        with pytest.raises(errors.SendRejected) as caught:
            sender.send(Envelope("anna@example.com", ("nobody@example.org",)), raw)
        assert caught.value.code == 550 and not caught.value.is_temporary
        with pytest.raises(errors.SendRejected):
            sender.send(Envelope("anna@example.com", ("a@b.c\r\nX: 1",)), raw)
        ews_server.troubles.append(Trouble("SendItem", code="ErrorServerBusy", back_off=5000))
        good = raw.replace(b"nobody", b"ben")
        with pytest.raises(errors.ServerBusy):
            sender.send(Envelope("anna@example.com", ("ben@example.org",)), good)
        assert ews_server.store.by_name("drafts").items == {}
        sender.send(Envelope("anna@example.com", ("ben@example.org",)), good)
    assert [one[0] for one in ews_server.outgoing] == [("ben@example.org",)]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("SendItem", drops="before"),
        Trouble("SendItem", drops="after"),
        Trouble("SendItem", garbage=b""),
        Trouble("SendItem", garbage=b"<a/>"),
        Trouble("SendItem", status=500),
        Trouble("SendItem", status=504),
        Trouble("SendItem", message="ErrorInternalServerError"),
        Trouble("SendItem", code="ErrorInternalServerError"),
    ],
)
def test_a_send_without_a_readable_answer_is_uncertain_and_not_repeated(
    ews_server: EwsServer, trouble: Trouble
) -> None:
    raw = b"From: anna@example.com\r\nTo: ben@example.org\r\nSubject: Hi\r\n\r\nHi\r\n"
    with EwsSender(ews_server.server_address(), ews_server.login()) as sender:
        ews_server.troubles.append(replace(trouble))
        with pytest.raises(errors.SendUncertain):
            sender.send(Envelope("anna@example.com", ("ben@example.org",)), raw)
    assert ews_server.calls.count("SendItem") == 1


def test_attachments_of_a_shared_name_keep_their_own_bytes(ews_server: EwsServer) -> None:
    item = ews_server.store.add(ews_server.store.by_name("inbox"), mail_with_attachment())
    item.attachments += [("plan.pdf", "application/pdf", b"second"), ("plan.pdf", "application/pdf", b"third")]
    with driver_of(ews_server) as driver:
        (found,) = driver.fetch_messages(inbox_of(ews_server), [item.id], whole_below=1000)
        assert [part.file_name for part in found.left_out] == ["plan.pdf"] * 3
        bytes_of = [b"".join(driver.fetch_part(inbox_of(ews_server), item.id, part.id)) for part in found.left_out]
    assert bytes_of[1:] == [b"second", b"third"] and len(bytes_of[0]) > 1000
