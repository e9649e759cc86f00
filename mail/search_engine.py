"""What a search engine is: the words of messages in, matching messages out, newest first.

Invariant: an engine never returns a message of a mailbox that was not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mail.search_query import TextTerm

MAX_ACCOUNT_WORDS = 20  # more mailboxes are compared row by row: a long OR costs more than it saves


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order newest first: a message's received_at and id."""

    received_at: datetime
    message_id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One message's row in the index."""

    message_id: int
    email_account_id: int
    received_at: datetime
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to an engine: `terms` all hold, received in [since, until), beyond `after` in the order; `only` is SQL
    of a query for message ids, with its parameters."""

    account_ids: tuple[int, ...]
    terms: tuple[TextTerm, ...]
    limit: int
    since: datetime | None = None
    until: datetime | None = None
    after: Position | None = None
    only: tuple[str, tuple[Any, ...]] | None = None


class Engine(Protocol):
    """An index inside the database."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write rows, in place of those of the same messages."""

    def remove(self, message_ids: Sequence[int]) -> None:
        """Take messages out of the index."""

    def find(self, ask: Ask) -> list[Position]:
        """Return the first `limit` matches, newest first."""
