"""Threads by In-Reply-To and References, never by subject alone.

Invariants: a Message-ID belongs to one thread per mailbox (`ThreadReference`); a late message that names two threads
joins them; a thread's row in the list is always recomputed from its messages, so it can be repaired by `refresh`.
Callers hold the mailbox's row lock (mail.store), so two workers never thread the same conversation twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from base.bulk import update_rows
from mail.hashes import id_hash
from mail.models import Message, Thread, ThreadReference

REFERENCES_FOLLOWED = 30  # the first and the last ones; a longer chain is hostile or useless
PARTICIPANTS_SHOWN = 8
SHOWN = (
    "subject", "snippet", "participants", "last_received_at", "message_count", "unread_count", "open_count",
    "sent_count", "draft_count", "has_attachments", "is_flagged",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ThreadClue:
    """What says where a message belongs."""

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    subject: str
    received_at: datetime

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


def assign(email_account_id: int, clues: Sequence[ThreadClue]) -> list[int]:
    """The thread id of each clue, in order; makes and joins threads and records their Message-IDs."""
    hashes = [clue.hashes() for clue in clues]
    every = {value for some in hashes for value in some}
    known = dict(
        ThreadReference.objects.filter(email_account_id=email_account_id, id_hash__in=every).values_list(
            "id_hash", "thread_id"
        )
    )
    groups = _Groups()
    for number, some in enumerate(hashes):
        for value in some:
            groups.join(("clue", number), ("id", value))
            if value in known:
                groups.join(("id", value), ("thread", known[value]))
    thread_of = _threads_of_groups(email_account_id, clues, groups, set(known.values()))
    chosen = [thread_of[groups.root(("clue", number))] for number in range(len(clues))]
    fresh = {value: thread for some, thread in zip(hashes, chosen, strict=True) for value in some if value not in known}
    ThreadReference.objects.bulk_create(
        [ThreadReference(email_account_id=email_account_id, id_hash=v, thread_id=t) for v, t in fresh.items()],
        ignore_conflicts=True,
    )
    return chosen


def _threads_of_groups(
    email_account_id: int, clues: Sequence[ThreadClue], groups: _Groups, existing: set[int]
) -> dict[object, int]:
    """One thread id per group: the oldest existing one (others are joined to it), else a new thread."""
    found: dict[object, list[int]] = {}
    for thread_id in sorted(existing):
        found.setdefault(groups.root(("thread", thread_id)), []).append(thread_id)
    for kept, *others in found.values():
        if others:
            _join(kept, others)
    result = {root: ids[0] for root, ids in found.items()}
    new: dict[object, Thread] = {}
    for number, clue in enumerate(clues):
        root = groups.root(("clue", number))
        if root not in result and root not in new:
            new[root] = Thread(
                email_account_id=email_account_id, subject=clue.subject, last_received_at=clue.received_at
            )
    Thread.objects.bulk_create(new.values())
    return result | {root: thread.pk for root, thread in new.items()}


def _join(kept: int, others: Iterable[int]) -> None:
    others = list(others)
    Message.objects.filter(thread_id__in=others).update(thread_id=kept)
    ThreadReference.objects.filter(thread_id__in=others).update(thread_id=kept)
    Thread.objects.filter(pk__in=others).delete()


def refresh(thread_ids: Iterable[int]) -> None:
    """Recompute the list rows of these threads from their messages; a thread without visible messages goes."""
    ids = sorted(set(thread_ids))
    if not ids:
        return
    shown = Message.objects.filter(thread_id__in=ids, trashed_at__isnull=True)
    received = Q(is_outgoing=False, is_draft=False)
    counts = {
        row["thread_id"]: row
        for row in shown.values("thread_id").annotate(
            message_count=Count("pk"),
            unread_count=Count("pk", filter=received & Q(is_read=False)),
            open_count=Count("pk", filter=received & Q(processed_at__isnull=True)),
            sent_count=Count("pk", filter=Q(is_outgoing=True, is_draft=False)),
            draft_count=Count("pk", filter=Q(is_draft=True)),
            files=Count("pk", filter=Q(has_attachments=True)),
            flags=Count("pk", filter=Q(is_flagged=True)),
            last=Max("received_at"),
        )
    }
    faces = _faces(ids)
    threads = list(Thread.objects.filter(pk__in=ids))
    for thread in threads:
        _show(thread, counts.get(thread.pk), faces.get(thread.pk))
    update_rows(Thread, SHOWN, ((*(getattr(thread, name) for name in SHOWN), thread.pk) for thread in threads))


@dataclass(slots=True)
class _Face:
    """What a thread's row shows of its messages."""

    subject: str
    snippet: str
    participants: list[tuple[str, str, bool]]


def _faces(ids: Sequence[int]) -> dict[int, _Face]:
    faces: dict[int, _Face] = {}
    rows = (
        Message.objects.filter(thread_id__in=ids, trashed_at__isnull=True)
        .order_by("received_at", "pk")
        .values_list("thread_id", "subject", "snippet", "from_name", "from_address", "is_outgoing")
    )
    for thread_id, subject, snippet, name, address, is_own in rows:
        face = faces.setdefault(thread_id, _Face(subject, snippet, []))
        face.snippet = snippet
        person = (name, address, is_own)
        if len(face.participants) < PARTICIPANTS_SHOWN and all(address != seen[1] for seen in face.participants):
            face.participants.append(person)
    return faces


def _show(thread: Thread, counts: Mapping[str, Any] | None, face: _Face | None) -> None:
    if counts is None or face is None:  # all its messages went to the trash: shown nowhere, kept until they are erased
        thread.message_count = thread.unread_count = thread.open_count = thread.sent_count = thread.draft_count = 0
        return
    for name in ("message_count", "unread_count", "open_count", "sent_count", "draft_count"):
        setattr(thread, name, counts[name])
    thread.last_received_at = counts["last"] or timezone.now()
    thread.has_attachments = bool(counts["files"])
    thread.is_flagged = bool(counts["flags"])
    thread.subject = face.subject
    thread.snippet = face.snippet
    thread.participants = [list(one) for one in face.participants]
