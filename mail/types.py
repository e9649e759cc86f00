"""What a parsed message is made of: frozen, plain, safe to store (no NUL, no lone surrogates, one-line headers).

Every string here came out of a mail and stays hostile: it is escaped where it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox of an address header. `address` is normalised (base.addresses), "" where nothing valid stood there."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class ParsedPart:
    """A leaf that is not the body: attachment or inline picture. `id` is its IMAP section ("2.1"), size in bytes decoded
    (encoded size where the body was left out)."""

    id: str
    content_type: str
    size: int
    file_name: str = ""
    content_id: str = ""
    is_inline: bool = False  # referenced by the HTML through cid:
    is_left_out: bool = False  # body not in the raw that was parsed


@dataclass(slots=True)
class Claimed:
    """A row of the ledger (mail.models.Copy) that a worker holds, as far as fetching and storing read it."""

    id: int
    email_account_id: int
    folder_id: int
    epoch: int
    remote_key: str
    uid: int | None
    raw: str
    received_at: datetime | None
    size: int | None
    flags: str
    object_id: str

    @property
    def pk(self) -> int:
        """Its id, as a model has it."""
        return self.id


class StoredMail(NamedTuple):
    """A message that was just stored, as far as linking asks. `addresses`: (role letter of MessageAddress, address)."""

    pk: int
    is_outgoing: bool
    verdict: str
    addresses: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message as we keep it. Times are aware UTC or None. `problems` lists what was broken and mended (short words)."""

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    subject: str
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    date: datetime | None
    text: str  # what a person reads as plain text: text/plain, else made from HTML
    html: str  # as sent, decoded, not sanitised; "" if none
    snippet: str  # one line, <= 200 characters, without quotes where cheap
    parts: tuple[ParsedPart, ...]
    header_block: str  # raw headers, decoded as text, capped
    list_id: str = ""
    list_unsubscribe: str = ""
    is_automatic: bool = False  # Auto-Submitted, Precedence bulk/junk/list, ...
    authentication_results: tuple[str, ...] = ()
    digest: str = ""  # adoption: hash of (Message-ID, Date, From, To, normalised subject)
    problems: tuple[str, ...] = ()
