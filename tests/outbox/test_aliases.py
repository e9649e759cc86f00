"""Other addresses of a mailbox: mail leaves from the address that was written to, and what came from one of them is one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import EmailAccount
from accounts.services import AliasRefused, add_alias, remove_alias
from linking.facts import own_addresses
from mail.direction import count_as_sent
from mail.models import Message
from outbox import services
from outbox.errors import CannotSend, NotAllowed
from outbox.models import SendState
from outbox.senders import find_sender, senders_of
from tests.factories import ContactFactory, EmailAccountFactory, MessageFactory, UserFactory
from tests.outbox.conftest import Desk

SALES = "sales@example.com"


@pytest.fixture
def sales(desk: Desk) -> Desk:
    add_alias(desk.account, address="Sales@Example.com", display_name="Nordlys Sales")
    return desk


def arrives(desk: Desk, to: str, header: str = "") -> Message:
    """A mail as another server delivers it, taken in by sync."""
    desk.mail.folders["INBOX"].add(
        f"From: Ida <ida@customer.example>\r\nTo: {to}\r\n{header}Cc: anna@example.com, bo@customer.example\r\n"
        f"Subject: Lanterns\r\nMessage-ID: <{to}{len(header)}@customer.example>\r\n\r\nHow many?\r\n".encode()
    )
    desk.sync()
    return Message.objects.get(subject="Lanterns")


def test_an_answer_leaves_from_the_alias_that_was_written_to_with_its_name_and_envelope(sales: Desk) -> None:
    original = arrives(sales, SALES)
    draft = services.start_draft(user=sales.user, original=original, kind="reply_all")
    assert draft.from_address == "Sales@Example.com"
    assert [address for _name, address in [*draft.to, *draft.cc]] == ["ida@customer.example", "bo@customer.example"]
    row = sales.send(draft)
    assert row.state == SendState.FILED
    (sent,) = sales.in_folder("Sent")
    assert sent["From"] == "Nordlys Sales <Sales@example.com>"
    assert "MAIL FROM:<Sales@example.com>" in " ".join(sales.smtp.lines)
    stored = Message.objects.get(message_id=row.message_id)
    assert stored.is_outgoing, "mail from an alias is one's own"
    follow_up = services.start_draft(user=sales.user, original=stored, kind="reply")
    assert follow_up.from_address == "Sales@Example.com"


@pytest.mark.parametrize("header", ["Delivered-To: sales@example.com\r\n", "X-Original-To: <sales@example.com>\r\n"])
def test_a_mail_of_a_list_is_answered_from_the_alias_that_the_server_noted(sales: Desk, header: str) -> None:
    sales.mail.folders["INBOX"].add(
        f"From: Ida <ida@customer.example>\r\nTo: everybody@list.example\r\n{header}Subject: Lanterns\r\n\r\nHi\r\n".encode()
    )
    sales.sync()
    draft = services.start_draft(user=sales.user, original=Message.objects.get(), kind="reply")
    assert draft.from_address == "Sales@Example.com"


def test_the_mailboxes_own_address_comes_first_and_a_removed_alias_is_never_sent_as(sales: Desk) -> None:
    assert services.start_draft(user=sales.user, original=arrives(sales, "anna@example.com")).from_address == ""
    values = [one.value for one in senders_of(sales.user)]
    alias = sales.account.aliases.get()
    assert values == [str(sales.account.pk), f"{sales.account.pk}-{alias.pk}"]
    draft = sales.write()
    draft = services.change_sender(
        user=sales.user, draft=draft, email_account=sales.account, from_address=alias.address
    )
    remove_alias(sales.account, alias_id=alias.pk)
    with pytest.raises(CannotSend) as caught:
        services.queue(user=sales.user, draft=draft, confirmed=True)
    assert "from" in caught.value.problems
    with pytest.raises(NotAllowed):
        services.change_sender(
            user=sales.user, draft=sales.write(), email_account=sales.account, from_address="boss@bank.example"
        )


def test_who_may_not_send_with_the_mailbox_may_not_send_as_its_alias(sales: Desk) -> None:
    alias = sales.account.aliases.get()
    assert find_sender(UserFactory(), f"{sales.account.pk}-{alias.pk}") is None
    assert find_sender(sales.user, f"{sales.account.pk}-999") is None


@pytest.mark.parametrize("address", ["", "nobody", "a b@c.example", "a@b.example\r\nBcc: c@d.example", "x" * 400])
def test_what_is_no_address_is_no_alias(db: None, address: str) -> None:
    account: EmailAccount = EmailAccountFactory()
    with pytest.raises(AliasRefused):
        add_alias(account, address=address)
    with pytest.raises(AliasRefused):
        add_alias(account, address=account.address.upper())
    assert not account.aliases.exists()


def test_an_alias_is_one_of_our_addresses_unless_it_is_a_contacts(sales: Desk) -> None:
    ContactFactory(address="ida@customer.example")
    add_alias(sales.account, address="ida@customer.example")
    assert SALES in own_addresses() and "ida@customer.example" not in own_addresses()


def test_mail_that_came_from_an_alias_before_counts_as_sent_in_this_mailbox_only(db: None) -> None:
    mine, other = EmailAccountFactory(), EmailAccountFactory()
    rows = [MessageFactory(email_account=one, from_address=SALES) for one in (mine, mine, other)]
    assert count_as_sent(mine, SALES) == 2
    assert [Message.objects.get(pk=row.pk).is_outgoing for row in rows] == [True, True, False]
    thread = Message.objects.get(pk=rows[0].pk).thread
    assert (thread.sent_count, thread.unread_count) == (1, 0)


def test_aliases_are_added_and_removed_in_the_settings(make_desk: Callable[..., Desk], client: Client) -> None:
    desk = make_desk()
    client.force_login(desk.user)
    answer: Any = client.post(reverse("panel:alias_add", args=[desk.account.pk]), {"address": SALES}, follow=True)
    assert SALES in answer.content.decode() and "Mail may now be sent from" in answer.content.decode()
    answer = client.post(reverse("panel:alias_add", args=[desk.account.pk]), {"address": SALES}, follow=True)
    assert "has that address already" in answer.content.decode()
    alias = desk.account.aliases.get()
    client.post(reverse("panel:alias_remove", args=[desk.account.pk, alias.pk]))
    assert not desk.account.aliases.exists()
