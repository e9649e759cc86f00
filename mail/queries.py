"""Reading mail: the only door to messages, threads, parts and counts.

Invariants: every function starts from the email accounts that the user may see (being an administrator opens nothing);
a page of threads costs the same number of queries whatever the mailbox's size, and each mailbox is asked by its own
index (a shared ORDER BY over many mailboxes would read past all the mail of the others).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection
from django.db.models import QuerySet

from accounts.shares import visible_accounts, visible_and_sendable
from mail.models import Folder, Message, Part, Thread
from mail.moves import places
from mail.thread_order import Cursor, beside, first_in_folder, first_threads, listed

PAGE = 50  # rows of a list page
COUNT_CAP = 999  # unread threads are counted up to here per mailbox
PENDING_CAP = 200_000  # messages to be downloaded are counted up to here per mailbox
MESSAGES_SHOWN = 300  # newest messages of a thread that are listed

Seen = Sequence[int] | None  # ids of visible_accounts(user) where the caller has just read them, else None
View = Literal["all", "unread", "open", "sent", "drafts"]
VIEWS: tuple[View, ...] = ("all", "unread", "open", "sent", "drafts")
_CONDITIONS: dict[str, dict[str, int]] = {
    "all": {},
    "unread": {"unread_count__gt": 0},
    "open": {"open_count__gt": 0},
    "sent": {"sent_count__gt": 0},
    "drafts": {"draft_count__gt": 0},
}


@dataclass(frozen=True, slots=True)
class ThreadFilter:
    """What a list shows: a view, of one email account or all, of one folder or all."""

    view: View = "all"
    email_account_id: int | None = None
    folder_id: int | None = None


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Rows of a list, newest first, and where the next page begins (None: this was the last)."""

    threads: list[Thread]
    next: Cursor | None
    last: Cursor | None  # of the last row shown


@dataclass(frozen=True, slots=True)
class AccountLabel:
    """What lists say of a mailbox. Fields of EmailAccount; whole ones would cost a page more than its mail.

    `may_send`: the person may send from it, and move and delete its mail.
    """

    pk: int
    address: str
    state: str
    failures: int
    answered_at: datetime | None
    last_sync_at: datetime | None
    last_new_mail_at: datetime | None
    may_send: bool


@dataclass(frozen=True, slots=True)
class MailCounts:
    """Threads with unread, unprocessed and draft messages of one mailbox, each counted up to `COUNT_CAP`."""

    unread: int = 0
    open: int = 0
    drafts: int = 0


@dataclass(frozen=True, slots=True)
class OpenThread:
    """A thread and its messages, oldest first; `earlier` are left out."""

    thread: Thread
    messages: list[Message]
    earlier: int


def visible_messages(user: Any) -> QuerySet[Message]:
    """Messages that `user` may read, without those on their way to erasure."""
    return Message.objects.filter(email_account__in=visible_accounts(user), trashed_at__isnull=True)


def visible_threads(user: Any) -> QuerySet[Thread]:
    """Threads that `user` may read."""
    return Thread.objects.filter(email_account__in=visible_accounts(user), message_count__gt=0)


def visible_parts(user: Any) -> QuerySet[Part]:
    """Attachments and inline pictures that `user` may fetch."""
    return Part.objects.filter(message__email_account__in=visible_accounts(user), message__trashed_at__isnull=True)


def visible_folders(user: Any) -> QuerySet[Folder]:
    """Folders whose mail `user` may read and that hold something here."""
    return Folder.objects.filter(email_account__in=visible_accounts(user), is_followed=True, gone_at__isnull=True)


def thread_page(
    user: Any, filters: ThreadFilter, cursor: Cursor | None = None, limit: int = PAGE, *, seen: Seen = None
) -> ThreadPage:
    """At most `limit` threads below `cursor`, newest first, of what `user` may see."""
    keys = _keys(_accounts(user, filters, seen), filters, cursor, limit + 1)
    more = len(keys) > limit
    keys = keys[:limit]
    last = keys[-1] if keys else None
    return ThreadPage(threads_in_order([key.id for key in keys]), last if more else None, last)


def newer_threads(
    user: Any, filters: ThreadFilter, until: Cursor, limit: int = 200, *, seen: Seen = None
) -> ThreadPage:
    """The rows from the top down to `until`, that one included: the first page of a list, grown by what arrived."""
    just_below = Cursor(until.at, until.id - 1)
    found = _keys(_accounts(user, filters, seen), filters, None, limit)
    keys = [key for key in found if (key.at, key.id) > (just_below.at, just_below.id)]
    last = keys[-1] if keys else None
    return ThreadPage(threads_in_order([key.id for key in keys]), last, last)


def neighbours(user: Any, filters: ThreadFilter, thread: Thread, *, seen: Seen = None) -> tuple[int | None, int | None]:
    """Ids of the threads just above (newer) and below (older) `thread` in a list."""
    here, ids = Cursor(thread.last_received_at, thread.pk), _accounts(user, filters, seen)
    if filters.folder_id is None and ids:
        return beside(ids, _CONDITIONS[filters.view], here)
    newer = _keys(ids, filters, here, 1, newer=True)
    older = _keys(ids, filters, here, 1)
    return newer[0].id if newer else None, older[0].id if older else None


def threads_in_order(ids: Sequence[int]) -> list[Thread]:
    """Threads by id in the given order. Not a door: the ids must come from one."""
    found = Thread.objects.in_bulk(ids)
    return [found[one] for one in ids if one in found]


def open_thread(user: Any, thread_id: int, *, seen: Seen = None) -> OpenThread | None:
    """The thread with its newest messages, None where `user` may not see it."""
    rows = visible_threads(user) if seen is None else Thread.objects.filter(message_count__gt=0)
    thread = rows.filter(pk=thread_id).select_related("email_account").first()
    if thread is None or (seen is not None and thread.email_account_id not in seen):
        return None
    messages = list(
        Message.objects.filter(thread=thread, trashed_at__isnull=True).order_by("-received_at", "-pk")[:MESSAGES_SHOWN]
    )[::-1]
    return OpenThread(thread, messages, max(thread.message_count - len(messages), 0))


def mail_counts(account_ids: Iterable[int]) -> dict[int, MailCounts]:
    """Counts per email account, in one query that reads only the partial indexes. Not a door: ids come from one."""
    ids = list(account_ids)
    if not ids:
        return {}
    cap = COUNT_CAP if len(ids) <= 20 else 99
    counted = ", ".join(
        f"(SELECT COUNT(*) FROM (SELECT 1 FROM mail_thread t WHERE t.email_account_id = a.id AND t.{column} > 0"  # noqa: S608
        f" LIMIT {cap}) counted)"
        for column in ("unread_count", "open_count", "draft_count")
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT a.id, {counted} FROM accounts_emailaccount a WHERE a.id IN ({listed(ids)})")  # noqa: S608
        return {row[0]: MailCounts(*row[1:]) for row in cursor.fetchall()}


def _accounts(user: Any, filters: ThreadFilter, seen: Seen = None) -> list[int]:
    """Mailboxes (ids) that a list is about, of those that `user` may see."""
    ids = list(visible_accounts(user).values_list("pk", flat=True)) if seen is None else list(seen)
    return ids if filters.email_account_id is None else [pk for pk in ids if pk == filters.email_account_id]


def _keys(
    ids: list[int], filters: ThreadFilter, cursor: Cursor | None, limit: int, newer: bool = False
) -> list[Cursor]:
    if not ids:
        return []
    conditions = _CONDITIONS[filters.view]
    if filters.folder_id is None:
        return first_threads(ids, conditions, cursor, (limit, newer))
    folder = Folder.objects.filter(pk=filters.folder_id, email_account__in=ids).first()
    return first_in_folder(folder, conditions, cursor, (limit, newer)) if folder else []


def pending_counts(account_ids: Iterable[int]) -> dict[int, int]:
    """Messages still to be downloaded, of the mailboxes that have any, each counted up to `PENDING_CAP`; one query that
    reads only the index of what is pending. Not a door: ids come from one.
    """
    ids = list(account_ids)
    if not ids:
        return {}
    pending = f"SELECT 1 FROM mail_copy c WHERE c.email_account_id = a.id AND c.state = 'pending' LIMIT {PENDING_CAP}"  # noqa: S608
    counted = f"(SELECT COUNT(*) FROM ({pending}) counted)"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT a.id, {counted} FROM accounts_emailaccount a WHERE a.id IN ({listed(ids)})")  # noqa: S608
        return {pk: count for pk, count in cursor.fetchall() if count}


def account_labels(user: Any) -> list[AccountLabel]:
    """The mailboxes `user` may see, by address."""
    rows = visible_and_sendable(user).order_by("address_key").values_list(*AccountLabel.__slots__)
    return [AccountLabel(*row) for row in rows]


def folders_of(message_id: int) -> list[Folder]:
    """In which folders a message is shown. Not a door: the id must come from one."""
    return places([message_id]).get(message_id, [])[:20]
