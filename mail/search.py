"""Searching mail: indexing what was stored, finding it again. One interface, an engine per database.

Invariants: whatever the index says, a message is returned only if it lies in one of the mailboxes that were asked for
and is not on its way to erasure; a message is indexed after it is visible, newest first, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from accounts.models import EmailAccount
from base.arrays import one_of
from base.persistence import do_not_wait_for_the_disk
from base.plans import look_up_by_keys
from mail.models import Copy, CopyState, Folder, Message, MessageContent, Part
from mail.search_document import ATTACHMENT, Searchable, bare_document, document
from mail.search_engine import Ask, Engine, Entry, Position
from mail.search_postgres import PostgresEngine
from mail.search_query import Filter, SearchQuery, TextTerm, parse_query
from mail.search_sqlite import SqliteEngine
from mail.tokens import fold

__all__ = ["Position", "index_messages", "index_pending", "parse_query", "remove", "search"]

SLICE = 250  # messages indexed in one transaction
WEIGHT = 8_000_000  # bytes of mail whose words are in memory at once: a word needs ten times its letters
HEAVIEST = 2_000_000  # bytes of text that a message has at most, whatever is attached
MAX_ROUNDS = 20  # pages of the index read for one page of results

# Says which messages a contact: or company: filter means, as a condition on Message without joins (pk__in=…).
Resolver = Callable[[Filter], Q]


def engine() -> Engine:
    """Return the engine of this installation's database."""
    return PostgresEngine() if connection.vendor == "postgresql" else SqliteEngine()


# Indexing


def index_pending(limit: int = 500) -> int:
    """Index the newest `limit` messages that are not indexed yet and that no other worker has at hand; returns how many."""
    newest = Message.objects.filter(is_indexed=False).order_by("-received_at")
    done = 0
    while done < limit and (count := _index_slice(newest[: min(SLICE, limit - done)])):
        done += count
    return done


def index_messages(message_ids: Iterable[int]) -> int:
    """Write these messages into the index, in slices of a transaction each; returns how many were.

    May run again and beside another worker: what the other one has locked is left to it.
    """
    ids = list(message_ids)
    return sum(_index_slice(_these(ids[start : start + SLICE])) for start in range(0, len(ids), SLICE))


def remove(message_ids: Iterable[int]) -> None:
    """Take messages out of the index; deleted messages leave it by themselves."""
    ids = list(message_ids)
    with transaction.atomic():
        for start in range(0, len(ids), SLICE):
            engine().remove(ids[start : start + SLICE])
        Message.objects.filter(pk__in=ids).update(is_indexed=True)  # not to be indexed again


def _these(ids: Sequence[int]) -> QuerySet[Message]:
    return Message.objects.filter(one_of("pk", ids))


def _index_slice(rows: QuerySet[Message], *, is_last_try: bool = False) -> int:
    """Index those of `rows` that nobody else has locked; returns how many."""
    ids: list[int] = []
    try:
        with transaction.atomic():
            do_not_wait_for_the_disk()
            look_up_by_keys()
            free = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
            messages = list(free.only("pk", "email_account_id", "subject", "received_at", "has_attachments", "size"))
            ids = [message.pk for message in messages]
            for some in _by_weight(messages):
                engine().write(list(_bare_entries(some) if is_last_try else _entries(some)))
            if messages:
                _these(ids).update(is_indexed=True)
            return len(ids)
    except DatabaseError:
        # One text that the database refuses must not keep the others, nor itself, waiting for ever.
        if is_last_try or not ids:
            raise
        return sum(_index_slice(_these([one]), is_last_try=len(ids) == 1) for one in ids)


def _by_weight(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The messages in order, in lists of at most WEIGHT."""
    some: list[Message] = []
    weight = 0
    for message in messages:
        one = min(message.size, HEAVIEST)
        if some and weight + one > WEIGHT:
            yield some
            some, weight = [], 0
        some.append(message)
        weight += one
    if some:
        yield some


def _bare_entries(messages: Sequence[Message]) -> Iterator[Entry]:
    for message in messages:
        words = bare_document(message.email_account_id)
        yield Entry(message.pk, message.email_account_id, message.received_at, words)


def _entries(messages: Sequence[Message]) -> Iterator[Entry]:
    ids = [message.pk for message in messages]
    rows = MessageContent.objects.filter(one_of("pk", ids)).only("text", "in_reply_to", "recipients")
    contents = {content.pk: content for content in rows}
    names: dict[int, list[str]] = {}
    for message_id, name in (
        Part.objects.filter(one_of("message_id", ids)).exclude(file_name="").values_list("message_id", "file_name")
    ):
        names.setdefault(message_id, []).append(name)
    for message in messages:
        searchable = _searchable(message, contents.get(message.pk), names.get(message.pk, []))
        yield Entry(message.pk, message.email_account_id, message.received_at, document(searchable))


def _searchable(message: Message, content: MessageContent | None, file_names: Sequence[str]) -> Searchable:
    people = content.recipients if content else {}

    def of(*headers: str) -> list[tuple[str, str]]:
        return [(str(name), str(address)) for header in headers for name, address in people.get(header, ())]

    return Searchable(
        email_account_id=message.email_account_id,
        subject=message.subject,
        senders=of("from", "sender", "reply_to"),
        to=of("to"),
        cc=of("cc", "bcc"),
        file_names=file_names,
        text=content.text if content else "",
        has_attachments=message.has_attachments,
        is_reply=bool(content and content.in_reply_to),
    )


# Finding


def search(
    account_ids: Iterable[int],
    query: SearchQuery | str,
    *,
    limit: int = 50,
    before: Position | None = None,
    resolve: Resolver | None = None,
) -> list[int]:
    """Return ids of matching messages in these mailboxes, newest first, at most `limit`; [] for an empty query.

    `before` goes on after the last message of the page before (its received_at and id). `resolve` says what contact:
    and company: mean; without it they are looked for among the people of a message. Days are those of the current
    time zone. The caller passes only mailboxes that the user may see (accounts.shares.visible_accounts).
    """
    asked = parse_query(query) if isinstance(query, str) else query
    accounts = _accounts(tuple(dict.fromkeys(account_ids)), asked)
    if asked.is_empty or not accounts or limit < 1:
        return []
    terms, condition = _split(asked, accounts, resolve)
    ask = Ask(accounts, terms, limit, _start(asked.since), _start(asked.until), before)
    if not terms:
        return _by_rows(ask, condition)
    if condition:
        try:
            ask = replace(ask, only=_as_sql(Message.objects.filter(condition, email_account_id__in=accounts)))
        except EmptyResultSet:
            return []
    return _by_words(ask)


def _by_rows(ask: Ask, condition: Q) -> list[int]:
    """Search without words: the table of messages alone answers."""
    rows = Message.objects.filter(condition, trashed_at__isnull=True)
    if ask.since is not None:
        rows = rows.filter(received_at__gte=ask.since)
    if ask.until is not None:
        rows = rows.filter(received_at__lt=ask.until)
    if ask.after is not None:
        at = ask.after.received_at
        rows = rows.filter(received_at__lte=at).filter(Q(received_at__lt=at) | Q(pk__lt=ask.after.message_id))
    ids = rows.order_by("-received_at", "-pk").values_list("pk", flat=True)
    if len(ask.account_ids) > 1:
        # No index has the order over several mailboxes: each gives its newest by its own, then they are merged.
        ids = ids.filter(pk__in=_first_of_each(ids, ask))
    return list(ids.filter(email_account_id__in=ask.account_ids)[: ask.limit])


def _first_of_each(rows: QuerySet[Message, int], ask: Ask) -> list[int]:
    """The first ids that `rows` (ordered) gives for each mailbox alone."""
    own = rows.filter(email_account_id=RawSQL("accounts.id", ()))[: ask.limit]
    try:
        sql, params = own.query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            accounts = "unnest(%s::bigint[]) AS accounts (id) CROSS JOIN LATERAL"
            cursor.execute(f"SELECT one.* FROM {accounts} ({sql}) one", [list(ask.account_ids), *params])  # noqa: S608
            return [row[0] for row in cursor.fetchall()]
        found: list[int] = []
        for account_id in ask.account_ids:  # SQLite has no LATERAL, and no way to a server that would make this slow
            cursor.execute(sql.replace("(accounts.id)", str(int(account_id))), params)
            found += [row[0] for row in cursor.fetchall()]
        return found


def _by_words(ask: Ask) -> list[int]:
    """Ask the index page by page until enough of what it names is really there and allowed."""
    found: list[int] = []
    for _round in range(MAX_ROUNDS):
        page = engine().find(ask)
        ids = [position.message_id for position in page]
        allowed = set(_allowed(ask).filter(pk__in=ids).values_list("pk", flat=True))
        found += [message_id for message_id in ids if message_id in allowed]
        if len(found) >= ask.limit or len(page) < ask.limit:
            break
        ask = replace(ask, after=page[-1])
    return found[: ask.limit]


def _allowed(ask: Ask) -> QuerySet[Message]:
    return Message.objects.filter(email_account_id__in=ask.account_ids, trashed_at__isnull=True)


def _as_sql(rows: QuerySet[Message]) -> tuple[str, tuple[Any, ...]]:
    sql, params = rows.order_by().values("pk").query.sql_with_params()
    return sql, tuple(params)


def _start(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def _accounts(account_ids: tuple[int, ...], asked: SearchQuery) -> tuple[int, ...]:
    """Those of the mailboxes that account: means; all without it."""
    wanted = asked.of_kind("account")
    if not wanted or not account_ids:
        return account_ids
    names = {
        pk: fold(f"{address} {name}")
        for pk, address, name in EmailAccount.objects.filter(pk__in=account_ids).values_list(
            "pk", "address", "display_name"
        )
    }
    return tuple(
        pk for pk in account_ids if all((fold(one.value) in names.get(pk, "")) != one.is_negated for one in wanted)
    )


def _split(asked: SearchQuery, accounts: tuple[int, ...], resolve: Resolver | None) -> tuple[tuple[TextTerm, ...], Q]:
    """What the index answers, and what the tables answer."""
    terms = list(asked.terms)
    condition = Q()
    if asked.has_attachment is not None:
        terms.append(TextTerm((ATTACHMENT,), is_negated=not asked.has_attachment))
    for one in asked.filters:
        if one.kind == "is":
            found = _STATES[one.value]
        elif one.kind == "in":
            found = _in_folders(one.value, accounts)
        elif one.kind == "account":
            continue
        elif resolve is not None:
            found = resolve(one)
        else:
            terms += _people_terms(one)
            continue
        condition &= ~found if one.is_negated else found
    return tuple(terms), condition


_STATES = {
    "unread": Q(is_read=False),
    "read": Q(is_read=True),
    "flagged": Q(is_flagged=True),
    "answered": Q(is_answered=True),
    "draft": Q(is_draft=True),
    "sent": Q(is_outgoing=True, is_draft=False),
    "processed": Q(processed_at__isnull=False),
    "open": Q(processed_at__isnull=True, is_outgoing=False, is_draft=False),
}


def _in_folders(value: str, accounts: tuple[int, ...]) -> Q:
    """Messages with a copy in a folder of this name, path or role ("in:sent"), or in one below a path."""
    wanted = fold(value).strip("/ ")
    folders = Folder.objects.filter(email_account_id__in=accounts, gone_at__isnull=True).only(
        "path", "role", "remote_id"
    )
    ids = [
        folder.pk
        for folder in folders
        if wanted in (folder.role, fold(folder.name), fold("/".join(folder.path)))
        or fold("/".join(folder.path)).startswith(f"{wanted}/")
    ]
    copies = Copy.objects.filter(message_id=OuterRef("pk"), folder_id__in=ids, state=CopyState.STORED)
    return Q(Exists(copies)) if ids else Q(pk__in=[])


def _people_terms(one: Filter) -> list[TextTerm]:
    words = parse_query(f'from:"{one.value.replace(chr(34), " ")}"').terms
    return [replace(term, fields=("f", "t", "c"), is_negated=one.is_negated, is_prefix=True) for term in words]
