"""Messages into rows, a slice at a time. Idempotent: a copy is settled once, whoever fetched it, however often.

The caller holds a transaction and the mailbox's row lock (`lock_mailbox`), so that two workers never store the same
copy or thread the same conversation twice. Adoption (design.md): a copy of a message that is already here, in another
folder or epoch, joins it, only when there is exactly one candidate on each side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import EmailAccount
from base.bulk import insert_rows, reserve_ids, update_rows
from mail import rows, threads
from mail.models import Copy, CopyState, Correspondent, Message, MessageAddress, MessageContent, Part, Thread
from mail.rows import Incoming, Place
from mail.threads import ThreadClue, refresh


@dataclass(frozen=True, slots=True)
class Stored:
    """What a slice became: new messages (ids) and how many copies joined messages that were here."""

    message_ids: tuple[int, ...]
    joined: int


def lock_mailbox(email_account_id: int) -> EmailAccount:
    """Row lock that serialises writers of one mailbox (no-op on SQLite, whose transactions are IMMEDIATE)."""
    return EmailAccount.objects.select_for_update().get(pk=email_account_id)


def store_slice(email_account: EmailAccount, items: Sequence[Incoming], *, own_addresses: frozenset[str]) -> Stored:
    """Write a slice: adopt what is here already, store the rest, settle the copies, refresh the threads' rows."""
    adopted = _adopt(email_account, items)
    fresh, followers = _one_per_object([item for item in items if item.copy.pk not in adopted])
    messages, new_threads = _new_messages(email_account, fresh, own_addresses)
    by_object: dict[str, int] = {}
    for item, message in zip(fresh, messages, strict=True):
        adopted[item.copy.pk] = message.pk
        if item.copy.object_id:
            by_object[item.copy.object_id] = message.pk
    for item in followers:
        adopted[item.copy.pk] = by_object[item.copy.object_id]
    _settle(items, adopted)
    settle_same_object(email_account, by_object)
    _revive(set(adopted.values()) - {message.pk for message in messages})
    refresh({message.thread_id for message in messages} - new_threads)
    return Stored(tuple(message.pk for message in messages), len(items) - len(fresh))


def adopt_known(email_account: EmailAccount, items: Sequence[Incoming]) -> set[int]:
    """Settle those copies whose message is here already (their headers are enough to know); returns their ids."""
    adopted = _adopt(email_account, items)
    known = [item for item in items if item.copy.pk in adopted]
    _settle(known, adopted)
    _revive(set(adopted.values()))
    return {item.copy.pk for item in known}


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


def _adopt(email_account: EmailAccount, items: Sequence[Incoming]) -> dict[int, int]:
    """Copies whose message is here already: copy id -> message id."""
    objects = {item.copy.object_id for item in items if item.copy.object_id}
    by_object = dict(
        Message.objects.filter(email_account=email_account, object_id__in=objects).values_list("object_id", "pk")
    )
    result = {item.copy.pk: by_object[item.copy.object_id] for item in items if item.copy.object_id in by_object}
    loose = [i for i in items if not i.copy.object_id and i.parsed.message_id and i.parsed.digest]
    per_place = Counter((item.parsed.digest, item.copy.folder_id, item.copy.epoch) for item in loose)
    candidates = _candidates(email_account, {item.parsed.digest for item in loose})
    for item in loose:
        place = (item.parsed.digest, item.copy.folder_id, item.copy.epoch)
        fitting = [
            found
            for found in candidates.get(item.parsed.digest, ())
            if (item.copy.folder_id, item.copy.epoch) not in found.places
            and (found.size == (item.copy.size or 0) or (found.is_away and _says_the_same(found.message_id, item)))
        ]
        if len(fitting) == 1 and per_place[place] == 1:
            result[item.copy.pk] = fitting[0].message_id
            fitting[0].places.add((item.copy.folder_id, item.copy.epoch))
    return result


@dataclass(slots=True)
class _Candidate:
    message_id: int
    size: int
    places: set[tuple[int, int]]
    is_away: bool = True  # no copy of it is on the server now, as far as we know


def _says_the_same(message_id: int, item: Incoming) -> bool:
    """Another protocol counts other bytes for the same mail (and may make its source anew): then the text decides, and
    where there is none the names of what is attached."""
    text, html = _words(item.parsed.text), _words(item.parsed.html)
    there = MessageContent.objects.filter(message=message_id).values_list("text", "html").first()
    if there is None:
        return False
    if not (text or html or _words(there[0]) or _words(there[1])):
        names = Part.objects.filter(message=message_id).values_list("file_name", flat=True)
        return sorted(names) == sorted(part.file_name for part in item.parsed.parts)
    return bool(text and text == _words(there[0])) or bool(html and html == _words(there[1]))


def _words(text: str) -> str:
    return " ".join(text.split())


def _candidates(email_account: EmailAccount, digests: set[str]) -> Mapping[str, list[_Candidate]]:
    found: dict[int, _Candidate] = {}
    by_digest: dict[str, list[_Candidate]] = defaultdict(list)
    found_rows = Message.objects.filter(email_account=email_account, digest__in=digests).values_list(
        "pk", "digest", "size"
    )
    for pk, digest, size in found_rows:
        found[pk] = _Candidate(pk, size, set())
        by_digest[digest].append(found[pk])
    copies = Copy.objects.filter(message_id__in=found)
    for message_id, folder_id, epoch, missing, gone in copies.values_list(
        "message_id", "folder_id", "epoch", "missing_since", "folder__gone_at"
    ):
        found[message_id].places.add((folder_id, epoch))
        if missing is None and gone is None:
            found[message_id].is_away = False
    return by_digest


def _new_messages(
    email_account: EmailAccount, items: Sequence[Incoming], own: frozenset[str]
) -> tuple[list[Place], frozenset[int]]:
    """Insert these messages with content, parts and addresses; where each went, in order, and which threads are new."""
    if not items:
        return [], frozenset()
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
    shown = map(rows.shown, messages)
    threads.create(email_account.pk, [one for one in shown if one.thread in assigned.new])
    insert_rows(Message, rows.MESSAGE, messages)
    insert_rows(MessageContent, rows.CONTENT, (rows.content_row(place.pk, item.parsed) for item, place in new))
    parts = [rows.part_row(place.pk, part) for item, place in new for part in item.parsed.parts]
    insert_rows(Part, rows.PART, parts)
    uses = [use for item, place in new for use in rows.address_uses(place.pk, item.parsed)]
    known = correspondents({address for _pk, address, _role in uses})
    insert_rows(
        MessageAddress, ("message", "correspondent", "role"), [(pk, known[address], role) for pk, address, role in uses]
    )
    return places, assigned.new


def correspondents(addresses: set[str]) -> dict[str, int]:
    """Ids of these (normalised) addresses, made where they are new. Sorted, so that two workers never deadlock."""
    wanted = sorted(addresses)
    ids = dict(Correspondent.objects.filter(address__in=wanted).values_list("address", "pk"))
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
                message_of[item.copy.pk],
                "",
                None,
                " ".join(sorted(item.flags))[:500],
                item.copy.size,
                item.copy.pk,
            )
            for item in items
        ),
    )


def settle_same_object(email_account: EmailAccount, by_object: Mapping[str, int]) -> int:
    """Pending copies of objects that are stored now (other labels of the same mail) need no fetch of their own."""
    settled = 0
    waiting = Copy.objects.filter(
        email_account=email_account, state=CopyState.PENDING, object_id__in=[key for key in by_object if key]
    )
    for copy in waiting:
        settled += Copy.objects.filter(pk=copy.pk, state=CopyState.PENDING).update(
            state=CopyState.STORED, message_id=by_object[copy.object_id], claimed_by="", claimed_until=None
        )
    return settled


def _revive(message_ids: set[int]) -> None:
    """A message that had gone and is on the server again is shown again, unless it lies in the trash there."""
    gone = Message.objects.filter(pk__in=message_ids).exclude(gone_at=None, trashed_at=None)
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
