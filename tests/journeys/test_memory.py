"""A worker's memory stays under 300 MB whatever the mail: each bomb of the book, and a message of a gigabyte.

Measured as the kernel counts it (VmHWM) over a whole first download in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.conftest import Installation
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.scripted_imap import ScriptedImap

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
ANNA = "anna@example.com"
MOST = 300  # MB
HEAD = b"From: ida@customer.example\r\nTo: anna@example.com\r\nMessage-ID: <%s@customer.example>\r\n"
GIGABYTE = 1 << 30


def _nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return b"Subject: nested\r\n" + HEAD % b"nested" + head + b"\r\n\r\nhello"


def _bombs() -> dict[str, bytes]:
    plain = b"\r\n\r\nhello\r\n"
    return {
        "nested": _nested(2000),
        "quotes": b"From: " + b'"' * 50_000 + b" <q@x.example>\r\nMessage-ID: <quotes@x.example>" + plain,
        "commas": b"From: " + b"," * 50_000 + b"\r\nMessage-ID: <commas@x.example>" + plain,
        "divs": b"Subject: divs\r\n"
        + HEAD % b"divs"
        + b"Content-Type: text/html\r\n\r\n"
        + b"<div>" * 100_000
        + b"word",
        "header": b"X-Long: " + b"a" * 20_000_000 + b"\r\n" + HEAD % b"header" + b"\r\nhello",
        "parts": HEAD % b"parts" + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
        "text": HEAD % b"text" + b"\r\n" + b"one more line of a very long letter\r\n" * 800_000,
    }


def _download(here: Installation) -> tuple[int, int]:
    """Exit code and most memory (MB) of a first download."""
    process = here.start("sync_account", ANNA)
    most = 0
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))])
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    return process.wait(), most


def test_bombs_are_read_or_parked_in_little_memory(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    server = dovecot_with(DovecotOptions())
    bombs = _bombs()
    server.add_messages(ANNA, "INBOX", bombs.values())
    here = install()
    here.connect(server.address(), server.login(ANNA), ANNA)
    code, most = _download(here)
    assert code == 0
    assert 0 < most < MOST, f"{most} MB"
    figures = here.json("mailbox_status", ANNA)
    assert (figures["stored"] + figures["failed"], figures["pending"], figures["unaccounted"]) == (len(bombs), 0, 0)
    parked = here.rows("SELECT raw FROM mail_copy WHERE state = 'failed'")
    assert all((Path(here.environment["DATA_DIR"]) / "mail" / raw).exists() for (raw,) in parked), "kept raw"


def test_an_announced_literal_of_a_hundred_gigabytes_costs_nothing(install: Callable[[], Installation]) -> None:
    replies = {
        "LIST": b'* LIST () "/" INBOX\r\n%(tag)s OK done\r\n',
        "STATUS": b"* STATUS INBOX (MESSAGES 1 UIDVALIDITY 7 UIDNEXT 10)\r\n%(tag)s OK done\r\n",
        "EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 10] x\r\n%(tag)s OK [READ-ONLY] done\r\n",
        "UID SEARCH": b"* SEARCH 9\r\n%(tag)s OK done\r\n",
        "UID FETCH": lambda tag, line: (
            b"* 1 FETCH (UID 9 BODY[] {99999999999}\r\n" + b"x" * 5_000_000
            if b"BODY" in line
            else b'* 1 FETCH (UID 9 FLAGS () RFC822.SIZE 700 INTERNALDATE "23-Nov-2026 10:00:00 +0000")\r\n'
            + tag
            + b" OK done\r\n"
        ),
    }
    with ScriptedImap(replies) as server:  # type: ignore[arg-type]
        here = install()
        here.connect(server.address(), server.login(), ANNA)
        _code, most = _download(here)
    assert 0 < most < MOST, f"{most} MB"
    assert here.rows("SELECT state FROM mail_copy") in ([("failed",)], [("pending",)])


@pytest.mark.long
def test_a_message_of_a_gigabyte_is_shown_and_streamed(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    server = dovecot_with(DovecotOptions())
    head = (
        b"Subject: huge\r\n"
        + HEAD % b"huge"
        + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nthe text of it\r\n--b\r\nContent-Type: application/zip; name=a.zip\r\n"
        b"Content-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    line = b"QUJD" * 19 + b"\r\n"
    server.add_messages(ANNA, "INBOX", [head + b"--b--\r\n"])
    (path,) = (server.maildir(ANNA) / "cur").iterdir()
    name = path.name.partition(",S=")[0]
    with path.open("wb") as target:
        target.write(head)
        for _ in range(GIGABYTE // len(line) // 1000):
            target.write(line * 1000)
        target.write(b"--b--\r\n")
    size = path.stat().st_size
    path.rename(path.with_name(f"{name},S={size},W={size}:2,"))
    here = install()
    here.connect(server.address(), server.login(ANNA), ANNA)
    code, most = _download(here)
    assert code == 0 and most < MOST, f"{most} MB"
    assert here.rows("SELECT count(*) FROM mail_messagecontent WHERE text LIKE '%the text of it%'") == [(1,)]
    said = here.manage(
        "shell",
        "-c",
        "import json, resource; from mail.models import Message; from sync.parts import raw_source\n"
        "size = sum(map(len, raw_source(Message.objects.get())))\n"
        "print('RESULT', json.dumps([size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))",
        timeout=600,
    )
    streamed, used = json.loads(said.partition("RESULT ")[2].splitlines()[0])
    print(f"\na gigabyte: download {most} MB, source streamed {used} MB")  # noqa: T201
    assert streamed == size
    assert used < MOST
