"""Gmail: one mail under several labels is one object with several copies; deleting really deletes."""

from drivers.imap.driver import ImapDriver
from drivers.types import FolderRole
from tests.drivers.contract import mail
from tests.servers.gmail import ALL_MAIL, TRASH

EVERYTHING = {"since": None, "limit": 100}


def connected(server):
    return ImapDriver(server.address(), server.login())


def test_one_mail_under_three_labels_has_one_id_and_its_labels(gmail_server):
    msgid = gmail_server.add_labelled(mail(1), "INBOX", "Köln", "Clients/Acme")
    with connected(gmail_server) as driver:
        assert driver.capabilities.labels and driver.capabilities.saves_sent_copy
        copies = {
            folder: driver.fetch_changes(folder, None, **EVERYTHING).added
            for folder in ("INBOX", "Köln", "Clients/Acme", ALL_MAIL)
        }
    assert [len(found) for found in copies.values()] == [1, 1, 1, 1]
    assert {found[0].object_id for found in copies.values()} == {str(msgid)}
    assert set(copies[ALL_MAIL][0].labels) == {"\\Inbox", "Köln", "Clients/Acme"}
    assert set(copies["INBOX"][0].labels) == {"Köln", "Clients/Acme"}
    assert copies["INBOX"][0].thread_id


def test_all_mail_and_starred_are_virtual(gmail_server):
    with connected(gmail_server) as driver:
        virtual = {folder.id for folder in driver.list_folders() if folder.virtual}
        roles = {folder.id: folder.role for folder in driver.list_folders()}
    assert virtual == {ALL_MAIL, "[Gmail]/Starred"}
    assert roles[ALL_MAIL] is FolderRole.ALL


def test_deleting_takes_the_mail_out_of_every_folder(gmail_server):
    gmail_server.add_labelled(mail(1), "INBOX", "Work")
    gmail_server.add_labelled(mail(2), "INBOX", "Work")
    with connected(gmail_server) as driver:
        (copy,) = driver.find("INBOX", "<m1@example.org>")
        driver.delete("INBOX", [copy.key])
    for folder in ("INBOX", "Work", ALL_MAIL):
        assert [b"<m2@" in one.content.raw for one in gmail_server.folders[folder].copies] == [True]
    assert gmail_server.folders[TRASH].copies == []


def test_a_label_taken_away_elsewhere_is_noticed_by_the_count(gmail_server):
    gmail_server.add_labelled(mail(1), "INBOX", "Work")
    gmail_server.add_labelled(mail(2), "INBOX", "Work")
    with connected(gmail_server) as driver:
        cursor = driver.fetch_changes("Work", None, **EVERYTHING).cursor
        gmail_server.remove_message("Work", "1")
        changes = driver.fetch_changes("Work", cursor, **EVERYTHING)
        assert changes.present == {"2"}
        assert driver.fetch_changes("Work", changes.cursor, **EVERYTHING).present is None


def test_a_change_number_that_goes_back_means_comparing_flags_not_downloading_again(gmail_server):
    for number in range(3):
        gmail_server.add_message("INBOX", mail(number))
    with connected(gmail_server) as driver:
        cursor = driver.fetch_changes("INBOX", None, **EVERYTHING).cursor
        gmail_server.folders["INBOX"].modseq = 1
        gmail_server.folders["INBOX"].copies[0].flags.add("\\Flagged")
        changes = driver.fetch_changes("INBOX", cursor, **EVERYTHING)
        assert changes.added == () and changes.present == {"1", "2", "3"}
        assert "\\flagged" in {copy.key: copy.flags for copy in changes.flags}["1"]
        assert driver.fetch_changes("INBOX", changes.cursor, **EVERYTHING).flags == ()


def test_two_connections_sharing_a_bookmark_do_not_lose_it(gmail_server):
    for number in range(6):
        gmail_server.add_message("INBOX", mail(number))
    with connected(gmail_server) as one, connected(gmail_server) as other:
        changes = one.fetch_changes("INBOX", None, since=None, limit=2)
        seen = list(changes.added)
        for turn in range(6):
            gmail_server.add_message("INBOX", mail(100 + turn))
            driver = (other, one)[turn % 2]
            list(driver.list_ids("INBOX", since=None))
            changes = driver.fetch_changes("INBOX", changes.cursor, since=None, limit=2)
            seen += changes.added
        while changes.has_more:
            changes = other.fetch_changes("INBOX", changes.cursor, since=None, limit=2)
            seen += changes.added
    assert sorted(copy.uid for copy in seen) == list(range(1, 13))
