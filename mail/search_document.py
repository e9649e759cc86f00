"""What of a message is searched, as one row of words for both engines (pure).

Invariants: words of different places (subject, a person, the body) are never neighbours, so no phrase spans them; all
that marks something begins with MARK, which no token holds; a document stays far below PostgreSQL's 1 MB of a tsvector.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mail.search_query import TextTerm
from mail.tokens import search_tokens

MARK = "§"  # stands between runs, and in front of what is no plain word
ATTACHMENT = f"{MARK}x"
MAX_PEOPLE = 1500  # tokens of one header
MAX_BODY = 40_000  # tokens
MAX_BYTES = 600_000  # of all words together, as stored

_QUOTED_LINE = re.compile(r"^[ \t]{0,3}>.*$", re.M)


@dataclass(frozen=True, slots=True)
class Searchable:
    """The searched parts of a message. People are (name, address); `is_reply`: quoted lines are left out."""

    email_account_id: int
    subject: str = ""
    senders: Sequence[tuple[str, str]] = ()
    to: Sequence[tuple[str, str]] = ()
    cc: Sequence[tuple[str, str]] = ()
    file_names: Sequence[str] = ()
    text: str = field(default="", repr=False)
    has_attachments: bool = False
    is_reply: bool = False


def account_mark(email_account_id: int) -> str:
    """The word that every message of a mailbox has: the permission filter inside the index."""
    return f"{MARK}a{email_account_id}"


def document(message: Searchable) -> list[str]:
    """Return the words of a message in their order; what counts most stands first. Bounded by the caps above."""
    words: list[str] = [MARK, account_mark(message.email_account_id)]
    if message.has_attachments:
        words.append(ATTACHMENT)
    for run in _runs(message):
        words.append(MARK)
        words.extend(run)
    most = sum(map(len, words)) * 4 + len(words) * 8
    return words if most <= MAX_BYTES else list(_below(words, MAX_BYTES))


def bare_document(email_account_id: int) -> list[str]:
    """Return the words of a message whose text the database refuses: it can be filtered, not found by words."""
    return [MARK, account_mark(email_account_id)]


def _runs(message: Searchable) -> Iterator[list[str]]:
    subject = search_tokens(message.subject, 500)
    yield subject
    yield [f"{MARK}s{token}" for token in subject]
    for letter, people in (("f", message.senders), ("t", message.to), ("c", message.cc)):
        left = MAX_PEOPLE
        for person in people:
            for text in person:
                tokens = search_tokens(text[:400], left)
                left -= len(tokens)
                if tokens:
                    yield tokens
                    yield [f"{MARK}{letter}{token}" for token in tokens]
    for name in message.file_names[:100]:
        yield search_tokens(name[:500], 60)
    yield search_tokens(_QUOTED_LINE.sub("", message.text) if message.is_reply else message.text, MAX_BODY)


def _below(words: Iterable[str], limit: int) -> Iterator[str]:
    """The words until the different ones together need `limit` bytes; known ones go on for free."""
    seen: set[str] = set()
    used = 0
    for word in words:
        if word not in seen:
            used += len(word.encode()) + 8
            if used > limit:
                return
            seen.add(word)
        yield word


def phrases(term: TextTerm) -> list[tuple[str, ...]]:
    """Return the rows of words that this term looks for, any of them."""
    if not term.fields:
        return [term.tokens]
    return [tuple(f"{MARK}{letter}{token}" for token in term.tokens) for letter in term.fields]
