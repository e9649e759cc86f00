"""The test server is an Exchange for others, too: exchangelib as it is, with its own payloads, works against it."""

from __future__ import annotations

import pytest
from exchangelib import DELEGATE, Account, Configuration, Credentials, Message, close_connections
from lxml import etree

from tests.drivers.contract import mail
from tests.servers.ews import EwsServer
from tests.servers.ews.tables import M, T, Violation, check


@pytest.fixture
def account(ews_server: EwsServer):  # type: ignore[no-untyped-def]
    config = Configuration(service_endpoint=ews_server.url, credentials=Credentials("anna@example.com", "secret"))
    yield Account("anna@example.com", config=config, autodiscover=False, access_type=DELEGATE)
    close_connections()


def test_exchangelib_finds_reads_changes_moves_and_deletes(ews_server: EwsServer, account: Account) -> None:
    store = ews_server.store
    items = [store.add(store.by_name("inbox"), mail(number)) for number in range(3)]
    inbox = account.inbox
    found = {one.subject: one for one in inbox.all().only("subject", "is_read", "message_id", "mime_content")}
    assert set(found) == {"Number 0", "Number 1", "Number 2"}
    assert found["Number 1"].mime_content == mail(1) and found["Number 1"].message_id == "<m1@example.org>"
    first = found["Number 0"]
    first.is_read = True
    first.save(update_fields=["is_read"])
    assert items[0].is_read
    assert [one.subject for one in inbox.filter(subject__contains="Number 2").only("subject")] == ["Number 2"]
    found["Number 2"].delete()
    assert len(store.by_name("inbox").items) == 2


def test_exchangelib_synchronises_and_sends(ews_server: EwsServer, account: Account) -> None:
    store = ews_server.store
    store.add(store.by_name("inbox"), mail(1))
    inbox = account.inbox
    assert [kind for kind, _item in inbox.sync_items()] == ["create"]
    store.add(store.by_name("inbox"), mail(2))
    assert [kind for kind, _item in inbox.sync_items()] == ["create"]
    Message(account=account, subject="Hi", body="Hello", to_recipients=["ben@example.org"]).send()
    ((recipients, raw),) = ews_server.outgoing
    assert recipients == ("ben@example.org",) and b"Subject: Hi" in raw


SHAPE = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
ONE = "<m:ItemIds><t:ItemId Id='a'/></m:ItemIds>"


@pytest.mark.parametrize(
    "request_",
    [
        f"<m:GetItem>{ONE}{SHAPE}</m:GetItem>",
        f"<m:GetItem>{SHAPE.replace('IdOnly', 'Everything')}{ONE}</m:GetItem>",
        f"<m:GetItem>{SHAPE.replace('t:', 'm:')}{ONE}</m:GetItem>",
        f"<m:GetItem>{SHAPE}<m:ItemIds><t:ItemId/></m:ItemIds></m:GetItem>",
        f"<m:DeleteItem DeleteType='Gone'>{ONE}</m:DeleteItem>",
        f"<m:SendItem SaveItemToFolder='true' Twice='true'>{ONE}</m:SendItem>",
    ],
)
def test_what_the_tables_do_not_allow_is_refused(request_: str) -> None:
    root = etree.fromstring(f"<x xmlns:m='{M}' xmlns:t='{T}'>{request_}</x>")
    with pytest.raises(Violation):
        check(root[0])
