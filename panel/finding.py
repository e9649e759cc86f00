"""Search results as threads: the newest matching message decides a thread's place and gives its snippet."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from linking.models import MessageLink
from mail.models import Message
from mail.queries import Cursor, threads_in_order, visible_messages
from mail.search import Position, parse_query, search
from mail.search_query import Filter
from panel.context import movable_of, seen_of
from panel.filters import ListAddress
from panel.rows import Row, make_rows

PAGE = 50  # messages of a page of results
OPERATORS = ("from:", "to:", "has:attachment", "in:", "before:", "contact:")
MARKED = 20  # words that are marked in results


@dataclass(frozen=True, slots=True)
class Found:
    """A page of results. `seconds` is what the search itself took; `next` where it goes on, None at the end."""

    rows: list[Row]
    seconds: float
    next: Cursor | None
    operators: tuple[str, ...] = OPERATORS


def find(request: HttpRequest, address: ListAddress, after: Cursor | None = None) -> Found:
    """Threads with messages that match the address's query, newest first, of what the person may see."""
    accounts = seen_of(request)
    started = time.monotonic()
    before = Position(after.at, after.id) if after else None
    ids = search(accounts, address.query, limit=PAGE + 1, before=before, resolve=linked_to)
    seconds = time.monotonic() - started
    found = visible_messages(request.user).defer("digest", "object_id").in_bulk(ids[:PAGE])
    messages = [found[one] for one in ids[:PAGE] if one in found]
    newest: dict[int, Message] = {}
    for message in messages:
        newest.setdefault(message.thread_id, message)
    words = _words(address.query)
    rows = make_rows(threads_in_order(list(newest)), address, movable_of(request))
    rows = [_marked(row, newest[row.thread.pk], words) for row in rows]
    last = messages[-1] if messages else None
    return Found(rows, seconds, Cursor(last.received_at, last.pk) if last and len(ids) > PAGE else None)


def linked_to(one: Filter) -> Q:
    """What contact: and company: mean: messages linked to a record with these words in its name."""
    names = Q()
    for word in one.value.split()[:8]:
        person = Q(contact__first_name__icontains=word) | Q(contact__last_name__icontains=word)
        names &= person if one.kind == "contact" else Q(company__name__icontains=word)
    return Q(pk__in=MessageLink.objects.filter(names, is_rejected=False).values("message"))


def _words(query: str) -> list[str]:
    tokens = [token for term in parse_query(query).terms if not term.is_negated for token in term.tokens]
    return sorted({token for token in tokens if token}, key=len, reverse=True)[:MARKED]


def _marked(row: Row, message: Message, words: Sequence[str]) -> Row:
    subject = row.thread.subject
    return replace(row, subject_html=mark(subject, words) if subject else "", snippet_html=mark(message.snippet, words))


def mark(text: str, words: Sequence[str]) -> SafeString:
    """The text escaped, with the words that were looked for in <mark>."""
    if not words:
        return escape(text)
    pieces = re.split("(" + "|".join(re.escape(word) for word in words) + ")", text, flags=re.I)
    marked = [f"<mark>{escape(piece)}</mark>" if number % 2 else escape(piece) for number, piece in enumerate(pieces)]
    return mark_safe("".join(marked))  # noqa: S308 - every piece is escaped
