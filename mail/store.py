"""Messages into rows, a slice at a time. Idempotent: a copy is settled once, whoever fetched it, however often.

The caller holds a transaction and the mailbox's row lock (`lock_mailbox`), so that two workers never store the same
copy or thread the same conversation twice. A copy of a message that is already here joins it (mail.adoption).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import EmailAccount
from base.arrays import one_of
from base.bulk import insert_rows, reserve_ids, update_rows
from base.prepared import ID, TEXTS, Prepared, PreparedValues
from mail import rows, threads
from mail.adoption import adopt, follow_parts
from mail.models import Copy, CopyState, Correspondent, Message, MessageAddress, MessageContent, Part, Thread
from mail.rows import Incoming, Place
from mail.threads import ThreadClue, refresh
from mail.types import StoredMail

_LOCKED = Prepared(lambda pk: EmailAccount.objects.select_for_update(no_key=True).filter(pk=pk))
_UNLOCKED = PreparedValues(
    lambda pk: (
        EmailAccount.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).order_by().values_list("pk")
    ),
    ID,
)
_CORRESPONDENTS = PreparedValues(
    lambda addresses: (
        Correspondent.objects.filter(one_of("address", addresses)).order_by().values_list("address", "pk")
    ),
    TEXTS,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a slice became: new messages (ids), how many copies joined messages that were here, and the threads that are
    new, each with all its messages, oldest first."""

    message_ids: tuple[int, ...]
    joined: int
    new_threads: tuple[Sequence[StoredMail], ...] = ()


@dataclass(frozen=True, slots=True)
class _New:
    """New messages: where each went, in order, and the threads that are new with them."""

    places: Sequence[Place] = ()
    threads: Mapping[int, Sequence[StoredMail]] = field(default_factory=dict)


def lock_mailbox(email_account_id: int) -> EmailAccount:
    """Row lock that serialises writers of one mailbox (no-op on SQLite, whose transactions are IMMEDIATE); inside a
    transaction. Raises EmailAccount.DoesNotExist.

    Rows that only refer to the mailbox (foreign keys) are not held up by it.
    """
    for account in _LOCKED.fetch(email_account_id):
        return account
    raise EmailAccount.DoesNotExist


@transaction.atomic
def is_locked(email_account_id: int) -> bool:
    """Whether somebody writes into this mailbox just now; never on SQLite."""
    if not connection.features.has_select_for_update_skip_locked:
        return False
    return not _UNLOCKED.fetch(email_account_id)


def store_slice(email_account: EmailAccount, items: Sequence[Incoming], *, own_addresses: frozenset[str]) -> Stored:
    """Write a slice: adopt what is here already, store the rest, settle the copies, refresh the threads' rows."""
    adopted = adopt(email_account, items)
    follow_parts({adopted[i.copy.id]: i.parsed.parts for i in items if i.copy.id in adopted})
    fresh, followers = _one_per_object([item for item in items if item.copy.id not in adopted])
    new = _new_messages(email_account, fresh, own_addresses)
    by_object: dict[str, int] = {}
    for item, message in zip(fresh, new.places, strict=True):
        adopted[item.copy.id] = message.pk
        if item.copy.object_id:
            by_object[item.copy.object_id] = message.pk
    for item in followers:
        adopted[item.copy.id] = by_object[item.copy.object_id]
    _settle(items, adopted)
    settle_same_object(email_account, by_object)
    _revive(set(adopted.values()) - {message.pk for message in new.places})
    refresh({message.thread_id for message in new.places} - new.threads.keys())
    return Stored(tuple(message.pk for message in new.places), len(items) - len(fresh), tuple(new.threads.values()))


def adopt_known(email_account: EmailAccount, items: Sequence[Incoming]) -> set[int]:
    """Settle those copies whose message is here already (their headers are enough to know); returns their ids."""
    adopted = adopt(email_account, items, are_whole=False)
    known = [item for item in items if item.copy.id in adopted]
    _settle(known, adopted)
    _revive(set(adopted.values()))
    return {item.copy.id for item in known}


def _one_per_object(items: Sequence[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
    """Split a slice: the first copy of each object id (and all without one), and the others of the same object."""
    seen: set[str] = set()
    first: list[Incoming] = []
    rest: list[Incoming] = []
    for item in items:
        object_id = item.copy.object_id
        (rest if object_id and object_id in seen else first).append(item)
        seen.add(object_id)
    return first, rest


def _new_messages(email_account: EmailAccount, items: Sequence[Incoming], own: frozenset[str]) -> _New:
    """Insert these messages with content, parts and addresses."""
    if not items:
        return _New()
    now = timezone.now()
    clues = [ThreadClue(i.parsed.message_id, i.parsed.in_reply_to, i.parsed.references) for i in items]
    assigned = threads.assign(email_account.pk, clues)
    ids = reserve_ids(Message, len(items))
    places = [
        Place(pk, email_account.pk, thread, rows.received_at(item, now), now)
        for pk, thread, item in zip(ids, assigned.threads, items, strict=True)
    ]
    new = list(zip(items, places, strict=True))
    messages = [rows.message_row(item, place, own) for item, place in new]
    shown = [rows.shown(row) for row in messages]
    in_threads = threads.create(email_account.pk, [one for one in shown if one.thread in assigned.new])
    insert_rows(Message, rows.MESSAGE, messages)
    insert_rows(MessageContent, rows.CONTENT, (rows.content_row(place.pk, item.parsed) for item, place in new))
    parts = [rows.part_row(place.pk, part) for item, place in new for part in item.parsed.parts]
    insert_rows(Part, rows.PART, parts)
    uses = {place.pk: list(rows.address_uses(item.parsed)) for item, place in new}
    known = correspondents({address for some in uses.values() for _role, address in some})
    insert_rows(
        MessageAddress,
        ("message", "correspondent", "role"),
        [(pk, known[address], role) for pk, some in uses.items() for role, address in some],
    )
    stored = {
        one.id: StoredMail(one.id, one.is_outgoing, item.verdict, uses[one.id])
        for one, item in zip(shown, items, strict=True)
    }
    return _New(places, {pk: [stored[one.id] for one in some] for pk, some in in_threads.items()})


def correspondents(addresses: set[str]) -> dict[str, int]:
    """Ids of these (normalised) addresses, made where they are new. Sorted, so that two workers never deadlock."""
    wanted = sorted(addresses)
    ids = dict(_CORRESPONDENTS.fetch(wanted))
    missing = [address for address in wanted if address not in ids]
    if missing:
        Correspondent.objects.bulk_create(
            [Correspondent(address=one, domain=one.rpartition("@")[2][:255]) for one in missing], ignore_conflicts=True
        )
        ids |= dict(Correspondent.objects.filter(address__in=missing).values_list("address", "pk"))
    return ids


def _settle(items: Sequence[Incoming], message_of: Mapping[int, int]) -> None:
    update_rows(
        Copy,
        ("state", "reason", "message", "claimed_by", "claimed_until", "flags", "size"),
        (
            (
                CopyState.STORED,
                "",
                message_of[item.copy.id],
                "",
                None,
                " ".join(sorted(item.flags))[:500],
                item.copy.size,
                item.copy.id,
            )
            for item in items
        ),
    )


def settle_same_object(email_account: EmailAccount, by_object: Mapping[str, int]) -> int:
    """Pending copies of objects that are stored now (other labels of the same mail) need no fetch of their own."""
    if not by_object:
        return 0
    settled = 0
    waiting = Copy.objects.filter(
        email_account=email_account, state=CopyState.PENDING, object_id__in=[key for key in by_object if key]
    )
    for copy in waiting:
        settled += Copy.objects.filter(pk=copy.id, state=CopyState.PENDING).update(
            state=CopyState.STORED, message_id=by_object[copy.object_id], claimed_by="", claimed_until=None
        )
    return settled


def _revive(message_ids: set[int]) -> None:
    """A message that had gone and is on the server again is shown again, unless it lies in the trash there."""
    if not message_ids:
        return
    gone = Message.objects.filter(one_of("pk", message_ids)).exclude(gone_at=None, trashed_at=None)
    touched = list(gone.values_list("thread_id", flat=True))
    if touched:
        elsewhere = Copy.objects.filter(message=OuterRef("pk"), missing_since=None).exclude(folder__role="trash")
        ids = list(gone.values_list("pk", flat=True))
        shown = list(gone.filter(Exists(elsewhere)).values_list("pk", flat=True))
        Message.objects.filter(pk__in=ids).update(gone_at=None)
        Message.objects.filter(pk__in=shown).update(trashed_at=None)
        refresh(touched)


def erase_messages(message_ids: Sequence[int]) -> None:
    """Delete messages for good (trash after 30 days, removal of an email account) and threads left empty."""
    touched = set(Message.objects.filter(pk__in=message_ids).values_list("thread_id", flat=True))
    Message.objects.filter(pk__in=message_ids).delete()
    Thread.objects.filter(pk__in=touched, messages__isnull=True).delete()
    refresh(Thread.objects.filter(pk__in=touched).values_list("pk", flat=True))
