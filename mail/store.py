"""Messages into rows, a slice at a time. Idempotent: a copy is settled once, whoever fetched it, however often.

The caller holds a transaction and the mailbox's row lock (`lock_mailbox`), so that two workers never store the same
copy or thread the same conversation twice. Adoption (design.md): a copy of a message that is already here, in another
folder or epoch, joins it, only when there is exactly one candidate on each side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from accounts.models import EmailAccount
from base.models import update_rows
from mail.hashes import id_hash
from mail.models import Copy, CopyState, Correspondent, Message, MessageAddress, MessageContent, Part, Thread
from mail.threads import ThreadClue, assign, refresh
from mail.types import Address, ParsedMessage

FUTURE = timedelta(days=1)  # an INTERNALDATE further ahead is a lie of the server's clock
DRAFT, SEEN, FLAGGED, ANSWERED = "\\draft", "\\seen", "\\flagged", "\\answered"
ADDRESSES_KEPT = 500  # per message and header, for search and linking


@dataclass(frozen=True, slots=True)
class Incoming:
    """One fetched copy, parsed. `verdict` is the sender's authentication; `is_draft_folder`: it lies in Drafts."""

    copy: Copy
    parsed: ParsedMessage
    flags: frozenset[str]
    is_complete: bool = True
    is_draft_folder: bool = False
    verdict: str = "unknown"


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
    messages = _new_messages(email_account, fresh, own_addresses)
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
    refresh(message.thread_id for message in messages)
    return Stored(tuple(message.pk for message in messages), len(items) - len(fresh))


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
            if found.size == (item.copy.size or 0) and (item.copy.folder_id, item.copy.epoch) not in found.places
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


def _candidates(email_account: EmailAccount, digests: set[str]) -> Mapping[str, list[_Candidate]]:
    found: dict[int, _Candidate] = {}
    by_digest: dict[str, list[_Candidate]] = defaultdict(list)
    rows = Message.objects.filter(email_account=email_account, digest__in=digests).values_list("pk", "digest", "size")
    for pk, digest, size in rows:
        found[pk] = _Candidate(pk, size, set())
        by_digest[digest].append(found[pk])
    for message_id, folder_id, epoch in Copy.objects.filter(message_id__in=found).values_list(
        "message_id", "folder_id", "epoch"
    ):
        found[message_id].places.add((folder_id, epoch))
    return by_digest


def _new_messages(email_account: EmailAccount, items: Sequence[Incoming], own: frozenset[str]) -> list[Message]:
    if not items:
        return []
    now = timezone.now()
    received = [_received_at(item, now) for item in items]
    clues = [
        ThreadClue(i.parsed.message_id, i.parsed.in_reply_to, i.parsed.references, i.parsed.subject[:1000], at)
        for i, at in zip(items, received, strict=True)
    ]
    threads = assign(email_account.pk, clues)
    messages = [
        _row(email_account, item, thread_id, at, own)
        for item, thread_id, at in zip(items, threads, received, strict=True)
    ]
    Message.objects.bulk_create(messages, batch_size=500)
    MessageContent.objects.bulk_create(
        [_content(message, item.parsed) for message, item in zip(messages, items, strict=True)], batch_size=100
    )
    Part.objects.bulk_create(
        [_part(message, part) for message, item in zip(messages, items, strict=True) for part in item.parsed.parts],
        batch_size=500,
    )
    _store_addresses(messages, [item.parsed for item in items])
    return messages


def _received_at(item: Incoming, now: datetime) -> datetime:
    """INTERNALDATE where it is believable, else Date, else now: a Date in the future must not pin spam on top."""
    for at in (item.copy.received_at, item.parsed.date):
        if at is not None and at <= now + FUTURE:
            return at.astimezone(UTC)
    return now


def _row(email_account: EmailAccount, item: Incoming, thread_id: int, at: datetime, own: frozenset[str]) -> Message:
    parsed = item.parsed
    sender = parsed.from_[0] if parsed.from_ else Address("", "")
    is_draft = DRAFT in item.flags or item.is_draft_folder
    is_outgoing = sender.address in own
    return Message(
        email_account=email_account,
        thread_id=thread_id,
        message_id=parsed.message_id[:1000],
        message_id_hash=id_hash(parsed.message_id) if parsed.message_id else None,
        subject=parsed.subject[:1000],
        snippet=parsed.snippet[:250],
        from_name=sender.name[:300],
        from_address=sender.address[:320],
        sent_at=parsed.date,
        received_at=at,
        size=item.copy.size or 0,
        is_outgoing=is_outgoing,
        is_read=SEEN in item.flags or is_outgoing,
        is_flagged=FLAGGED in item.flags,
        is_answered=ANSWERED in item.flags,
        is_draft=is_draft,
        is_automatic=parsed.is_automatic,
        has_attachments=any(not part.is_inline for part in parsed.parts),
        is_complete=item.is_complete,
        verdict=item.verdict,
        digest=parsed.digest[:64],
        object_id=item.copy.object_id,
    )


def _pairs(addresses: Iterable[Address]) -> list[list[str]]:
    return [[one.name[:300], one.address[:320]] for one in list(addresses)[:ADDRESSES_KEPT]]


def _content(message: Message, parsed: ParsedMessage) -> MessageContent:
    recipients = {
        "from": parsed.from_, "sender": parsed.sender, "reply_to": parsed.reply_to,
        "to": parsed.to, "cc": parsed.cc, "bcc": parsed.bcc,
    }  # fmt: skip
    return MessageContent(
        message=message,
        text=parsed.text,
        html=parsed.html,
        header_block=parsed.header_block,
        in_reply_to=parsed.in_reply_to[:2000],
        references=list(parsed.references)[:200],
        recipients={name: _pairs(found) for name, found in recipients.items() if found},
        list_id=parsed.list_id[:500],
        list_unsubscribe=parsed.list_unsubscribe[:4000],
        authentication_results=list(parsed.authentication_results)[:20],
        problems=list(parsed.problems)[:20],
    )


def _part(message: Message, part) -> Part:  # type: ignore[no-untyped-def]  # noqa: ANN001 - mail.types.ParsedPart
    return Part(
        message=message,
        section=part.id[:60],
        content_type=part.content_type[:200],
        file_name=part.file_name[:500],
        size=part.size,
        content_id=part.content_id[:500],
        is_inline=part.is_inline,
    )


def _store_addresses(messages: Sequence[Message], parsed: Sequence[ParsedMessage]) -> None:
    role = MessageAddress.Role
    uses: list[tuple[int, str, str]] = []
    for message, one in zip(messages, parsed, strict=True):
        for kind, group in (
            (role.FROM, one.from_), (role.TO, one.to), (role.CC, one.cc), (role.BCC, one.bcc), (role.REPLY_TO, one.reply_to)
        ):  # fmt: skip
            for address in dict.fromkeys(a.address[:320] for a in group[:ADDRESSES_KEPT] if a.address):
                uses.append((message.pk, address, kind.value))
    ids = correspondents({address for _pk, address, _kind in uses})
    MessageAddress.objects.bulk_create(
        [MessageAddress(message_id=pk, correspondent_id=ids[address], role=kind) for pk, address, kind in uses],
        batch_size=1000,
        ignore_conflicts=True,
    )


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
    """A message that had gone and is on the server again is shown again."""
    gone = Message.objects.filter(pk__in=message_ids).exclude(gone_at=None, trashed_at=None)
    threads = list(gone.values_list("thread_id", flat=True))
    if threads:
        gone.update(gone_at=None, trashed_at=None)
        refresh(threads)


def erase_messages(message_ids: Sequence[int]) -> None:
    """Delete messages for good (trash after 30 days, removal of an email account) and threads left empty."""
    threads = set(Message.objects.filter(pk__in=message_ids).values_list("thread_id", flat=True))
    Message.objects.filter(pk__in=message_ids).delete()
    Thread.objects.filter(pk__in=threads, messages__isnull=True).delete()
    refresh(Thread.objects.filter(pk__in=threads).values_list("pk", flat=True))
