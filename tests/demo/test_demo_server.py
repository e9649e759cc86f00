"""The demo's mail server, started as it is started: real IMAP and SMTP, the same mailboxes after a restart."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from imapclient import IMAPClient

from demo.server import DEMO_USERS
from drivers.errors import AuthenticationFailed, SendRejected
from drivers.smtp.driver import SmtpDriver
from drivers.types import Envelope, Login, Security, ServerAddress

ROOT = Path(__file__).parents[2]
MAREN, SALES, RAVI = DEMO_USERS


@contextmanager
def demo_server(data, arrivals="0"):
    command = [sys.executable, "-m", "demo.server", "--data", str(data), "--arrivals", arrivals]
    (data / "ready.json").unlink(missing_ok=True)
    with (data / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (data / "ready.json").exists():
            assert process.poll() is None and time.monotonic() < deadline, (data / "log").read_text()
            time.sleep(0.02)
        yield json.loads((data / "ready.json").read_text())
    finally:
        process.terminate()
        assert process.wait(10) == 0, (data / "log").read_text()
        assert not (data / "ready.json").exists()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder after its first start."""
    folder = tmp_path_factory.mktemp("demo")
    with demo_server(folder):
        pass
    return folder


@contextmanager
def mailbox(ports, user):
    client = IMAPClient("127.0.0.1", ports["imap"], ssl=False, timeout=10)
    client.login(user.address, user.password)
    try:
        yield client
    finally:
        client.logout()


def contents(ports, user):
    """Folder -> (UIDVALIDITY, {uid: (Message-ID header, flags, received)})."""
    found = {}
    with mailbox(ports, user) as client:
        for _, _, name in client.list_folders():
            validity = client.select_folder(name, readonly=True)[b"UIDVALIDITY"]
            items = ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]", "FLAGS", "INTERNALDATE"]
            rows = client.fetch(client.search(), items) if client.search() else {}
            found[name] = (
                validity,
                {uid: tuple(sorted((k, v) for k, v in row.items() if k != b"SEQ")) for uid, row in rows.items()},
            )
    return found


def sender(ports, user, word=None):
    server = ServerAddress("127.0.0.1", ports["smtp"], Security.NONE, private_networks=("127.0.0.0/8",), timeout=10)
    return SmtpDriver(server, Login(user.address, word or user.password))


def subjects(ports, user, folder="INBOX"):
    with mailbox(ports, user) as client:
        client.select_folder(folder, readonly=True)
        rows = client.fetch(client.search(), ["ENVELOPE"]) if client.search() else {}
        return {row[b"ENVELOPE"].subject for row in rows.values()}


def test_after_a_restart_everything_is_the_same_and_it_is_quick(data):
    with demo_server(data) as ports:
        before = {user.key: contents(ports, user) for user in DEMO_USERS}
    started = time.monotonic()
    with demo_server(data) as ports:
        assert time.monotonic() - started < 5  # under a second on a quiet machine
        after = {user.key: contents(ports, user) for user in DEMO_USERS}
    assert after == before
    assert len(before["maren"]["INBOX"][1]) > 120 and len(before["sales"]["INBOX"][1]) > 120
    assert {"INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive", "Projects/Porto 2027", "Tenders"} <= set(
        before["maren"]
    )


def test_a_mail_sent_by_one_arrives_at_the_other_byte_for_byte(data):
    raw = f"From: {MAREN.address}\r\nTo: {SALES.address}\r\nSubject: Lot 1\r\n\r\nHei,\r\n.\r\nsee you\r\n".encode()
    with demo_server(data) as ports:
        with sender(ports, MAREN) as smtp:
            assert smtp.send(Envelope(MAREN.address, (SALES.address,)), raw).results[0].accepted
        with mailbox(ports, SALES) as client:
            client.select_folder("INBOX")
            (uid,) = client.search(["SUBJECT", "Lot 1", "FROM", MAREN.address, "UNSEEN"])[-1:]
            row = client.fetch([uid], ["BODY[]", "RFC822.SIZE"])[uid]
    assert row[b"BODY[]"].endswith(raw) and row[b"RFC822.SIZE"] == len(row[b"BODY[]"])


def test_somebody_who_waits_is_told_of_new_mail(data):
    with demo_server(data) as ports, socket.create_connection(("127.0.0.1", ports["imap"]), timeout=10) as line:
        heard = line.makefile("rb")  # imapclient's idle_check fails on a line that comes in two pieces
        line.sendall(f'a LOGIN {RAVI.address} "{RAVI.password}"\r\nb SELECT INBOX\r\n'.encode())
        while not heard.readline().startswith(b"b OK"):
            pass
        line.sendall(b"c IDLE\r\n")
        while not heard.readline().startswith(b"+"):
            pass
        with sender(ports, SALES) as smtp:
            smtp.send(Envelope(SALES.address, (RAVI.address,)), b"Subject: knock\r\n\r\nhei\r\n")
        told = heard.readline()
        while told.startswith(b"*") and b"EXISTS" not in told:
            told = heard.readline()
        line.sendall(b"DONE\r\nd LOGOUT\r\n")
    assert b"EXISTS" in told


def test_only_ones_own_name_and_word_open_the_door(data):
    with demo_server(data) as ports:
        with pytest.raises(AuthenticationFailed):
            sender(ports, MAREN, "wrong").check()
        with sender(ports, MAREN) as smtp:
            with pytest.raises(SendRejected):
                smtp.send(Envelope(SALES.address, (RAVI.address,)), b"Subject: forged\r\n\r\nx\r\n")
            with pytest.raises(SendRejected) as caught:
                smtp.send(Envelope(MAREN.address, ("nobody@nordlys.example",)), b"Subject: x\r\n\r\nx\r\n")
    assert list(caught.value.refused.values())[0][0] == 550


def test_a_mail_to_an_address_that_is_not_there_comes_back(data):
    with demo_server(data) as ports:
        with sender(ports, RAVI) as smtp:
            smtp.send(Envelope(RAVI.address, ("j.ortiz@luzsur.example",)), b"Subject: hola\r\n\r\nx\r\n")
        assert b"Undelivered Mail Returned to Sender" in subjects(ports, RAVI)


def test_a_copied_and_a_moved_mail_keep_their_content(data):
    with demo_server(data) as ports, mailbox(ports, RAVI) as client:
        client.select_folder("INBOX")
        uid = client.search()[0]
        raw = client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
        client.copy([uid], "Archive")
        client.move([uid], "Trash")
        for folder in ("Archive", "Trash"):
            client.select_folder(folder)
            found = client.search()[-1]
            assert client.fetch([found], ["BODY.PEEK[]"])[found][b"BODY[]"] == raw


def test_structure_and_envelope_are_as_the_rfc_spells_them(data):
    with demo_server(data) as ports, mailbox(ports, MAREN) as client:
        client.select_folder("INBOX", readonly=True)
        (uid,) = client.search(["SUBJECT", "Crate labels", "LARGER", 1000])[-1:]
        row = client.fetch([uid], ["BODYSTRUCTURE", "ENVELOPE"])[uid]
        (umlauts,) = client.search(["FROM", "w.hinterleitner"])[-1:]
        envelope = client.fetch([umlauts], ["ENVELOPE"])[umlauts][b"ENVELOPE"]
    picture = row[b"BODYSTRUCTURE"][0][-1]
    assert picture[8][0].lower() == b"attachment" and picture[8][1] == (b"filename", b"kasser.png")
    assert envelope.subject.isascii() and envelope.subject.startswith(b"=?utf-8?")
    assert envelope.date is not None


def test_new_mail_arrives_by_the_clock_and_each_only_once(tmp_path):
    with demo_server(tmp_path, arrivals="0.3") as ports:
        time.sleep(2.5)
        first = json.loads((tmp_path / "first_start.json").read_text())["arrived"]
        count = len(contents(ports, MAREN)["INBOX"][1])
    with demo_server(tmp_path, arrivals="0") as ports:
        assert json.loads((tmp_path / "first_start.json").read_text())["arrived"] >= first >= 2
        assert len(contents(ports, MAREN)["INBOX"][1]) >= count


def test_people_answer_what_one_writes_to_them_and_machines_do_not(tmp_path):
    shop = "no-reply@nordfrakt.example"
    raw = b"Subject: Lot 1 is ready\r\nMessage-ID: <lot-1@nordlys.example>\r\n\r\nHei\r\n"
    with demo_server(tmp_path, arrivals="0.5") as ports:
        with sender(ports, MAREN) as smtp:
            smtp.send(Envelope(MAREN.address, ("ines.figueiredo@azulejos.example", shop)), raw)
        deadline = time.monotonic() + 20
        answers = []
        while not answers and time.monotonic() < deadline:
            time.sleep(0.3)
            with mailbox(ports, MAREN) as client:
                client.select_folder("INBOX", readonly=True)
                found = client.search(["SUBJECT", "Re: Lot 1 is ready"])
                answers = list(client.fetch(found, ["ENVELOPE"]).values()) if found else []
    assert [answer[b"ENVELOPE"].in_reply_to for answer in answers] == [b"<lot-1@nordlys.example>"]
    assert answers[0][b"ENVELOPE"].from_[0].mailbox == b"ines.figueiredo"


def test_a_first_start_that_was_killed_begins_anew(tmp_path):
    command = [sys.executable, "-m", "demo.server", "--data", str(tmp_path), "--arrivals", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("mail/maren/cur/*")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)
    assert not (tmp_path / "first_start.json").exists()
    with demo_server(tmp_path) as ports:
        ids = list(contents(ports, MAREN)["INBOX"][1].values())
    assert len(ids) == len(set(ids)) > 120


def test_a_server_that_was_killed_leaves_no_lock_behind(tmp_path):
    with demo_server(tmp_path):
        pass
    (tmp_path / "mail/maren/dovecot-uidlist.lock").touch()
    with demo_server(tmp_path) as ports:
        assert len(contents(ports, MAREN)["INBOX"][1]) > 120
