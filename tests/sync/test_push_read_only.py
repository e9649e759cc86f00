"""*Never touch my mailbox*, proven by a server that records every command: only EXAMINE, and only BODY.PEEK."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from accounts.models import EmailAccount
from accounts.vault import store_secret
from drivers import registry
from mail import moves
from mail.changes import set_flagged, set_read
from mail.models import Change, Folder, Message
from sync import pipeline, schedule
from tests.drivers.contract import mail, mail_with_attachment
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.servers.mini_imap import PASSWORD, MiniImap

pytestmark = pytest.mark.django_db(transaction=True)

READING = {
    "CAPABILITY", "LOGIN", "AUTHENTICATE", "ID", "ENABLE", "LIST", "STATUS", "EXAMINE", "UNSELECT", "NOOP", "IDLE",
    "UID SEARCH", "UID FETCH", "FETCH", "LOGOUT",
}  # fmt: skip


class FullServer(MiniImap):
    """It can do everything, so nothing is left out for want of an extension."""

    capabilities = ("IMAP4rev1", "IDLE", "AUTH=PLAIN", "UIDPLUS", "MOVE", "UNSELECT", "CONDSTORE", "SPECIAL-USE")


@pytest.fixture
def server() -> Iterator[FullServer]:
    with FullServer() as running:
        for name, use in (("Archive", "\\Archive"), ("Trash", "\\Trash"), ("Sent", "\\Sent"), ("Drafts", "\\Drafts")):
            running.add_folder(name, use)
        yield running


@pytest.fixture
def account(server: FullServer) -> EmailAccount:
    made = EmailAccountFactory(address="anna@example.com", is_read_only=True)
    EmailAccountServerFactory(
        email_account=made, user_name="anna@example.com", host="127.0.0.1", port=server.port, security="none"
    )
    store_secret(PASSWORD, email_account=made)
    return made


def test_everything_a_person_does_leaves_the_server_untouched(server: FullServer, account: EmailAccount) -> None:
    for number in range(3):
        server.add_message("INBOX", mail(number))
    server.add_message("INBOX", mail_with_attachment())
    before = [(copy.uid, set(copy.flags)) for copy in server.folders["INBOX"].copies]
    pipeline.run_once(account.pk, compare_all=True)
    ids = list(Message.objects.order_by("pk").values_list("pk", flat=True))
    assert len(ids) == 4
    set_read(ids, is_read=True)
    set_flagged(ids[:2], is_flagged=True)
    moves.move(ids[:1], target=Folder.objects.get(role="archive"))
    moves.delete(ids[1:2], trash=Folder.objects.get(role="trash"))
    schedule.push_now(account.pk)
    pipeline.run_once(account.pk, compare_all=True)
    channel = registry.push_channel("imap", server.address(), server.login())
    assert channel is not None
    channel.open()
    channel.close()
    assert [(copy.uid, set(copy.flags)) for copy in server.folders["INBOX"].copies] == before
    assert set(server.log) <= READING, set(server.log) - READING
    fetches = [line for line in server.heard if line.startswith("UID FETCH")]
    assert any("BODY.PEEK[" in line for line in fetches)
    for line in fetches:
        assert not re.search(r"BODY\[|RFC822(?!\.SIZE)", line), line
    assert Change.objects.filter(done_at__isnull=True).count() == 8


def test_switched_off_the_changes_made_meanwhile_reach_the_server(server: FullServer, account: EmailAccount) -> None:
    server.add_message("INBOX", mail(1))
    pipeline.run_once(account.pk)
    set_read(list(Message.objects.values_list("pk", flat=True)), is_read=True)
    EmailAccount.objects.update(is_read_only=False)
    schedule.push_now(account.pk)
    assert server.folders["INBOX"].copies[0].flags == {"\\Seen"}
