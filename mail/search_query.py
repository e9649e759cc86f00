"""What a person typed into the search field, understood (pure).

Operators: from: to: cc: subject: has:attachment is:unread|read|flagged|answered|draft|sent|processed|open in: before:
after: account: contact: company:, "quoted phrases", -negation, word*. Invariant: any text is understood in linear time;
an operator that is unknown or has no good value is searched for as words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from mail.tokens import search_tokens

MAX_QUERY = 1000  # characters that are read
MAX_TERMS = 40
MAX_TERM_TOKENS = 30

WORD_FIELDS = {"from": ("f",), "to": ("t",), "cc": ("c",), "subject": ("s",)}
IS_VALUES = {
    "unread": "unread",
    "read": "read",
    "flagged": "flagged",
    "starred": "flagged",
    "answered": "answered",
    "draft": "draft",
    "sent": "sent",
    "processed": "processed",
    "open": "open",
    "unprocessed": "open",
}
VALUE_FILTERS = ("in", "account", "contact", "company")

_TERM = re.compile(r'(?P<minus>-)?(?:(?P<operator>[A-Za-z]{2,10}):)?(?P<value>"[^"]*"\*?|[^\s"]+|")')
_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_ONE_TIGHT_LETTER = re.compile("[^\\W\\d_]")


@dataclass(frozen=True, slots=True)
class TextTerm:
    """Words that stand next to each other; the last is a beginning if `is_prefix`. `fields` are letters of
    mail.search_document ("f", "t", "c", "s"), any of them; () is anywhere."""

    tokens: tuple[str, ...]
    is_prefix: bool = False
    is_negated: bool = False
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on something that is no text: kind is, in, account, contact or company, with its value."""

    kind: str
    value: str
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query. `since` and `until` are days: received on or after `since`, before `until`."""

    terms: tuple[TextTerm, ...] = ()
    filters: tuple[Filter, ...] = ()
    since: date | None = None
    until: date | None = None
    has_attachment: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is asked for; such a query finds nothing."""
        return self == SearchQuery()

    @property
    def words(self) -> tuple[str, ...]:
        """The tokens to mark in results."""
        return tuple(token for term in self.terms if not term.is_negated for token in term.tokens)

    def of_kind(self, *kinds: str) -> tuple[Filter, ...]:
        """The filters of these kinds."""
        return tuple(one for one in self.filters if one.kind in kinds)


@dataclass(slots=True)
class _Reading:
    terms: list[TextTerm] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    since: date | None = None
    until: date | None = None
    has_attachment: bool | None = None


def parse_query(text: str) -> SearchQuery:
    """Return what was asked for. Never raises; at most MAX_TERMS terms of the first MAX_QUERY characters count."""
    reading = _Reading()
    for number, match in enumerate(_TERM.finditer(text[:MAX_QUERY])):
        if number >= MAX_TERMS:
            break
        operator = (match["operator"] or "").lower()
        if not _read_operator(reading, operator, match["value"], bool(match["minus"])):
            words = match["value"] if not operator else f"{operator} {match['value']}"
            _add_words(reading, words, match["value"], bool(match["minus"]), ())
    return SearchQuery(
        tuple(reading.terms), tuple(reading.filters), reading.since, reading.until, reading.has_attachment
    )


def _read_operator(reading: _Reading, operator: str, value: str, is_negated: bool) -> bool:
    """Return whether this was an operator with a good value."""
    plain = value.strip('"').strip()
    if not operator or not plain:
        return False
    if operator in WORD_FIELDS:
        return _add_words(reading, value, value, is_negated, WORD_FIELDS[operator])
    if operator == "has" and plain.lower() in ("attachment", "attachments", "file", "files"):
        reading.has_attachment = not is_negated
        return True
    if operator == "is" and plain.lower() in IS_VALUES:
        reading.filters.append(Filter("is", IS_VALUES[plain.lower()], is_negated))
        return True
    if operator in VALUE_FILTERS:
        reading.filters.append(Filter(operator, plain, is_negated))
        return True
    return operator in ("before", "after") and _read_date(reading, operator, plain, is_negated)


def _add_words(reading: _Reading, words: str, value: str, is_negated: bool, fields: tuple[str, ...]) -> bool:
    tokens = search_tokens(words, MAX_TERM_TOKENS)
    if not tokens:
        return False
    # One letter of a script without spaces is never a token by itself but where it stands alone (mail.tokens).
    is_one_letter = len(tokens[-1]) == 1 and not tokens[-1].isascii() and bool(_ONE_TIGHT_LETTER.match(tokens[-1]))
    # Who types "from:mar" means Maren: addresses and names are found by their beginning.
    is_prefix = value.endswith("*") or is_one_letter or bool(fields and fields != ("s",) and '"' not in value)
    reading.terms.append(TextTerm(tuple(tokens), is_prefix, is_negated, fields))
    return True


def _read_date(reading: _Reading, operator: str, text: str, is_negated: bool) -> bool:
    """Read 2026, 2026-11 or 2026-11-05; `before` the first day of it, `after` and on it."""
    match = _DATE.fullmatch(text)
    if not match:
        return False
    try:
        day = date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return False
    if not timedelta(days=2) < day - date.min or not timedelta(days=2) < date.max - day:
        return False
    if (operator == "before") != is_negated:
        reading.until = min(reading.until or day, day)
    else:
        reading.since = max(reading.since or day, day)
    return True
