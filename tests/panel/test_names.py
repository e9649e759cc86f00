"""Names of strangers in lists and letters: nothing turned, nothing hidden, no impostor without their address."""

from __future__ import annotations

from typing import Any

import pytest

from linking.models import MessageLink, Reason
from mail.models import Message
from mail.threads import refresh
from panel.names import hides_something, shown_name
from tests.factories import CompanyFactory, ContactFactory, EmailAccountFactory, MessageFactory

pytestmark = pytest.mark.django_db
TURNED = "Maren \u202emoc.knab\u202c"
MIXED = "P\u0430yPal"  # a Cyrillic letter among Latin ones


@pytest.mark.parametrize("name", [TURNED, MIXED, "boss@nordlys.example", "Bank\u2066 of Oslo"])
def test_a_name_that_hides_something_stands_with_its_address(name: str) -> None:
    assert hides_something(name, "eve@attacker.example")
    shown = shown_name(name, "eve@attacker.example")
    assert shown.endswith(" <eve@attacker.example>")
    assert not set(shown) & set("\u202e\u202c\u2066")


@pytest.mark.parametrize("name", ["田辺 由紀", "Олена Ковальчук", "نور الحداد", "Inês Figueiredo", "Łukasz O’Neil", ""])
def test_an_honest_name_in_any_alphabet_stands_alone(name: str) -> None:
    assert not hides_something(name, "ines@azulejos.example")
    assert shown_name(name, "ines@azulejos.example") == (name or "ines@azulejos.example")


def test_an_address_whose_domain_mixes_alphabets_hides_something() -> None:
    assert hides_something("PayPal", "help@" + "p\u0430ypal.example".encode("idna").decode())


def page(client: Any, path: str, user: Any) -> str:
    client.force_login(user)
    return client.get(path).content.decode()


@pytest.mark.parametrize("name", [TURNED, MIXED])
def test_the_list_and_the_letter_show_it_plainly_and_warn(client: Any, name: str) -> None:
    account = EmailAccountFactory()
    message = MessageFactory(email_account=account, from_name=name, from_address="eve@attacker.example")
    Message.objects.filter(pk=message.pk).update(from_name=name)  # as if intake had let it through
    refresh([message.thread_id])
    listed = page(client, "/", account.owner)
    assert "&lt;eve@attacker.example&gt;" in listed and "Unverified sender" in listed
    letter = page(client, f"/threads/{message.thread_id}/", account.owner)
    assert "We cannot confirm who sent this." in letter and "alphabets that look alike" in letter
    assert "\u202e" not in listed + letter


def test_a_person_whom_the_row_names_needs_no_chip(client: Any) -> None:
    account = EmailAccountFactory()
    message = MessageFactory(email_account=account, from_name="Ida Lindqvist", from_address="ida@customer.example")
    sender = ContactFactory(first_name="Ida", last_name="Lindqvist", address="ida@customer.example")
    other = ContactFactory(first_name="Piet", last_name="Vandenbroucke", address="piet@customer.example")
    company = CompanyFactory(name="Customer Works")
    for record in ({"contact": sender}, {"contact": other}, {"company": company}):
        MessageLink.objects.create(message=message, reason=Reason.CONTACT_ADDRESS, evidence={}, **record)
    refresh([message.thread_id])
    rows = page(client, "/", account.owner)
    assert rows.count("Ida Lindqvist") == 1
    assert "Piet Vandenbroucke" in rows and "Customer Works" in rows
    assert "Ida Lindqvist</span></a>" in page(client, f"/threads/{message.thread_id}/", account.owner), (
        "the letter keeps it"
    )
