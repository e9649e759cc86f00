"""Threads by In-Reply-To and References, never by subject alone.

Invariants: a Message-ID belongs to one thread per mailbox (`ThreadReference`); a late message that names two threads
joins them; a thread's row in the list is always recomputed from its messages, so it can be repaired by `refresh`.
Callers hold the mailbox's row lock (mail.store), so two workers never thread the same conversation twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from base.arrays import one_of
from base.bulk import delete_rows, insert_rows, reserve_ids, update_rows
from base.prepared import ID, IDS, PreparedValues
from mail.hashes import id_hash
from mail.models import Message, Thread, ThreadReference
from mail.thread_rows import SHOWN, Shown, thread_row

REFERENCES_FOLLOWED = 30  # the first and the last ones; a longer chain is hostile or useless
COUNTS = ("message_count", "unread_count", "open_count", "sent_count", "draft_count")

_KNOWN = PreparedValues(
    lambda account, hashes: (
        ThreadReference.objects.filter(one_of("id_hash", hashes), email_account=account)
        .order_by()
        .values_list("id_hash", "thread_id")
    ),
    ID,
    IDS,
)
_SHOWN = PreparedValues(
    lambda threads: (
        Message.objects.filter(one_of("thread_id", threads), trashed_at__isnull=True)
        .order_by("thread", "received_at", "pk")
        .values_list(*Shown._fields)
    ),
    IDS,
)


@dataclass(frozen=True, slots=True)
class ThreadClue:
    """What says where a message belongs."""

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]

    def hashes(self) -> list[int]:
        """Hashes of all Message-IDs that this message ties together."""
        references = self.references
        if len(references) > REFERENCES_FOLLOWED:
            references = references[:5] + references[5 - REFERENCES_FOLLOWED :]
        named = [self.message_id, self.in_reply_to, *references]
        return list(dict.fromkeys(id_hash(one) for one in named if one))


class _Groups:
    """Union-find over clue numbers and Message-ID hashes."""

    def __init__(self) -> None:
        self.parent: dict[object, object] = {}

    def root(self, item: object) -> object:
        parent = self.parent.setdefault(item, item)
        while parent != item:
            self.parent[item] = grand = self.parent[parent]
            item, parent = parent, grand
        return item

    def join(self, one: object, other: object) -> None:
        self.parent[self.root(one)] = self.root(other)


@dataclass(frozen=True, slots=True)
class Assigned:
    """The thread id of each clue, in order, and which of them are new: their rows are the caller's to `create`."""

    threads: list[int]
    new: frozenset[int]


def assign(email_account_id: int, clues: Sequence[ThreadClue]) -> Assigned:
    """Where each clue belongs; joins threads and records their Message-IDs."""
    hashes = [clue.hashes() for clue in clues]
    every = {value for some in hashes for value in some}
    known = dict(_KNOWN.fetch(email_account_id, every))
    groups = _Groups()
    for number, some in enumerate(hashes):
        for value in some:
            groups.join(("clue", number), ("id", value))
            if value in known:
                groups.join(("id", value), ("thread", known[value]))
    roots = [groups.root(("clue", number)) for number in range(len(clues))]
    thread_of = _joined(groups, set(known.values()))
    fresh = [root for root in dict.fromkeys(roots) if root not in thread_of]
    new = reserve_ids(Thread, len(fresh))
    thread_of |= dict(zip(fresh, new, strict=True))
    chosen = [thread_of[root] for root in roots]
    ties = {value: thread for some, thread in zip(hashes, chosen, strict=True) for value in some if value not in known}
    # The mailbox's lock is held: nobody else writes a Message-ID of it meanwhile.
    insert_rows(
        ThreadReference,
        ("email_account", "id_hash", "thread"),
        [(email_account_id, value, thread) for value, thread in ties.items()],
    )
    return Assigned(chosen, frozenset(new))


def create(email_account_id: int, messages: Iterable[Shown]) -> dict[int, list[Shown]]:
    """Insert the rows of new threads; `messages` are all of theirs. Returns them by thread, oldest first."""
    by_thread: dict[int, list[Shown]] = {}
    for one in sorted(messages, key=attrgetter("received_at", "id")):
        by_thread.setdefault(one.thread, []).append(one)
    insert_rows(
        Thread,
        ("id", "email_account", *SHOWN),
        [(pk, email_account_id, *thread_row(some)) for pk, some in by_thread.items()],
    )
    return by_thread


def _joined(groups: _Groups, existing: set[int]) -> dict[object, int]:
    """The thread of each group that has one: the oldest; others are joined to it."""
    found: dict[object, list[int]] = {}
    for thread_id in sorted(existing):
        found.setdefault(groups.root(("thread", thread_id)), []).append(thread_id)
    _join([(kept, other) for kept, *others in found.values() for other in others])
    return {root: ids[0] for root, ids in found.items()}


def _join(pairs: Sequence[tuple[int, int]]) -> None:
    """Of each pair (kept, other) the other thread goes, and all that is in it is the kept one's."""
    update_rows(Message, ("thread",), pairs, by="thread")
    update_rows(ThreadReference, ("thread",), pairs, by="thread")
    delete_rows(Thread, (other for _kept, other in pairs))


def refresh(thread_ids: Iterable[int]) -> None:
    """Recompute the list rows of these threads from their messages; one whose messages all went to the trash is shown
    nowhere, and kept until they are erased."""
    ids = sorted(set(thread_ids))
    if not ids:
        return
    messages = map(Shown._make, _SHOWN.fetch(ids))
    rows = {thread: thread_row(list(some)) for thread, some in groupby(messages, key=attrgetter("thread"))}
    update_rows(Thread, SHOWN, ((*row, thread) for thread, row in rows.items()))
    if empty := [thread for thread in ids if thread not in rows]:
        Thread.objects.filter(pk__in=empty).update(**dict.fromkeys(COUNTS, 0))
