"""IMAP on a real Dovecot: every way to connect, many messages, odd folders, the poll's price."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from imapclient import IMAPClient

from drivers import errors
from drivers.imap.driver import ImapDriver
from drivers.imap.folders import BIG
from drivers.types import FolderRole, Login, Security
from tests.drivers.contract import mail
from tests.servers.dovecot import DovecotOptions
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.servers
FAR = {"since": None, "limit": 100_000}


def connected(dovecot, user, security=Security.NONE):
    return ImapDriver(dovecot.address(security), dovecot.login(user))


@pytest.mark.parametrize("security", list(Security))
def test_each_kind_of_security_connects(dovecot, dovecot_user, security):
    report = connected(dovecot, dovecot_user, security).check()
    assert report.capabilities.changes and report.capabilities.push and report.folder_count >= 5


def test_a_plain_password_is_refused_where_the_server_wants_encryption(dovecot, dovecot_user):
    address = dovecot.address(Security.NONE, host="127.0.0.2")
    with pytest.raises(errors.TlsUnavailable):
        ImapDriver(address, dovecot.login(dovecot_user)).open()


@pytest.mark.parametrize("security", [Security.SSL, Security.STARTTLS])
def test_a_certificate_for_another_name_is_refused_by_name(dovecot_with, security):
    server = dovecot_with(DovecotOptions(certificate_names=("mail.example.com",)))
    with pytest.raises(errors.CertificateInvalid) as caught:
        ImapDriver(server.address(security, host="localhost"), server.login()).open()
    assert (caught.value.problem, caught.value.host) == ("name", "localhost")
    assert "Login" not in server.log()


def test_a_password_beyond_ascii_signs_in(dovecot_with):
    server = dovecot_with(DovecotOptions(users=("zoe@example.com",), passwords={"zoe@example.com": "pässwörd☃"}))
    with ImapDriver(server.address(Security.SSL), server.login()) as driver:
        assert driver.list_folders()


def test_a_server_without_special_use_and_with_dots_gets_its_roles_by_name(dovecot_with):
    server = dovecot_with(DovecotOptions(special_use=False, separator="."))
    user = server.options.users[0]
    for name in ("Gesendete Elemente", "Entwürfe", "Papierkorb", "Projekte.Größe", "Спам", "受信 & 送信", "Sent.old"):
        server.add_messages(user, name, [mail(1)])
    with ImapDriver(server.address(), server.login()) as driver:
        folders = {folder.id: folder for folder in driver.list_folders()}
        for name, folder in folders.items():
            if folder.selectable and name != "INBOX":
                assert len(driver.fetch_changes(name, None, **FAR).added) == folder.total == 1
    assert folders["Gesendete Elemente"].role is FolderRole.SENT
    assert folders["Entwürfe"].role is FolderRole.DRAFTS
    assert folders["Papierkorb"].role is FolderRole.TRASH
    assert folders["Спам"].role is FolderRole.JUNK
    assert folders["Projekte.Größe"].path == ("Projekte", "Größe")
    assert folders["Sent.old"].role is FolderRole.NONE
    assert not folders["Projekte"].selectable


def test_thousands_of_messages_come_each_once_and_whole(dovecot, dovecot_user):
    raws = [mail(number, "y" * (number * 7919 % 40_000)) for number in range(2500)]
    dovecot.add_messages(dovecot_user, "INBOX", raws)
    with IMAPClient("127.0.0.1", dovecot.port, ssl=False) as client:
        login = dovecot.login(dovecot_user)
        client.login(login.user_name, login.secret)
        client.select_folder("INBOX", readonly=True)
        uids = client.search("ALL")
    with connected(dovecot, dovecot_user) as driver:
        changes = driver.fetch_changes("INBOX", None, since=None, limit=700)
        copies = list(changes.added)
        while changes.has_more:
            changes = driver.fetch_changes("INBOX", changes.cursor, since=None, limit=700)
            copies += changes.added
        assert [copy.uid for copy in copies] == sorted(uids, reverse=True)
        found = {}
        for message in driver.fetch_messages("INBOX", [copy.key for copy in copies], whole_below=1_000_000):
            found[message.copy.key] = message.raw
            if message.copy.uid % 300 == 0:  # other folders and parts in between change nothing
                driver.find("Sent", "<nothing@example.org>")
                assert b"".join(driver.fetch_raw("INBOX", message.copy.key)) == message.raw
    assert list(found) == [copy.key for copy in copies]
    assert [found[str(uid)] for uid in sorted(uids)] == raws


def test_a_message_that_changes_little_costs_little(dovecot, dovecot_user):
    dovecot.add_messages(dovecot_user, "INBOX", [mail(number) for number in range(3000)])
    with Proxy(dovecot.port) as proxy:
        address = dovecot.address()
        address = type(address)("127.0.0.1", proxy.port, Security.NONE, "", ("127.0.0.0/8",), 10)
        with ImapDriver(address, dovecot.login(dovecot_user)) as driver:
            changes = driver.fetch_changes("INBOX", None, **FAR)
            before, started = proxy.from_server, time.monotonic()
            for _ in range(50):
                again = driver.fetch_changes("INBOX", changes.cursor, **FAR)
                assert again.added == again.flags == ()
            assert (proxy.from_server - before) / 50 < 400
            assert (time.monotonic() - started) / 50 < 0.05
            driver.set_flags("INBOX", ["5"], add=["\\Flagged"])
            before = proxy.from_server
            changes = driver.fetch_changes("INBOX", changes.cursor, **FAR)
            assert [copy.key for copy in changes.flags] == ["5"]
            assert proxy.from_server - before < 1500


def test_vanished_messages_are_told_for_certain(dovecot, dovecot_user):
    dovecot.add_messages(dovecot_user, "INBOX", [mail(number) for number in range(30)])
    with connected(dovecot, dovecot_user) as driver:
        cursor = driver.fetch_changes("INBOX", None, **FAR).cursor
        with connected(dovecot, dovecot_user) as other:
            other.delete("INBOX", ["3", "4", "5", "30"])
        changes = driver.fetch_changes("INBOX", cursor, **FAR)
    assert set(changes.removed) == {"3", "4", "5", "30"}
    assert changes.present is None and changes.total == 26


def test_the_window_is_by_the_time_of_arrival(dovecot, dovecot_user):
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    days = [0, 1, 6, 8, 40, 400]
    dovecot.add_messages(
        dovecot_user, "INBOX", [mail(day) for day in days], received=[noon - timedelta(days=day) for day in days]
    )
    with connected(dovecot, dovecot_user) as driver:
        changes = driver.fetch_changes("INBOX", None, since=(noon - timedelta(days=7)).date(), limit=2)
        assert changes.total == 3 and changes.has_more
        assert [copy.received_at for copy in changes.added] == [noon - timedelta(days=6), noon - timedelta(days=1)]


def test_a_wrong_password_is_told_at_once_and_a_full_house_is_busy(dovecot, dovecot_user, dovecot_with):
    with pytest.raises(errors.AuthenticationFailed):
        ImapDriver(dovecot.address(), Login(dovecot_user, "wrong")).open()
    server = dovecot_with(DovecotOptions(extra="mail_max_userip_connections = 1\n"))
    with ImapDriver(server.address(), server.login()) as first:
        assert first.is_alive()
        second = ImapDriver(server.address(), server.login())
        with pytest.raises((errors.ServerBusy, errors.ServerUnreachable)):
            second.open()
            second.list_folders()


def test_a_glance_at_many_folders_is_one_round_trip(dovecot, dovecot_user):
    names = ["INBOX", *(f"Projects/{number}" for number in range(12))]
    for number, name in enumerate(names):
        dovecot.add_messages(dovecot_user, name, [mail(number)])
    with (
        Proxy(dovecot.port) as proxy,
        ImapDriver(replace(dovecot.address(), port=proxy.port), dovecot.login(dovecot_user)) as driver,
    ):
        cursors = {name: driver.fetch_changes(name, None, since=None, limit=99).cursor for name in names}
        driver.glance(cursors, since=None)  # leaves the folder that is open
        before = proxy.client_packets
        seen = driver.glance(cursors, since=None)
        assert seen.quiet == frozenset(names) and seen.folders is not None
        assert proxy.client_packets - before == 1
        dovecot.add_messages(dovecot_user, "Projects/7", [mail(99)])
        assert driver.glance(cursors, since=None).quiet == frozenset(names) - {"Projects/7"}


def test_a_line_that_the_server_closed_is_known_without_a_round_trip(dovecot, dovecot_user):
    with Proxy(dovecot.port) as proxy:
        driver = ImapDriver(replace(dovecot.address(), port=proxy.port), dovecot.login(dovecot_user))
        assert not driver.is_usable()
        driver.open()
        assert driver.is_usable()
        proxy.drop_all()
        deadline = time.monotonic() + 60
        while driver.is_usable() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not driver.is_usable()
        driver.close()


def test_a_big_folder_stays_open_between_two_glances_and_hides_nothing(dovecot, dovecot_user):
    dovecot.add_messages(dovecot_user, "INBOX", (mail(number) for number in range(BIG)))
    dovecot.add_messages(dovecot_user, "Sent", [mail(-1)])
    with (
        Proxy(dovecot.port) as proxy,
        ImapDriver(replace(dovecot.address(), port=proxy.port), dovecot.login(dovecot_user)) as driver,
        IMAPClient("127.0.0.1", dovecot.port, ssl=False, timeout=10) as other,
    ):
        other.login(dovecot_user, dovecot.login(dovecot_user).secret)
        other.select_folder("INBOX")
        names = {"INBOX", "Sent"}
        cursors = {name: driver.fetch_changes(name, None, since=None, limit=5000).cursor for name in names}
        assert driver.glance(cursors, since=None).quiet == names
        before = proxy.client_packets
        assert driver.glance(cursors, since=None).quiet == names
        assert proxy.client_packets - before == 2  # NOOP in the open one, all others at once
        happens = (
            lambda: other.add_flags([BIG], ["\\Flagged"]),
            lambda: other.append("INBOX", mail(BIG + 1)),
            lambda: (other.delete_messages([3]), other.expunge()),
        )
        for happened in happens:
            happened()
            assert driver.glance(cursors, since=None).quiet == {"Sent"}
            cursors["INBOX"] = driver.fetch_changes("INBOX", cursors["INBOX"], since=None, limit=5000).cursor
            assert driver.glance(cursors, since=None).quiet == names
            assert driver.glance(cursors, since=None).quiet == names
