"""The index on PostgreSQL: mail_search(message_id, email_account_id, received_at, vector) with GIN.

Invariant: the vector is read for few rows only, whatever the statistics say. A frequent word is found in a window of
the newest rows; everything else by GIN, which reads no vector but for phrases, in the newest spans of time first
(they are words of each row). PostgreSQL's planner takes `@@` for cheap and would read a million vectors: it is told not to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from mail.search_document import MARK, account_mark, phrases
from mail.search_engine import MAX_ACCOUNT_WORDS, Ask, Entry, Position
from mail.search_query import TextTerm

WINDOW = 400  # newest rows looked at first
DAY = 86_400  # seconds
SPANS = (14 * DAY, 70 * DAY, 350 * DAY)  # GIN looks through the newest one or two of each before it takes all
MAX_POSITION = 16_383  # PostgreSQL counts no further; words beyond it have no place in a phrase
MAX_PLACES = 255  # of one word
_PLACES = tuple(map(str, range(1, MAX_POSITION + 1)))

CREATE = (
    """
    CREATE TABLE mail_search (
        message_id bigint PRIMARY KEY REFERENCES mail_message (id) ON DELETE CASCADE,
        email_account_id bigint NOT NULL,
        received_at timestamptz NOT NULL,
        vector tsvector COMPRESSION lz4 NOT NULL
    ) WITH (toast_tuple_target = 128)
    """,
    # Plans do not depend on statistics of the vector, which cost minutes to gather.
    "ALTER TABLE mail_search ALTER COLUMN vector SET STATISTICS 0",
    "CREATE INDEX mail_search_words ON mail_search USING gin (vector)",
    "CREATE INDEX mail_search_newest ON mail_search (received_at DESC, message_id DESC)",
    "CREATE INDEX mail_search_of_account ON mail_search (email_account_id, received_at DESC, message_id DESC)",
)
_WRITE = "COPY mail_search (message_id, email_account_id, received_at, vector) FROM STDIN"
_ORDER = "ORDER BY received_at DESC, message_id DESC LIMIT %s"


class PostgresEngine:
    """tsvector and GIN."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write rows, in place of those of the same messages. The caller holds the locks of the messages' own rows."""
        self.remove([entry.message_id for entry in entries])
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(_WRITE) as copy:
            for entry in entries:
                vector = f"{vector_text(entry.words)} {span_marks(entry.received_at)}"
                copy.write_row((entry.message_id, entry.email_account_id, entry.received_at, vector))

    def remove(self, message_ids: Sequence[int]) -> None:
        """Take messages out of the index."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM mail_search WHERE message_id = ANY(%s)", [list(message_ids)])

    def find(self, ask: Ask) -> list[Position]:
        """Return the first `limit` matches, newest first."""
        found = self._find_in_window(ask)
        if len(found) == ask.limit:
            return found
        newest = self._newest(ask)
        if newest is None:
            return []
        for span in SPANS:
            # Complete for the time it covers, and newest first: enough when it fills the page. Two marks, not a long
            # OR: GIN compares every word of an OR for every row.
            found = self._find_by_words(ask, (span_mark(newest, span), span_mark(newest, span, 1)))
            if len(found) == ask.limit:
                return found
        return self._find_by_words(ask)

    def _newest(self, ask: Ask) -> datetime | None:
        """The time from which the question goes backwards."""
        bounds = (ask.until, ask.after.received_at if ask.after else None)
        moments = [moment for moment in bounds if moment is not None]
        if moments:
            return min(moments)
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(received_at) FROM mail_search")
            (newest,) = cursor.fetchone()
        return newest

    def _find_in_window(self, ask: Ask) -> list[Position]:
        """The matches among the newest rows: complete up to the oldest of them, so enough when they fill the page."""
        bounds, values = _bounds(ask)
        if len(ask.account_ids) == 1:
            bounds.append("email_account_id = %s")
            values.append(ask.account_ids[0])
        inner = f"SELECT * FROM mail_search WHERE {' AND '.join(bounds) or 'true'} {_ORDER}"  # noqa: S608
        values.append(max(WINDOW, ask.limit * 6))
        wheres, more = _conditions(ask)
        sql = f"SELECT received_at, message_id FROM ({inner}) newest WHERE {' AND '.join(wheres)} {_ORDER}"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, *more, ask.limit])
            return [Position(*row) for row in cursor.fetchall()]

    def _find_by_words(self, ask: Ask, spans: Sequence[str] = ()) -> list[Position]:
        bounds, values = _bounds(ask)
        wheres, more = _conditions(ask)
        if spans:
            more[0] = f"({' | '.join(map(_quoted, spans))}) & {more[0]}"
        # OFFSET 0 keeps the planner from mixing the conditions: first GIN, then whatever is cheap.
        inner = "SELECT message_id, email_account_id, received_at FROM mail_search WHERE vector @@ %s::tsquery OFFSET 0"
        rest = [*bounds, *wheres[1:]]
        sql = f"SELECT received_at, message_id FROM ({inner}) hits WHERE {' AND '.join(rest) or 'true'} {_ORDER}"  # noqa: S608
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)")
            cursor.execute(sql, [more[0], *values, *more[1:], ask.limit])
            rows = cursor.fetchall()
            transaction.set_rollback(True)  # takes the two settings back, also inside somebody else's transaction
        return [Position(*row) for row in rows]


def _bounds(ask: Ask) -> tuple[list[str], list[Any]]:
    """Conditions on the time of receipt, with their values."""
    wheres: list[str] = []
    values: list[Any] = []
    for condition, moment in (("received_at >= %s", ask.since), ("received_at < %s", ask.until)):
        if moment is not None:
            wheres.append(condition)
            values.append(moment)
    if ask.after is not None:
        wheres.append("(received_at, message_id) < (%s, %s)")
        values.extend((ask.after.received_at, ask.after.message_id))
    return wheres, values


def _conditions(ask: Ask) -> tuple[list[str], list[Any]]:
    """The words first, then the mailboxes and what else must hold, with their values."""
    wheres = ["vector @@ %s::tsquery"]
    values: list[Any] = [query_text(ask)]
    if len(ask.account_ids) > MAX_ACCOUNT_WORDS:
        wheres.append("email_account_id = ANY(%s)")
        values.append(list(ask.account_ids))
    if ask.only is not None:
        wheres.append(f"message_id IN ({ask.only[0]})")
        values.extend(ask.only[1])
    return wheres, values


def span_mark(moment: datetime, span: int, back: int = 0) -> str:
    """The word of every message received in the same span of `span` seconds, counted from 1970, or `back` before it."""
    return f"{MARK}w{span // DAY}_{int(moment.timestamp() // span) - back}"


def span_marks(moment: datetime) -> str:
    """The words of all spans, as part of a tsvector literal."""
    return " ".join(_quoted(span_mark(moment, span)) for span in SPANS)


def vector_text(words: Sequence[str]) -> str:
    """Return the words as a tsvector literal, with their places."""
    places: dict[str, list[str]] = {}
    for word, place in zip(words, _PLACES, strict=False):
        if word in places:
            places[word].append(place)
        else:
            places[word] = [place]
    texts = [f"{_quoted(word)}:{','.join(known[:MAX_PLACES])}" for word, known in places.items()]
    texts += [_quoted(word) for word in set(words[MAX_POSITION:]) - places.keys()]
    return " ".join(texts)


def query_text(ask: Ask) -> str:
    """Return the question as a tsquery literal. Only tokens and marks stand in it, each quoted."""
    wanted = [_quoted(MARK)]
    if len(ask.account_ids) <= MAX_ACCOUNT_WORDS:
        wanted = [f"({' | '.join(_quoted(account_mark(number)) for number in ask.account_ids)})"]
    for term in ask.terms:
        wanted.append(f"{'!' if term.is_negated else ''}({' | '.join(_phrases(term))})")
    return " & ".join(wanted)


def _phrases(term: TextTerm) -> list[str]:
    texts = []
    for words in phrases(term):
        quoted = [_quoted(word) for word in words]
        if term.is_prefix:
            quoted[-1] += ":*"
        texts.append(f"({' <-> '.join(quoted)})")
    return texts


def _quoted(word: str) -> str:
    if word.isalnum():
        return f"'{word}'"
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
