"""A real Dovecot numbers anew, renames, deletes, moves, and gets a backup put back: nothing is lost, hardly anything
fetched again. Bodies are counted on the wire.
"""

from __future__ import annotations

import imaplib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import timezone

from accounts.models import EmailAccount
from linking.models import MessageLink, Reason
from mail.models import Copy, Folder, Message
from sync import pipeline, status
from tests.factories import ContactFactory
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.servers, pytest.mark.django_db]
COUNT = 40


@dataclass
class Box:
    """A mailbox with `COUNT` letters in INBOX and in Projects, downloaded; one linked, one processed."""

    dovecot: Dovecot
    account: EmailAccount
    proxy: Proxy
    ids: frozenset[int] = frozenset()

    def sync(self) -> None:
        assert pipeline.run_once(self.account.pk) is True

    def client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.dovecot.port, timeout=30)
        client.login(self.account.address, self.dovecot.login(self.account.address).secret)
        return client

    def on_server(self, folder: str) -> set[int]:
        client = self.client()
        client.select(f'"{folder}"', readonly=True)
        found = {int(word) for word in client.uid("SEARCH", "ALL")[1][0].split()}
        client.logout()
        return found

    def here(self, folder: str) -> set[int]:
        row = Folder.objects.get(email_account=self.account, remote_id=folder)
        rows = Copy.objects.filter(folder=row, epoch=row.epoch, state="stored", missing_since=None)
        return {uid for uid in rows.values_list("uid", flat=True) if uid}

    def is_whole(self, *folders: str, fetched_at_most: int = 0) -> None:
        """The sets are the same, all messages kept, links and marks too, and few bodies were fetched again."""
        for folder in folders:
            assert self.here(folder) == self.on_server(folder)
        assert self.ids <= set(Message.objects.filter(trashed_at=None).values_list("pk", flat=True))
        assert Message.objects.filter(processed_at__isnull=False).count() == 1
        assert MessageLink.objects.filter(message__in=self.ids).count() == 1
        figures = status.ledger(self.account)
        assert figures.adds_up, [(one.name, one.on_server, one.stored) for one in figures.folders]
        assert sum(self.proxy.bodies.values()) <= fetched_at_most


@pytest.fixture
def box(dovecot: Dovecot, dovecot_account: EmailAccount) -> Iterator[Box]:
    user = dovecot_account.address
    dovecot.add_messages(user, "INBOX", letters(COUNT, seed=1, paragraph=3))
    dovecot.add_messages(user, "Projects", letters(COUNT, seed=2, paragraph=3))
    with Proxy(dovecot.port) as proxy:
        dovecot_account.servers.update(port=proxy.port)
        made = Box(dovecot, dovecot_account, proxy)
        made.sync()
        messages = list(Message.objects.order_by("pk"))
        assert len(messages) == 2 * COUNT
        made.ids = frozenset(message.pk for message in messages)
        MessageLink.objects.create(message=messages[3], contact=ContactFactory(), reason=Reason.BY_HAND)
        Message.objects.filter(pk=messages[-3].pk).update(processed_at=timezone.now())
        proxy.bodies.clear()
        yield made


def test_a_new_uidvalidity_keeps_everything(box: Box) -> None:
    root = box.dovecot.maildir(box.account.address)
    listing = root / "dovecot-uidlist"
    head, _, rest = listing.read_text().partition("\n")
    words = [f"V{int(word[1:]) + 5}" if word[0] == "V" else word for word in head.split()]
    listing.write_text(" ".join(words) + "\n" + rest)
    for index in root.glob("dovecot.index*"):
        index.unlink()
    before = Folder.objects.get(remote_id="INBOX").epoch
    box.sync()
    box.sync()
    assert Folder.objects.get(remote_id="INBOX").epoch != before
    box.is_whole("INBOX", "Projects", fetched_at_most=COUNT // 20)


def test_a_renamed_folder_keeps_everything(box: Box) -> None:
    client = box.client()
    client.rename("Projects", '"Projects 2027"')
    client.logout()
    box.sync()
    box.is_whole("INBOX", "Projects 2027")


def test_messages_moved_by_another_client_keep_everything(box: Box) -> None:
    client = box.client()
    client.select("INBOX")
    client.uid("MOVE", "5:24", "Projects")
    client.logout()
    box.sync()
    box.sync()
    box.is_whole("INBOX", "Projects", fetched_at_most=COUNT // 20)


def test_a_deleted_folder_is_not_lost_at_once_and_comes_back_whole(box: Box) -> None:
    root = box.dovecot.maildir(box.account.address, "Projects")
    aside = root.with_name("aside")
    root.rename(aside)
    box.sync()
    assert Folder.objects.get(remote_id="Projects").gone_at is not None
    assert not Message.objects.filter(gone_at__isnull=False).exists()
    aside.rename(root)
    box.sync()
    box.is_whole("INBOX", "Projects")


@pytest.mark.parametrize("since", [3, 8, 11], ids=["fewer", "as many", "more"])
def test_a_backup_put_back_hides_no_new_mail(box: Box, since: int) -> None:
    """Also when so much has come since then that the numbers have overtaken those that we knew. When they are the very
    same, nothing tells it but the comparison of the day (or the next mail)."""
    user, root = box.account.address, box.dovecot.maildir(box.account.address)
    backup = root.with_name(f"{root.name}.backup")
    subprocess.run(["cp", "-a", root, backup], check=True)
    box.dovecot.add_messages(user, "INBOX", letters(8, seed=3, paragraph=3))
    box.sync()
    assert max(box.here("INBOX")) == COUNT + 8
    shutil.rmtree(root)
    backup.rename(root)
    box.dovecot.add_messages(user, "INBOX", letters(since, seed=4, paragraph=3))
    box.proxy.bodies.clear()
    box.sync()
    assert pipeline.run_once(box.account.pk, compare_all=since == 8)
    assert max(box.on_server("INBOX")) == COUNT + since
    box.is_whole("INBOX", "Projects", fetched_at_most=since + COUNT // 20)
    assert Message.objects.filter(message_id__startswith="4.").count() == since
    assert Message.objects.filter(message_id__startswith="3.").count() == 8, "kept, although the server lost them"
