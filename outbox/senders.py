"""Whom mail may be sent as: the address of a mailbox and its aliases. Reads only.

Invariant: an address that is no longer the mailbox's own is never sent as; the draft says so instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from accounts.models import EmailAccount
from base.addresses import normalise_address
from mail.models import Message
from outbox import queries
from outbox.models import OutgoingMessage

_DELIVERED = re.compile(
    r"(?im)^(?:delivered-to|x-original-to|envelope-to|x-delivered-to):[ \t]*<?([^\s<>]{3,320})>?[ \t]*$"
)


@dataclass(frozen=True, slots=True)
class Sender:
    """One line of *From*. `value` names it in a form: the mailbox's id, with "-" and the alias's id for an alias."""

    email_account: EmailAccount
    value: str
    name: str
    address: str
    is_alias: bool = False


def senders_of(user: Any) -> list[Sender]:
    """Everybody that `user` may send as, aliases after their mailbox. Two queries."""
    found: list[Sender] = []
    for account in queries.senders(user).prefetch_related("aliases"):
        found.append(Sender(account, str(account.pk), account.display_name, account.address))
        for alias in account.aliases.all():
            name = alias.display_name or account.display_name
            found.append(Sender(account, f"{account.pk}-{alias.pk}", name, alias.address, is_alias=True))
    return found


def find_sender(user: Any, value: str) -> Sender | None:
    """The sender that a form names, None where the person may not send as it."""
    return next((one for one in senders_of(user) if one.value == value), None)


def written_by(row: OutgoingMessage) -> tuple[str, str]:
    """(name, address) that stand in From. The address is the mailbox's own where the draft names none."""
    account = row.email_account
    if not row.from_address:
        return account.display_name, account.address
    alias = account.aliases.filter(address_key=normalise_address(row.from_address)).first()
    return (alias.display_name if alias else "") or account.display_name, row.from_address


def is_own(row: OutgoingMessage) -> bool:
    """Whether the draft's sender is still an address of its mailbox."""
    key = normalise_address(row.from_address)
    return not row.from_address or row.email_account.aliases.filter(address_key=key).exists()


def delivered_to(message: Message) -> str:
    """The alias that a stored mail came to, "" for the mailbox's own address: by To and Cc, then by what servers noted.

    Mail that was sent from here: the alias that it was sent from.
    """
    account = message.email_account
    aliases = {alias.address_key: alias.address for alias in account.aliases.all()}
    if not aliases:
        return ""
    content = message.content
    kinds = ("from",) if message.is_outgoing else ("to", "cc")
    named = [normalise_address(str(address)) for kind in kinds for _name, address in content.recipients.get(kind) or []]
    noted = _DELIVERED.findall(content.header_block[:64_000])
    for key in [*named, *(normalise_address(one) for one in noted)]:
        if key == account.address_key:
            return ""
        if key in aliases:
            return aliases[key]
    return ""
