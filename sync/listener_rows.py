"""The rows that listeners share: who watches which mailbox (leases), its place in the budget, what push has shown.

Invariants: one listener per mailbox; what is renewed, taken and given back is so in bulk, whatever the number of
mailboxes; a mailbox that nobody watches any more is due for a poll at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts.connections import SLOT_LIFE, login_of, receiving_server, server_address
from accounts.models import AccountState, ConnectionSlot, EmailAccount, EmailAccountServer
from base.prepared import Prepared
from base.process import is_dead
from drivers.errors import DriverError
from drivers.registry import PUSH_CHANNELS
from drivers.types import Login, ServerAddress
from mail.models import Copy, Message
from notifications.models import Kind
from notifications.services import notify
from sync.leases import LIFE
from sync.models import Heartbeat, Lease, Listening

HEARTBEAT = "listener"  # of all listeners; each has one of its own besides, "listener:" and its holder's name
LISTENER_DEAD = timedelta(seconds=15)
POLLED_FOR = timedelta(hours=24)  # after push was found missing or unreliable
CLICK_AND_SYNC = 2  # connections of a budget that a listener leaves alone
SKEW = timedelta(minutes=5)  # a server's clock may be wrong by this
SETTLED = timedelta(minutes=10)  # a line must have stood so long before its silence is held against it
ANNOUNCED_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Where:
    """What is needed to watch a mailbox."""

    email_account_id: int
    protocol: str
    server: ServerAddress
    login: Login


def wanted() -> set[int]:
    """Mailboxes to be watched: active, downloading by themselves, healthy, with a protocol that knows push."""
    pushing = EmailAccountServer.objects.filter(email_account=OuterRef("pk"), protocol__in=list(PUSH_CHANNELS))
    polled = Listening.objects.filter(email_account=OuterRef("pk"), polled_until__gt=timezone.now())
    rows = EmailAccount.objects.filter(
        Exists(pushing), ~Exists(polled), state=AccountState.ACTIVE, auto_download=True, can_receive=True, failures=0
    )
    return set(rows.values_list("pk", flat=True))


def is_listened(email_account_id: int) -> bool:
    """Whether a living listener has an open line to this mailbox."""
    return bool(_LISTENED.fetch(email_account_id))


def _standing() -> QuerySet[Lease]:
    """Leases of living listeners whose line to the mailbox is open."""
    opened = Listening.objects.filter(email_account=OuterRef("email_account"), opened_at__isnull=False)
    return Lease.objects.filter(Exists(opened), role=Lease.Role.LISTEN, expires_at__gt=Now())


_LISTENED = Prepared(lambda pk: _standing().filter(email_account=pk))


def has_line() -> Exists:
    """The same as a condition on email accounts."""
    return Exists(_standing().filter(email_account=OuterRef("pk")))


def beat(holder: str, count: int) -> int:
    """Say that this listener lives, with how many lines; returns how many listeners live, this one included."""
    now = timezone.now()
    Heartbeat.objects.filter(name__startswith=f"{HEARTBEAT}:", at__lt=now - LISTENER_DEAD).delete()
    for name in (HEARTBEAT, f"{HEARTBEAT}:{holder}"):
        Heartbeat.objects.update_or_create(name=name, defaults={"at": now, "detail": {"lines": count}})
    names = Heartbeat.objects.filter(name__startswith=f"{HEARTBEAT}:").values_list("name", flat=True)
    return max(1, sum(not is_dead(name.partition(":")[2]) for name in names))


def say_goodbye(holder: str) -> None:
    """This listener ends."""
    Heartbeat.objects.filter(name=f"{HEARTBEAT}:{holder}").delete()


def free_dead() -> None:
    """Give back what dead listeners held, known by their process or by the end of the lease; polls take over at once."""
    held = Lease.objects.filter(role=Lease.Role.LISTEN).exclude(holder="")
    dead = [holder for holder in set(held.values_list("holder", flat=True)) if is_dead(holder)]
    gone = list(held.filter(Q(holder__in=dead) | Q(expires_at__lt=Now())).values_list("email_account_id", "holder"))
    for holder in {holder for _pk, holder in gone}:
        give_back(holder, [pk for pk, one in gone if one == holder])


def take(holder: str, candidates: Collection[int], limit: int) -> list[int]:
    """Lease at most `limit` of these mailboxes that nobody watches and whose budget has room; which ones it became."""
    if limit <= 0 or not candidates:
        return []
    rows = Lease.objects.filter(role=Lease.Role.LISTEN, email_account__in=candidates)
    known = dict(rows.values_list("email_account_id", "holder"))
    free = sorted(pk for pk in candidates if not known.get(pk))[:limit]
    new = [Lease(email_account_id=pk, role=Lease.Role.LISTEN) for pk in free if pk not in known]
    Lease.objects.bulk_create(new, ignore_conflicts=True)
    with transaction.atomic():
        unheld = Lease.objects.filter(role=Lease.Role.LISTEN, email_account__in=_with_room(free), holder="")
        if connection.features.has_select_for_update_skip_locked:
            unheld = unheld.select_for_update(skip_locked=True)
        leases = dict(unheld.values_list("pk", "email_account_id"))
        Lease.objects.filter(pk__in=leases).update(
            holder=holder, generation=F("generation") + 1, expires_at=Now() + LIFE
        )
        expires = Now() + SLOT_LIFE
        ConnectionSlot.objects.bulk_create(
            ConnectionSlot(email_account_id=pk, holder=holder, purpose="listen", expires_at=expires)
            for pk in leases.values()
        )
    return sorted(leases.values())


def _with_room(ids: list[int]) -> list[int]:
    """Mailboxes whose budget has room for a standing line beside a download and a click."""
    if settings.MAIL_CONNECTIONS_PER_ACCOUNT <= CLICK_AND_SYNC:
        return []
    used = ConnectionSlot.objects.filter(email_account__in=ids, expires_at__gt=Now()).order_by()
    counts = dict(used.values_list("email_account_id").annotate(Count("pk")))
    return [pk for pk in ids if counts.get(pk, 0) < settings.MAIL_CONNECTIONS_PER_ACCOUNT - 1]


def renew(holder: str, ids: Collection[int]) -> set[int]:
    """Leases and places in the budget live on: one statement each; the mailboxes that are still this listener's."""
    mine = Lease.objects.filter(role=Lease.Role.LISTEN, holder=holder)
    kept = mine.update(expires_at=Now() + LIFE)
    ConnectionSlot.objects.filter(holder=holder).update(expires_at=Now() + SLOT_LIFE)
    return set(ids) if kept == len(ids) else set(mine.values_list("email_account_id", flat=True)) & set(ids)


def give_back(holder: str, ids: Collection[int]) -> None:
    """Watch these no longer: free for other listeners, and polled at once."""
    if not ids:
        return
    now = timezone.now()
    with transaction.atomic():
        leases = Lease.objects.filter(role=Lease.Role.LISTEN, holder=holder, email_account__in=ids)
        freed = list(leases.values_list("email_account_id", flat=True))
        leases.update(holder="", expires_at=None)
        ConnectionSlot.objects.filter(holder=holder, email_account__in=ids).delete()
        Listening.objects.filter(email_account__in=freed).update(opened_at=None)
        waiting = EmailAccount.objects.filter(pk__in=freed, failures=0, next_sync_at__gt=now)
        waiting.update(next_sync_at=now)


def where(ids: Iterable[int]) -> dict[int, Where | None]:
    """How each of these mailboxes is reached; None where no usable secret is kept."""
    found: dict[int, Where | None] = {}
    rows = EmailAccount.objects.filter(pk__in=list(ids)).select_related("credential").prefetch_related("servers")
    for account in rows:
        server = receiving_server(account)
        try:
            login = login_of(account, server)
        except DriverError:  # no usable secret, or its renewal is not to be had now: polled meanwhile
            found[account.pk] = None
            continue
        found[account.pk] = Where(account.pk, server.protocol, server_address(server), login)
    return found


def note_opened(ids: Collection[int]) -> None:
    """Their lines stand now; what is older was not announced by them."""
    now = timezone.now()
    Listening.objects.bulk_create([Listening(email_account_id=pk) for pk in ids], ignore_conflicts=True)
    Listening.objects.filter(email_account__in=ids).update(
        opened_at=now, last_news_at=None, polled_until=None, reason=""
    )


def ask(ids: Collection[int], *, is_news: bool) -> None:
    """These mailboxes are to be read now, a row that outlives a lost doorbell; `is_news`: because their line rang."""
    now = timezone.now()
    EmailAccount.objects.filter(pk__in=ids).update(sync_requested_at=now)
    if is_news:
        Listening.objects.filter(email_account__in=ids).update(last_news_at=now)


def note_polled(email_account_id: int, reason: str) -> None:
    """Push is of no use here (`no_idle` or `unreliable`): polled for a day, then tried again."""
    until = timezone.now() + POLLED_FOR
    Listening.objects.update_or_create(
        email_account_id=email_account_id, defaults={"polled_until": until, "reason": reason, "opened_at": None}
    )


def tell_unreliable(email_account_id: int) -> None:
    """Its owner learns that new mail may come a little later."""
    account = EmailAccount.objects.select_related("owner").get(pk=email_account_id)
    notify(
        user=account.owner,
        kind=Kind.PUSH_UNRELIABLE,
        key=f"push:{account.pk}",
        email_account=account,
        data={"address": account.address, "poll_seconds": int(settings.MAIL_POLL_SECONDS)},
    )


def unannounced(ids: Collection[int]) -> set[int]:
    """Mailboxes with mail in the inbox that came while their line stood, that a poll found, and that never rang."""
    now = timezone.now()
    line = "email_account__listening__"
    rows: QuerySet[Message] = Message.objects.filter(
        Exists(Copy.objects.filter(message=OuterRef("pk"), folder__role="inbox")),
        email_account__in=ids,
        received_at__gt=now - timedelta(hours=1),
        created_at__lt=now - ANNOUNCED_WITHIN,
    ).annotate(
        settled_at=_plus(F(f"{line}opened_at"), SETTLED),
        heard_at=_plus(Coalesce(F(f"{line}last_news_at"), F(f"{line}opened_at")), SKEW),
    )
    rows = rows.filter(received_at__gt=F("settled_at")).filter(received_at__gt=F("heard_at"))
    return set(rows.values_list("email_account_id", flat=True))


def _plus(moment: F | Coalesce, span: timedelta) -> ExpressionWrapper:
    return ExpressionWrapper(moment + span, output_field=DateTimeField())


def received_moments(email_account_id: int, since: datetime) -> list[datetime]:
    """When mail came since then, at most 5,000 newest."""
    rows = Message.objects.filter(email_account=email_account_id, received_at__gt=since, is_outgoing=False)
    return list(rows.order_by("-received_at").values_list("received_at", flat=True)[:5000])


def last_heard(ids: Collection[int]) -> dict[int, datetime]:
    """When each line last rang, or was opened."""
    rows = Listening.objects.filter(email_account__in=ids, opened_at__isnull=False)
    return dict(rows.values_list("email_account_id", Coalesce("last_news_at", "opened_at")))
