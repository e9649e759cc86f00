"""Mails with their addresses, as intake leaves them before linking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mail.models import Correspondent, Message, MessageAddress
from tests.factories import MessageFactory


def letter(
    sender: str, *, to: Sequence[str] = (), cc: Sequence[str] = (), bcc: Sequence[str] = (), **fields: Any
) -> Message:
    """A stored mail of `sender`; `fields` go to MessageFactory."""
    message = MessageFactory(from_address=sender, **fields)
    for role, addresses in (("f", [sender]), ("t", to), ("c", cc), ("b", bcc)):
        for address in addresses:
            correspondent, _ = Correspondent.objects.get_or_create(address=address, domain=address.rpartition("@")[2])
            MessageAddress.objects.create(message=message, correspondent=correspondent, role=role)
    return message
