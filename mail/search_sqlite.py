"""The index on SQLite: an FTS5 table whose row ids are in the order of receipt.

Invariants: a row id is the received second and the message's id, so FTS5 itself walks newest first; a trigger deletes
the row with its message (no foreign key reaches a virtual table).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from mail.search_document import MARK, account_mark, phrases
from mail.search_engine import MAX_ACCOUNT_WORDS, Ask, Entry, Position
from mail.search_query import TextTerm

ID_BITS = 30  # a billion messages
_MASK = (1 << ID_BITS) - 1
_MAX_SECOND = (1 << 32) - 1

# Every character of our tokens and marks is a letter to the tokenizer; words are parted by spaces only.
CREATE = """
CREATE VIRTUAL TABLE IF NOT EXISTS mail_search USING fts5(
    words, columnsize=0, tokenize="unicode61 remove_diacritics 0 categories 'L* N* M* P* S* Co'"
)
"""
TRIGGER = f"""
CREATE TRIGGER IF NOT EXISTS mail_search_follows_messages AFTER DELETE ON mail_message BEGIN
    DELETE FROM mail_search WHERE rowid =
        (MIN(MAX(CAST(strftime('%s', substr(old.received_at, 1, 19)) AS INTEGER), 0), {_MAX_SECOND}) << {ID_BITS})
        + (old.id & {_MASK});
END
"""  # noqa: S608 - constants only
_TRIGGER_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'mail_search_follows_messages'"


def row_id(received_at: datetime, message_id: int) -> int:
    """Return the row id of a message: its received second (UTC, 1970 to 2106), then its id."""
    second = int(received_at.timestamp() // 1)
    return (min(max(second, 0), _MAX_SECOND) << ID_BITS) + (message_id & _MASK)


class SqliteEngine:
    """FTS5."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write rows, in place of those of the same messages."""
        self._mend_trigger()
        rows = [(row_id(entry.received_at, entry.message_id), " ".join(entry.words)) for entry in entries]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO mail_search (rowid, words) VALUES (%s, %s)", rows)

    def remove(self, message_ids: Sequence[int]) -> None:
        """Take messages out of the index."""
        marks = ", ".join(["%s"] * len(message_ids))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, received_at FROM mail_message WHERE id IN ({marks})",  # noqa: S608 - only placeholders
                list(message_ids),
            )
            rows = cursor.fetchall()
            keys = [(row_id(_aware(received_at), message_id),) for message_id, received_at in rows]
            cursor.executemany("DELETE FROM mail_search WHERE rowid = %s", keys)

    def find(self, ask: Ask) -> list[Position]:
        """Return the first `limit` matches, newest first."""
        wheres = ["mail_search MATCH %s"]
        values: list[Any] = [match_text(ask)]
        if ask.since is not None:
            wheres.append("rowid >= %s")
            values.append(row_id(ask.since, 0))
        if ask.until is not None:
            wheres.append("rowid < %s")
            values.append(row_id(ask.until, 0))
        if ask.after is not None:
            wheres.append("rowid < %s")
            values.append(row_id(ask.after.received_at, ask.after.message_id))
        if len(ask.account_ids) > MAX_ACCOUNT_WORDS:
            marks = ", ".join(["%s"] * len(ask.account_ids))
            messages = f"SELECT id FROM mail_message WHERE email_account_id IN ({marks})"  # noqa: S608 - placeholders
            wheres.append(f"(rowid & {_MASK}) IN ({messages})")
            values.extend(ask.account_ids)
        if ask.only is not None:
            wheres.append(f"(rowid & {_MASK}) IN ({ask.only[0]})")
            values.extend(ask.only[1])
        sql = f"SELECT rowid FROM mail_search WHERE {' AND '.join(wheres)} ORDER BY rowid DESC LIMIT %s"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, ask.limit])
            return [Position(datetime.fromtimestamp(key >> ID_BITS, UTC), key & _MASK) for (key,) in cursor.fetchall()]

    def _mend_trigger(self) -> None:
        """Make the trigger again where a later migration rebuilt the table of messages and lost it."""
        with connection.cursor() as cursor:
            cursor.execute(_TRIGGER_EXISTS)
            if cursor.fetchone() is None:
                cursor.execute(TRIGGER)


def _aware(stored: datetime | str) -> datetime:
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def match_text(ask: Ask) -> str:
    """Return the question in FTS5's language. Only tokens and marks stand in it, each quoted."""
    wanted = [f'"{MARK}"']
    if len(ask.account_ids) <= MAX_ACCOUNT_WORDS:
        wanted = [_any(f'"{account_mark(number)}"' for number in ask.account_ids)]
    wanted += [_any(_phrases(term)) for term in ask.terms if not term.is_negated]
    unwanted = [text for term in ask.terms if term.is_negated for text in _phrases(term)]
    text = " AND ".join(wanted)
    return f"({text}) NOT {_any(unwanted)}" if unwanted else text


def _phrases(term: TextTerm) -> list[str]:
    return [f'"{" ".join(words)}"{" *" if term.is_prefix else ""}' for words in phrases(term)]


def _any(texts: Iterable[str]) -> str:
    alternatives = list(texts)
    return alternatives[0] if len(alternatives) == 1 else f"({' OR '.join(alternatives)})"
