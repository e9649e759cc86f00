"""A slice of fetched messages taken in: parse → store → thread → link. Sync, outbox and *import anyway* call it.

Invariants: parsing happens before the transaction; one transaction stores, threads and links a slice, so each slice is
whole or not there; a message that cannot be parsed or stored is parked (intake.quarantine) and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog
from django.db import DataError, IntegrityError, transaction

from accounts.models import EmailAccount
from base.addresses import domain_of, normalise_address
from base.arrays import one_of
from base.persistence import do_not_wait_for_the_disk
from base.plans import look_up_by_keys
from base.prepared import IDS, PreparedValues
from drivers.types import RemoteMessage
from intake.quarantine import park
from intake.reports import filter_out, is_no_mail
from linking.services import link_messages
from mail.authentication import sender_verdict
from mail.changes import apply_server_flags
from mail.models import Copy, CopyState
from mail.parse import Unreadable, parse_message, parse_safely
from mail.rows import Incoming
from mail.store import adopt_known, lock_mailbox, store_slice
from mail.types import Claimed, ParsedMessage

HEADERS_READ = 64 * 1024  # bytes: larger headers are fetched whole and judged by the scan
log = structlog.get_logger(__name__)
# By their ids alone: by its state, too, PostgreSQL would look through all that waits.
_COPIES = PreparedValues(
    lambda ids: (
        Copy.objects.select_for_update().filter(one_of("pk", ids)).order_by().values_list("pk", "state", "flags")
    ),
    IDS,
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What taking in needs to know about a mailbox, read once per run."""

    email_account: EmailAccount
    own_addresses: frozenset[str]  # normalised
    authserv_ids: frozenset[str]  # who may speak about authentication
    drafts: frozenset[int]  # ids of Drafts folders


@dataclass(frozen=True, slots=True)
class Fetched:
    """A claimed copy with its content."""

    copy: Copy | Claimed
    remote: RemoteMessage


@dataclass(slots=True)
class Parsed:
    """Messages that were read and wait to be stored; `raws` by copy, for what the database refuses; how many are parked."""

    items: list[Incoming] = field(default_factory=list)
    raws: dict[int, bytes] = field(default_factory=dict)
    parked: int = 0

    def add(self, other: Parsed) -> None:
        """Store these with it."""
        self.items += other.items
        self.raws |= other.raws
        self.parked += other.parked


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a slice."""

    message_ids: tuple[int, ...]
    joined: int
    parked: int


def describe(email_account: EmailAccount, *, drafts: Sequence[int] = ()) -> Mailbox:
    """The mailbox as `take_in` needs it."""
    hosts = {server.host.lower() for server in email_account.servers.all() if server.host}
    own = normalise_address(email_account.address) or email_account.address_key
    ids = {*hosts, domain_of(own), *(host.partition(".")[2] for host in hosts)}
    if any(host.endswith((".gmail.com", ".googlemail.com")) for host in hosts):
        ids.add("mx.google.com")
    aliases = email_account.aliases.values_list("address_key", flat=True)
    return Mailbox(email_account, frozenset({own, *aliases}), frozenset(filter(None, ids)), frozenset(drafts))


def take_in(mailbox: Mailbox, slice_: Sequence[Fetched], *, check: Callable[[], None] = lambda: None) -> TakenIn:
    """Store a slice. `check` runs inside the transaction and raises to give it up (fencing).

    Copies that are no longer pending (another worker settled them) are left alone.
    """
    return store(mailbox, parse(mailbox, slice_), check=check)


def parse(mailbox: Mailbox, slice_: Sequence[Fetched]) -> Parsed:
    """Read a slice; what cannot be read is parked. No lock is held meanwhile."""
    items, parked = _parse(mailbox, slice_)
    return Parsed(items, {one.copy.id: one.remote.raw for one in slice_}, parked)


def store(mailbox: Mailbox, parsed: Parsed, *, check: Callable[[], None] = lambda: None) -> TakenIn:
    """Store what was parsed, in one transaction; what the database refuses is parked. `check` as in `take_in`."""
    try:
        ids, joined = _store(mailbox, parsed.items, check)
        return TakenIn(ids, joined, parsed.parked)
    except (DataError, IntegrityError, ValueError) as error:
        log.warning(
            "slice_refused", email_account=mailbox.email_account.pk, size=len(parsed.items), error=type(error).__name__
        )
    return _one_by_one(mailbox, parsed, check)


def recognise(mailbox: Mailbox, slice_: Sequence[Fetched]) -> set[int]:
    """Adopt copies by their headers alone; returns the ids of those that need no fetch. Nothing is parked here."""
    items = [
        _incoming(mailbox, one, parse_message(one.remote.raw)) for one in slice_ if len(one.remote.raw) < HEADERS_READ
    ]
    with transaction.atomic():
        look_up_by_keys()
        account = lock_mailbox(mailbox.email_account.pk)
        pending = _still_pending(items)
        known = adopt_known(account, pending)
        _show_flags([item for item in pending if item.copy.id in known])
        return known


def _one_by_one(mailbox: Mailbox, parsed: Parsed, check: Callable[[], None]) -> TakenIn:
    """The database refused the slice: find the message that it refuses, park it, keep the others."""
    stored: list[int] = []
    joined, parked = 0, parsed.parked
    for item in parsed.items:
        try:
            ids, more = _store(mailbox, [item], check)
            stored.extend(ids)
            joined += more
        except (DataError, IntegrityError, ValueError) as error:
            park(item.copy, parsed.raws[item.copy.id], f"The database refused it: {type(error).__name__}")
            parked += 1
    return TakenIn(tuple(stored), joined, parked)


def _parse(mailbox: Mailbox, slice_: Sequence[Fetched]) -> tuple[list[Incoming], int]:
    items: list[Incoming] = []
    parked = 0
    for one in slice_:
        try:
            parsed = parse_safely(one.remote.raw, left_out=one.remote.left_out)
        except Unreadable as error:
            park(one.copy, one.remote.raw, error.reason)
            parked += 1
            continue
        if is_no_mail(mailbox.email_account, one.remote):
            filter_out(one.copy)
            continue
        items.append(_incoming(mailbox, one, parsed))
    return items, parked


def _incoming(mailbox: Mailbox, one: Fetched, parsed: ParsedMessage) -> Incoming:
    remote = one.remote.copy
    copy = one.copy
    if copy.size is None:
        copy.size = remote.size if remote.size is not None else len(one.remote.raw)
    sender = parsed.from_[0].address if parsed.from_ else ""
    verdict = sender_verdict(
        parsed.authentication_results, trusted_authserv_ids=mailbox.authserv_ids, from_domain=domain_of(sender)
    )
    return Incoming(
        copy=copy,
        parsed=parsed,
        flags=remote.flags,
        is_complete=one.remote.is_complete,
        is_draft_folder=copy.folder_id in mailbox.drafts,
        verdict=verdict.standing.value,
    )


@transaction.atomic
def _store(mailbox: Mailbox, items: Sequence[Incoming], check: Callable[[], None]) -> tuple[tuple[int, ...], int]:
    do_not_wait_for_the_disk()  # lost with the copies' states: they are pending again
    look_up_by_keys()
    account = lock_mailbox(mailbox.email_account.pk)
    check()
    pending = _still_pending(items)
    stored = store_slice(account, pending, own_addresses=mailbox.own_addresses)
    if stored.joined:
        _show_flags(pending, new=stored.message_ids)
    link_messages(stored.message_ids, stored.new_threads)
    return stored.message_ids, stored.joined


def _still_pending(items: Sequence[Incoming]) -> list[Incoming]:
    """Those that nobody settled meanwhile, their rows locked.

    Flags that the enumeration changed since the copy was claimed are newer than those that came with the content.
    """
    rows = _COPIES.fetch([item.copy.id for item in items])
    pending = {pk: flags for pk, state, flags in rows if state == CopyState.PENDING}
    return [
        item
        if pending[item.copy.id] == item.copy.flags
        else replace(item, flags=frozenset(pending[item.copy.id].split()))
        for item in items
        if item.copy.id in pending
    ]


def _show_flags(items: Sequence[Incoming], *, new: Sequence[int] = ()) -> None:
    """Copies that joined messages which were here: the server's flags are newer than what those show."""
    flags = {item.copy.id: item.flags for item in items}
    joined = Copy.objects.filter(pk__in=list(flags)).exclude(message__in=new)
    apply_server_flags([(copy, flags[copy.id]) for copy in joined])
