"""Which message that is here already a copy is of (design.md, Adoption): moves, new epochs, another protocol.

Invariants: Message-ID alone is never identity; a copy joins only where there is exactly one candidate on each side; a
message that the server still has in this place is never joined. A moment of arrival is the server's own, which no sender
can choose afterwards: with it a mail that is nowhere on the server now is known again whatever protocol shows it (its
bytes are counted otherwise, its source may be made anew), also one without a Message-ID and one that was sent twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Min

from accounts.models import EmailAccount
from base.arrays import one_of
from base.prepared import ID, IDS, PreparedValues
from mail import rows
from mail.hashes import id_hash
from mail.models import Copy, Folder, Message, MessageContent, Part
from mail.rows import Incoming
from mail.types import ParsedPart

COMPARED = 100_000  # characters of a text
ALIKE = 0.8  # of its words
CANDIDATE = ("pk", "digest", "message_id_hash", "size", "received_at")
# By the hash alone, which each is equal in whose digest is. The mailbox is no reason to look through all of its mail: of a
# new one PostgreSQL believes that it has next to none, so its column is hidden from the indexes.
_SAME_MESSAGE_ID = PreparedValues(
    lambda account, hashes: (
        Message.objects.alias(mailbox=ExpressionWrapper(F("email_account_id") + 0, BigIntegerField()))
        .filter(one_of("message_id_hash", hashes), mailbox=account)
        .order_by()
        .values_list(*CANDIDATE)
    ),
    ID,
    IDS,
)
_PLACES = PreparedValues(
    lambda ids: (
        Copy.objects.filter(one_of("message_id", ids))
        .order_by()
        .values_list("message_id", "folder_id", "epoch", "missing_since", "folder__gone_at")
    ),
    IDS,
)
_GONE_FOLDERS = PreparedValues(
    lambda pk: Folder.objects.filter(email_account=pk, gone_at__isnull=False).order_by().values_list("pk"), ID
)
_MISSING = PreparedValues(
    lambda pk: (
        Copy.objects.filter(email_account=pk, message__isnull=False, missing_since__isnull=False)
        .order_by()
        .values_list("pk")[:1]
    ),
    ID,
)
Place = tuple[int, int]  # folder, epoch
Keyed = Callable[[Incoming], object]


@dataclass(slots=True)
class Candidate:
    """A message that is here: `is_away` says that no copy of it is on the server now, as far as we know."""

    pk: int
    digest: str
    id_hash: int | None
    size: int
    received_at: datetime
    places: set[Place] = field(default_factory=set)
    is_away: bool = True


def adopt(email_account: EmailAccount, items: Sequence[Incoming], *, are_whole: bool = True) -> dict[int, int]:
    """Copies whose message is here already: copy id -> message id. `are_whole`: not their headers alone were read."""
    objects = {item.copy.object_id for item in items if item.copy.object_id}
    here = Message.objects.filter(email_account=email_account, object_id__in=objects)
    by_object = dict(here.values_list("object_id", "pk")) if objects else {}
    result = {item.copy.id: by_object[item.copy.object_id] for item in items if item.copy.object_id in by_object}
    loose = [item for item in items if not item.copy.object_id and item.parsed.digest]
    candidates = _candidates(email_account, loose)
    if candidates and are_whole:
        result |= _pair(loose, _arrived_then(candidates), key=_moment_of)
    if candidates:
        named = [item for item in loose if item.copy.id not in result and item.parsed.message_id]
        result |= _pair(named, _of_this_content(candidates), key=lambda item: item.parsed.digest)
    left = [item for item in loose if item.copy.id not in result]
    if left and are_whole and is_something_away(email_account.pk):
        result |= _pair(left, _alone_then(email_account, left, set(result.values())), key=_arrival)
    return result


def _pair(items: Sequence[Incoming], fitting: Callable[[Incoming], list[Candidate]], *, key: Keyed) -> dict[int, int]:
    """Copies that have exactly one candidate which no other copy of the same place competes for."""
    rivals = Counter((key(item), _place(item)) for item in items)
    result: dict[int, int] = {}
    for item in items:
        found = [one for one in fitting(item) if _place(item) not in one.places]
        if len(found) == 1 and rivals[key(item), _place(item)] == 1:
            result[item.copy.id] = found[0].pk
            found[0].places.add(_place(item))
    return result


def _place(item: Incoming) -> Place:
    return item.copy.folder_id, item.copy.epoch


def _moment_of(item: Incoming) -> object:
    """What a copy says of itself for `_arrived_then`."""
    return _second(item.copy.received_at), item.parsed.message_id or item.parsed.digest


def _arrived_then(candidates: Sequence[Candidate]) -> Callable[[Incoming], list[Candidate]]:
    """Messages that are away and came in the same second, with the same Message-ID or, without one, the same headers."""
    by_moment: dict[datetime | None, list[Candidate]] = defaultdict(list)
    for one in candidates:
        if one.is_away:
            by_moment[_second(one.received_at)].append(one)

    def fitting(item: Incoming) -> list[Candidate]:
        at, identity = _second(item.copy.received_at), item.parsed.message_id
        if at is None:
            return []
        there = by_moment.get(at, [])
        if identity:
            return [one for one in there if one.id_hash == id_hash(identity)]
        return [one for one in there if one.id_hash is None and one.digest == item.parsed.digest]

    return fitting


def _of_this_content(candidates: Sequence[Candidate]) -> Callable[[Incoming], list[Candidate]]:
    """Messages with the same headers and size; those that are away also with the same text."""
    by_digest: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_digest[one.digest].append(one)

    def fitting(item: Incoming) -> list[Candidate]:
        return [
            one
            for one in by_digest.get(item.parsed.digest, ())
            if one.size == (item.copy.size or 0) or (one.is_away and _says_the_same(one.pk, item))
        ]

    return fitting


def _arrival(item: Incoming) -> object:
    return _second(item.copy.received_at)


def _alone_then(
    email_account: EmailAccount, items: Sequence[Incoming], taken: set[int]
) -> Callable[[Incoming], list[Candidate]]:
    """The only message of its second, away, that says the same: for headers which the server made anew in its own way."""
    moments = {item.copy.received_at for item in items if item.copy.received_at is not None}
    here = Message.objects.filter(email_account=email_account, received_at__in=moments)
    alone = here.order_by().values("received_at").annotate(there=Count("pk"), only=Min("pk")).filter(there=1)
    found = _with_places(here.filter(pk__in=[one["only"] for one in alone]).values_list(*CANDIDATE))
    by_moment = {one.received_at: one for one in found if one.is_away and one.pk not in taken}

    def fitting(item: Incoming) -> list[Candidate]:
        one = by_moment.get(_second(item.copy.received_at) or datetime.min)
        return [one] if one is not None and (_says_the_same(one.pk, item) or _is_alike(one.pk, item)) else []

    return fitting


def is_something_away(email_account_id: int) -> bool:
    """Whether messages lost their place and may turn up in another: copies missing, or in folders that are gone."""
    gone = [pk for (pk,) in _GONE_FOLDERS.fetch(email_account_id)]
    copies = Copy.objects.filter(email_account=email_account_id, message__isnull=False)
    return bool(_MISSING.fetch(email_account_id)) or bool(gone and copies.filter(folder__in=gone).exists())


def _second(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC).replace(microsecond=0) if at is not None else None


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


def _is_alike(message_id: int, item: Incoming) -> bool:
    """Whether most words of the shorter text stand in the other: a server that misread a header has what follows it
    among the text, one that guesses a charset otherwise has other letters."""
    there = MessageContent.objects.filter(message=message_id).values_list("text", flat=True).first() or ""
    short, long = sorted((set(there[:COMPARED].split()), set(item.parsed.text[:COMPARED].split())), key=len)
    return bool(short) and len(short & long) >= ALIKE * len(short)


def _words(text: str) -> str:
    return " ".join(text.split())


def _candidates(email_account: EmailAccount, items: Sequence[Incoming]) -> list[Candidate]:
    """Messages that may be the same by what their headers say; those without a Message-ID by their arrival, too."""
    named = [item for item in items if item.parsed.message_id]
    nameless = [item for item in items if not item.parsed.message_id]
    hashes = {id_hash(item.parsed.message_id) for item in named}
    found = _SAME_MESSAGE_ID.fetch(email_account.pk, hashes) if named else []
    if nameless:
        arrived = Message.objects.filter(
            email_account=email_account,
            message_id_hash=None,
            digest__in={item.parsed.digest for item in nameless},
            received_at__in={item.copy.received_at for item in nameless if item.copy.received_at},
        )
        found += arrived.values_list(*CANDIDATE)
    return _with_places(found)


def _with_places(rows: Iterable[tuple[Any, ...]]) -> list[Candidate]:
    """Candidates of these rows (CANDIDATE)."""
    found = {row[0]: Candidate(*row) for row in rows}
    for message_id, folder_id, epoch, missing, gone in _PLACES.fetch(found) if found else ():
        found[message_id].places.add((folder_id, epoch))
        if missing is None and gone is None:
            found[message_id].is_away = False
    return list(found.values())


def follow_parts(adopted: Mapping[int, Sequence[ParsedPart]]) -> None:
    """Attachments of adopted messages (message id -> its parts as the new copy numbers them) get the new numbers.

    Another protocol numbers them in its own way: an attachment is asked for by the number of the copy that is there.
    """
    if not adopted:
        return
    known: dict[int, list[Part]] = defaultdict(list)
    for part in Part.objects.filter(message__in=list(adopted)).order_by("pk"):
        known[part.message_id].append(part)
    for message_id, parts in adopted.items():
        here = known[message_id]
        if [one.section for one in here] != [one.id[:60] for one in parts]:
            _renumber(message_id, here, parts)


def _renumber(message_id: int, here: list[Part], parts: Sequence[ParsedPart]) -> None:
    left = list(here)
    for number, part in enumerate(parts):
        name = part.file_name[:500]
        same = next((one for one in left if one.file_name == name), None)
        if same is None and len(here) == len(parts) and here[number] in left:
            same = here[number]
        if same is None:
            made = dict(zip(rows.PART, rows.part_row(message_id, part), strict=True))
            Part.objects.create(message_id=made.pop("message"), **made)
            continue
        left.remove(same)
        if same.section != part.id[:60]:
            Part.objects.filter(pk=same.pk).update(section=part.id[:60])
    Part.objects.filter(pk__in=[one.pk for one in left], stored="").delete()
