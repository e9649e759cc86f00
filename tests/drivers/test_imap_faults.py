"""Cut at any byte, stalled, sliced or flooded: a declared error in time, never a half message, never a hang."""

import threading
import time

import pytest

from drivers import errors
from drivers.imap.driver import ImapDriver
from drivers.types import Login, Security, ServerAddress
from tests.drivers.contract import mail, mail_with_attachment
from tests.servers.proxy import Mischief, Proxy
from tests.servers.scripted_imap import ScriptedImap

RAWS = [mail(1), mail_with_attachment(), mail(2, "x" * 5000)]


def visit(server, proxy, timeout=2.0, whole_below=10_000_000):
    """Everything a download does, on one connection."""
    driver = ImapDriver(server.address(timeout=timeout, port=proxy.port), server.login())
    with driver:
        driver.list_folders()
        changes = driver.fetch_changes("INBOX", None, since=None, limit=10)
        keys = [copy.key for copy in changes.added]
        return [message.raw for message in driver.fetch_messages("INBOX", keys, whole_below=whole_below)]


@pytest.fixture
def filled(poor_server):
    for raw in RAWS:
        poor_server.add_message("INBOX", raw)
    return poor_server


@pytest.mark.parametrize("whole_below", [10_000_000, 10_000], ids=["whole", "without attachments"])
def test_cut_at_any_byte_is_a_lost_connection_and_never_a_half_message(filled, whole_below, monkeypatch):
    monkeypatch.setattr("drivers.imap.structure.secrets.token_hex", lambda size=0: "same")  # boundaries made anew
    with Proxy(filled.port) as proxy:
        expected = visit(filled, proxy, whole_below=whole_below)
        whole = proxy.from_server
    assert expected[::2] == RAWS[::-2] and (expected[1] == RAWS[1]) == (whole_below > 10_000)
    cuts = [*range(0, 1200, 41), *range(1200, whole - 200, whole // 12), *range(whole - 200, whole - 40, 37)]
    lost = 0
    for cut in cuts:
        with Proxy(filled.port, Mischief(cut_after=cut)) as proxy:
            try:
                assert visit(filled, proxy, whole_below=whole_below) == expected
            except errors.ServerUnreachable as error:
                assert error.kind == "dropped"
                lost += 1
    assert lost > len(cuts) * 0.8


def test_sliced_into_single_bytes_the_mail_is_the_same(filled):
    filled.remove_message("INBOX", "2")
    with Proxy(filled.port, Mischief(slice_size=1)) as proxy:
        assert visit(filled, proxy, timeout=20) == [RAWS[2], RAWS[0]]


@pytest.mark.parametrize("stall", [0, 10, 300, 1500])
def test_a_stalled_server_is_a_timeout(filled, stall):
    with Proxy(filled.port, Mischief(stall_after=stall)) as proxy:
        started = time.monotonic()
        with pytest.raises(errors.ServerUnreachable) as caught:
            visit(filled, proxy, timeout=0.3)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 2


def test_a_connection_that_died_while_idle_says_so_and_can_be_opened_again(filled):
    with Proxy(filled.port) as proxy:
        driver = ImapDriver(filled.address(timeout=2, port=proxy.port), filled.login())
        driver.open()
        assert driver.is_alive()
        proxy.drop_all()
        assert not driver.is_alive()
        for _ in range(2):
            with pytest.raises(errors.ServerUnreachable):
                driver.fetch_changes("INBOX", None, since=None, limit=1)
        driver.open()
        assert driver.fetch_changes("INBOX", None, since=None, limit=1).total == 3
        driver.close()


def test_a_poll_that_finds_nothing_is_one_round_trip(gmail_server):
    gmail_server.add_message("INBOX", mail(1))
    with (
        Proxy(gmail_server.port) as proxy,
        ImapDriver(gmail_server.address(port=proxy.port), gmail_server.login()) as driver,
    ):
        cursor = driver.fetch_changes("INBOX", None, since=None, limit=5).cursor
        packets = []
        for _ in range(3):
            before = proxy.client_packets
            driver.fetch_changes("INBOX", cursor, since=None, limit=5)
            packets.append(proxy.client_packets - before)
    # The first leaves the folder (UNSELECT sent together with STATUS), the others only ask.
    assert packets[1:] == [1, 1] and packets[0] <= 2
    assert gmail_server.log[-5:] == ["UNSELECT", "STATUS", "STATUS", "STATUS", "LOGOUT"]


# a hostile server


def hostile(**replies):
    return ScriptedImap({name.replace("_", " "): reply for name, reply in replies.items()})


def opened(server, timeout=2.0):
    driver = ImapDriver(server.address(timeout), server.login())
    driver.open()
    return driver


def test_a_literal_of_a_hundred_gigabytes_is_refused_before_it_is_read():
    with hostile(LIST=b'* LIST () "/" {99999999999}\r\nxx') as server:
        driver = opened(server)
        with pytest.raises(errors.ProtocolError):
            driver.list_folders()
        with pytest.raises(errors.ServerUnreachable):
            driver.list_folders()


def test_a_huge_literal_in_the_greeting_is_refused():
    for greeting in (b"* OK {99999999999}\r\n", b"* OK " + b"x" * 2_000_000 + b"\r\n", b"* 1 OK\r\n" * 300_000):
        with hostile(greeting=greeting) as server, pytest.raises(errors.DriverError):
            opened(server)


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"220 smtp ready\r\n",
        b"\xff\xfe\r\n",
        b"* BYE too many connections\r\n",
        b"* \r\n",
    ],
)
def test_what_is_no_imap_server_is_said(greeting):
    with hostile(greeting=greeting) as server, pytest.raises(errors.DriverError) as caught:
        opened(server, timeout=0.5)
    if b"BYE" in greeting:
        assert type(caught.value) is errors.ServerBusy


def test_a_server_that_claims_to_know_us_is_refused():
    with hostile(greeting=b"* PREAUTH welcome\r\n") as server, pytest.raises(errors.ProtocolError):
        opened(server)


def test_a_server_that_drips_is_left_at_its_deadline():
    with hostile(LIST=b"* LIST") as server:
        driver = opened(server, timeout=0.2)
        stop = threading.Event()

        def drip():
            while not stop.wait(0.1):
                for client in server._clients:
                    try:
                        client.sendall(b" x")
                    except OSError:
                        return

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(errors.ServerUnreachable) as caught:
            driver.list_folders()
        stop.set()
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 4


def test_an_answer_to_a_command_never_sent_ends_the_conversation():
    with hostile(LIST=b"m99 OK done\r\n") as server, pytest.raises(errors.ProtocolError):
        opened(server).list_folders()


def test_bodies_nobody_asked_for_are_not_taken():
    foreign = b"* 1 FETCH (UID 2 BODY[] {4}\r\nEVIL)\r\n* 2 FETCH (UID 9 BODY[] {4}\r\nEVIL)\r\n"
    sizes = b'* 1 FETCH (UID 5 RFC822.SIZE 4 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n'

    def answer(tag, line):
        if b"BODY" in line:
            return foreign + b"* 1 FETCH (UID 5 BODY[] {4}\r\ngood)\r\n" + tag + b" OK done\r\n"
        return sizes + tag + b" OK done\r\n"

    with hostile(UID_FETCH=answer) as server:
        found = list(opened(server).fetch_messages("INBOX", ["5"], whole_below=1000))
    assert [(one.copy.key, one.raw) for one in found] == [("5", b"good")]


def test_one_message_the_server_cannot_give_is_said_after_the_good_ones():
    sizes = b"".join(
        b'* %d FETCH (UID %d RFC822.SIZE 4 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n' % (uid, uid)
        for uid in (1, 2)
    )

    def answer(tag, line):
        if b"BODY" not in line:
            return sizes + tag + b" OK done\r\n"
        good = b"* 1 FETCH (UID 1 BODY[] {4}\r\ngood)\r\n" if b" 1" in line else b""
        return good + tag + (b" NO cannot read message\r\n" if b"2" in line.split()[3] else b" OK done\r\n")

    with hostile(UID_FETCH=answer) as server:
        found = []
        with pytest.raises(errors.ProtocolError):
            for message in opened(server).fetch_messages("INBOX", ["1", "2"], whole_below=1000):
                found.append(message.raw)
    assert found == [b"good"]


def test_a_server_without_uidvalidity_and_uidnext_is_read():
    with hostile(
        EXAMINE=b"* 2 EXISTS\r\n%(tag)s OK done\r\n",
        STATUS=b"%(tag)s BAD what\r\n",
        FETCH=b"* 2 FETCH (UID 8)\r\n%(tag)s OK done\r\n",
        UID_SEARCH=b"* SEARCH 3 8\r\n%(tag)s OK done\r\n",
        UID_FETCH=b'* 1 FETCH (UID 3 RFC822.SIZE 4 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n'
        b'* 2 FETCH (UID 8 RFC822.SIZE 4 FLAGS () INTERNALDATE "05-Mar-2026 09:08:07 +0000")\r\n%(tag)s OK done\r\n',
    ) as server:
        driver = opened(server)
        changes = driver.fetch_changes("INBOX", None, since=None, limit=10)
        assert ([copy.key for copy in changes.added], changes.epoch) == (["8", "3"], 0)
        again = driver.fetch_changes("INBOX", changes.cursor, since=None, limit=10)
        assert again.added == () and again.present == {"3", "8"}


def status(**figures):
    return (
        f"* STATUS INBOX ({' '.join(f'{name} {value}' for name, value in figures.items())})\r\n".encode()
        + b"%(tag)s OK done\r\n"
    )


def test_one_lagging_answer_does_not_cost_the_bookmark():
    cursor = {"epoch": 7, "uidnext": 10, "modseq": 0, "exists": 3, "since": "", "pending": []}
    with hostile(
        STATUS=status(MESSAGES=3, UIDNEXT=9, UIDVALIDITY=7), UID_SEARCH=b"* SEARCH 1 2 9\r\n%(tag)s OK\r\n"
    ) as server:
        assert opened(server).fetch_changes("INBOX", cursor, since=None, limit=5).cursor["uidnext"] == 10
    with (
        hostile(
            STATUS=status(MESSAGES=3, UIDNEXT=12, UIDVALIDITY=8),
            EXAMINE=b"* 3 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n%(tag)s OK\r\n",
        ) as server,
        pytest.raises(errors.CursorInvalid),
    ):
        opened(server).fetch_changes("INBOX", cursor, since=None, limit=5)


@pytest.mark.parametrize("cursor", [{}, {"epoch": "x", "uidnext": 1}, {"epoch": 1, "uidnext": 1, "pending": [3]}])
def test_a_bookmark_of_another_kind_is_invalid(poor_server, cursor):
    with ImapDriver(poor_server.address(), poor_server.login()) as driver, pytest.raises(errors.CursorInvalid):
        driver.fetch_changes("INBOX", cursor, since=None, limit=5)


def test_a_goodbye_in_the_middle_is_a_lost_connection_or_a_busy_server():
    for text, expected in (
        (b"* BYE Autologout\r\n", errors.ServerUnreachable),
        (b"* BYE [UNAVAILABLE] later\r\n", errors.ServerBusy),
    ):
        with hostile(LIST=text) as server, pytest.raises(expected):
            opened(server).list_folders()


def test_folders_with_odd_names_and_separators_are_listed_once():
    lines = [
        b'* LIST (\\HasNoChildren) NIL "Flat.Name/x"',
        b'* LIST (\\Noselect) "." INBOX',
        b'* LIST () "." "INBOX.Sent"',
        b'* LIST () "\\\\" "a\\\\b"',
        b'* LIST () "/" "Entw&APw-rfe"',
        b'* LIST () "/" "bad & name"',
        b'* LIST () "/" "raw \xc3\xa4"',
        b'* LIST () "/" {6}\r\nli"ter',
        b'* LIST () "/" "Entw&APw-rfe"',
        b"* LIST (",
        b"* LIST",
        b'* LIST () "/" ""',
        b'* LIST (\\Sent \\Trash) "/" "Both"',
    ]
    with hostile(LIST=b"\r\n".join(lines) + b"\r\n%(tag)s OK done\r\n", STATUS=b"%(tag)s NO no\r\n") as server:
        folders = opened(server).list_folders()
    by_path = {folder.path: folder for folder in folders}
    assert list(by_path) == [
        ("Flat.Name/x",),
        ("INBOX",),
        ("INBOX", "Sent"),
        ("a", "b"),
        ("Entwürfe",),
        ("bad & name",),
        ("raw ä",),
        ('li"ter',),
        ("Both",),
    ]
    assert not by_path[("INBOX",)].selectable
    assert by_path[("INBOX", "Sent")].role == "sent" or by_path[("Both",)].role == "sent"
    assert len({folder.id for folder in folders}) == len(folders)


# sign-in


def test_netease_gets_an_id_before_the_first_folder():
    with hostile(CAPABILITY=b"* CAPABILITY IMAP4rev1 ID\r\n%(tag)s OK done\r\n") as server:
        opened(server).fetch_changes("INBOX", None, since=None, limit=1)
    names = [line.split()[1] for line in server.lines]
    assert names.index(b"LOGIN") < names.index(b"ID") < names.index(b"EXAMINE")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (b"IMAP4rev1 LOGINDISABLED STARTTLS", errors.TlsUnavailable),
        (b"IMAP4rev1 LOGINDISABLED AUTH=PLAIN SASL-IR", None),
    ],
)
def test_login_is_not_tried_where_it_is_disabled(capabilities, expected):
    with hostile(CAPABILITY=b"* CAPABILITY " + capabilities + b"\r\n%(tag)s OK done\r\n") as server:
        if expected is None:
            opened(server)
        else:
            with pytest.raises(expected):
                opened(server)
    assert not any(b"LOGIN anna" in line or b"s3cret" in line for line in server.lines)


def test_starttls_that_is_not_offered_or_refused_sends_no_password():
    for capabilities in (b"IMAP4rev1", b"IMAP4rev1 STARTTLS"):
        replies = {
            "CAPABILITY": b"* CAPABILITY " + capabilities + b"\r\n%(tag)s OK done\r\n",
            "STARTTLS": b"%(tag)s NO no\r\n",
        }
        with ScriptedImap(replies) as server:
            driver = ImapDriver(server.address(security=Security.STARTTLS), server.login())
            with pytest.raises(errors.TlsUnavailable):
                driver.open()
        assert not any(b"LOGIN" in line or b"AUTH" in line for line in server.lines)


@pytest.mark.parametrize("secret", ["pässwörd", "with space", 'quo"te\\', "日本語"])
def test_any_password_signs_in(poor_server, secret):
    poor_server.users = {"jürgen@example.com": secret}
    with ImapDriver(poor_server.address(), Login("jürgen@example.com", secret)) as driver:
        assert driver.list_folders()


def test_a_password_with_a_line_break_is_not_sent(poor_server):
    with pytest.raises(errors.AuthenticationFailed):
        ImapDriver(poor_server.address(), Login("anna@example.com", "a\r\nA1 LOGOUT")).open()


def test_an_oauth_token_signs_in_and_a_stale_one_is_an_authentication_failure(gmail_server):
    gmail_server.users = {"anna@example.com": "tok-123"}
    with ImapDriver(gmail_server.address(), Login("anna@example.com", "tok-123", "oauth2")) as driver:
        assert driver.list_folders()
    with pytest.raises(errors.AuthenticationFailed) as caught:
        ImapDriver(gmail_server.address(), Login("anna@example.com", "stale-456", "oauth2")).open()
    assert "stale-456" not in str(caught.value) + caught.value.server_said


def test_no_secret_is_in_logs_or_exceptions(poor_server, caplog):
    caplog.set_level(0)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        ImapDriver(poor_server.address(), Login("anna@example.com", "s3cret-Otter")).open()
    assert "s3cret" not in caplog.text + repr(caught.value) + caught.value.server_said
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_blocked_address_is_said_so_without_a_packet():
    server = ServerAddress("127.0.0.1", 993, Security.SSL)
    with pytest.raises(errors.ServerUnreachable) as caught:
        ImapDriver(server, Login("anna", "x")).open()
    assert caught.value.kind == "blocked"


@pytest.mark.parametrize(("whole_below", "back"), [(10_000_000, 2500), (10_000, 6500)], ids=["whole", "texts"])
def test_what_came_whole_before_the_line_broke_is_given_out(filled, whole_below, back, monkeypatch):
    monkeypatch.setattr("drivers.imap.structure.secrets.token_hex", lambda size=0: "same")  # boundaries made anew
    with Proxy(filled.port) as proxy:
        expected = visit(filled, proxy, whole_below=whole_below)
        whole = proxy.from_server
    partial = 0
    for cut in range(whole - back, whole, 250):
        given = []
        with Proxy(filled.port, Mischief(cut_after=cut)) as proxy:
            driver = ImapDriver(filled.address(timeout=2, port=proxy.port), filled.login())
            try:
                with driver:
                    keys = [copy.key for copy in driver.fetch_changes("INBOX", None, since=None, limit=10).added]
                    for message in driver.fetch_messages("INBOX", keys, whole_below=whole_below):
                        given.append(message.raw)
            except errors.ServerUnreachable:
                partial += 0 < len(given) < len(RAWS)
        assert all(raw in expected for raw in given) and len(set(given)) == len(given)
    assert partial
