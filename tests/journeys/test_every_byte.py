"""The connection cut at every byte of a session of twelve messages: the next run makes it whole, nothing comes twice.

In this process, driver to database. The suite cuts at every STEP-th byte; the long version at each, or at every
CUT_STEP-th, or in a stretch of them (CUT_FROM, CUT_TO), so that several processes can share the session.
"""

from __future__ import annotations

import imaplib
import os
from collections.abc import Iterator

import pytest

from accounts.models import EmailAccount
from drivers.errors import DriverError
from mail.models import Copy, CopyState, Message, Thread
from sync import pipeline
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot
from tests.servers.proxy import Mischief, Proxy

pytestmark = [pytest.mark.servers, pytest.mark.django_db]
STEP = 797  # bytes: prime, so that no line length hides behind it
LONG_STEP = int(os.environ.get("CUT_STEP", "1"))
LONG_FROM = int(os.environ.get("CUT_FROM", "0"))
LONG_TO = int(os.environ.get("CUT_TO", "1000000000"))
COUNT = 12


@pytest.fixture
def account(dovecot_account: EmailAccount, dovecot: Dovecot) -> EmailAccount:
    """Twelve messages in INBOX and Sent on a real server."""
    dovecot.add_messages(dovecot_account.address, "INBOX", letters(COUNT - 2, seed=12, paragraph=3))
    dovecot.add_messages(dovecot_account.address, "Sent", letters(2, seed=13, paragraph=3))
    return dovecot_account


def _uids(dovecot: Dovecot, user: str) -> dict[str, set[int]]:
    client = imaplib.IMAP4("127.0.0.1", dovecot.port, timeout=30)
    client.login(user, dovecot.login(user).secret)
    found = {}
    for folder in ("INBOX", "Sent"):
        client.select(folder, readonly=True)
        found[folder] = {int(word) for word in client.uid("SEARCH", "ALL")[1][0].split()}
    client.logout()
    return found


def _sync(account: EmailAccount, port: int) -> bool:
    account.servers.update(port=port)
    try:
        return pipeline.run_once(account.pk)
    except DriverError:
        return False


def _forget(account: EmailAccount) -> None:
    Copy.objects.all().delete()
    Message.objects.all().delete()
    Thread.objects.all().delete()
    account.folders.all().delete()


def _cut_everywhere(dovecot: Dovecot, account: EmailAccount, cuts: Iterator[int]) -> int:
    server = _uids(dovecot, account.address)
    landed = 0
    for cut in cuts:
        with Proxy(dovecot.port, Mischief(cut_after=cut)) as proxy:
            landed += not _sync(account, proxy.port)
        assert _sync(account, dovecot.port) is True, f"cut at {cut}"
        rows = Copy.objects.filter(state=CopyState.STORED).values_list("folder__remote_id", "uid")
        kept: dict[str, set[int]] = {"INBOX": set(), "Sent": set()}
        for folder, uid in rows:
            kept[folder].add(uid)
        assert kept == server, f"cut at {cut}"
        names = list(Message.objects.values_list("message_id", flat=True))
        assert (len(names), len(set(names)), Copy.objects.count()) == (COUNT, COUNT, COUNT), f"cut at {cut}"
        _forget(account)
    return landed


def _length(dovecot: Dovecot, account: EmailAccount) -> int:
    with Proxy(dovecot.port) as proxy:
        assert _sync(account, proxy.port) is True
        length = proxy.from_server
    _forget(account)
    return length


def test_cut_at_many_bytes_of_a_session(dovecot: Dovecot, account: EmailAccount) -> None:
    length = _length(dovecot, account)
    cuts = range(1, length, STEP)
    assert _cut_everywhere(dovecot, account, iter(cuts)) > len(cuts) * 0.8


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_cut_at_every_byte_of_a_session(dovecot: Dovecot, account: EmailAccount) -> None:
    length = _length(dovecot, account)
    cuts = range(LONG_FROM, min(length, LONG_TO), LONG_STEP)
    landed = _cut_everywhere(dovecot, account, iter(cuts))
    print(f"\n{length} bytes, {cuts}, {landed} runs were cut short")  # noqa: T201
    assert landed > len(cuts) * 0.8
