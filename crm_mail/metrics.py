"""The numbers of /metrics, counted from rows when asked, at most once in CACHE_SECONDS.

Invariant: no label holds an address, a subject or anything else out of a mail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.core.cache import cache
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from accounts.models import AccountState, EmailAccount, MailboxSetup
from mail.models import Change, Copy, CopyState, Folder, Message
from sync.models import Heartbeat, Listening
from sync.status import FIGURES, counts_by_folder

CACHE_SECONDS = 10


def as_text() -> bytes:
    """Prometheus text format."""
    return cache.get_or_set("crm_mail.metrics", _count, CACHE_SECONDS) or b""


def _count() -> bytes:
    registry = CollectorRegistry()
    registry.register(_Rows())
    return generate_latest(registry)


class _Rows(Collector):
    """Reads the database once per request for numbers."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # nothing is counted just to be registered

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._mailboxes()
        yield from self._ledger()
        yield from self._waiting()
        yield from self._alive()

    def _mailboxes(self) -> Iterator[GaugeMetricFamily]:
        accounts = EmailAccount.objects.order_by()
        states = dict(accounts.values_list("state").annotate(Count("id")))
        yield _by("mailboxes", "Email accounts by state.", "state", {**dict.fromkeys(AccountState.values, 0), **states})
        failing = dict(accounts.filter(failures__gt=0).values_list("last_error_kind").annotate(Count("id")))
        yield _by("mailboxes_failing", "Email accounts whose last try failed, by kind of error.", "kind", failing)
        due = accounts.filter(state=AccountState.ACTIVE, next_sync_at__lte=timezone.now())
        oldest = due.aggregate(at=Min("next_sync_at"))["at"]
        yield _one("oldest_due_seconds", "How long the longest waiting email account is due.", _age(oldest))
        setups = MailboxSetup.objects.filter(stage="checking").count()
        yield _one("setups_checking", "Wizards that wait for a check.", setups)

    def _ledger(self) -> Iterator[GaugeMetricFamily]:
        states = dict(Copy.objects.order_by().values_list("state").annotate(Count("id")))
        counted = {**dict.fromkeys(("pending", "stored", "filtered", "failed"), 0), **states}
        yield _by("copies", "Rows of the ledger by state.", "state", counted)
        on_server = Folder.objects.filter(is_followed=True).aggregate(sum=Sum("on_server"))["sum"]
        yield _one("on_server", "Messages in scope on the servers at their last enumeration.", on_server or 0)
        yield from _folders()

    def _waiting(self) -> Iterator[GaugeMetricFamily]:
        changes = Change.objects.filter(done_at__isnull=True, email_account__is_read_only=False)
        found = changes.aggregate(count=Count("id"), oldest=Min("created_at"))
        yield _one("changes_to_push", "Local changes on their way to a server.", found["count"])
        yield _one("oldest_change_seconds", "Age of the oldest of them.", _age(found["oldest"]))
        unindexed = Message.objects.filter(is_indexed=False).count()
        yield _one("messages_to_index", "Messages that search does not find yet.", unindexed)

    def _alive(self) -> Iterator[GaugeMetricFamily]:
        kinds = Heartbeat.objects.exclude(name__contains=":")  # one of many listeners has a row with its own name
        ages = {name: _age(at) for name, at in kinds.values_list("name", "at")}
        lines = Listening.objects.filter(opened_at__isnull=False).count()
        yield _one("lines_standing", "Mailboxes watched by a listener.", lines)
        polled = dict(
            Listening.objects.filter(polled_until__gt=timezone.now()).values_list("reason").annotate(Count("pk"))
        )
        yield _by("mailboxes_polled", "Mailboxes whose server has no use for push, by reason.", "reason", polled)
        yield _by("heartbeat_age_seconds", "Seconds since a kind of process was last alive.", "process", ages)


def _folders() -> Iterator[GaugeMetricFamily]:
    """The ledger of each followed folder, by the ids of mailbox and folder."""
    labels = ["mailbox", "folder"]
    copies = GaugeMetricFamily(
        "crm_mail_folder_copies", "Rows of the ledger by folder and state.", labels=[*labels, "state"]
    )
    there = GaugeMetricFamily("crm_mail_folder_on_server", "Messages in scope when it was last counted.", labels=labels)
    age = GaugeMetricFamily("crm_mail_folder_counted_seconds", "Seconds since it was counted.", labels=labels)
    differs = GaugeMetricFamily("crm_mail_folder_unaccounted", "Messages there without a row here.", labels=labels)
    counts: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES[1:], 0))
    for folder_id, state, count in counts_by_folder(Copy.objects.all()):
        counts[folder_id][state] += count
    folders = Folder.objects.filter(is_followed=True, gone_at__isnull=True).order_by("pk")
    for pk, account, on_server, at in folders.values_list("pk", "email_account_id", "on_server", "on_server_at"):
        place = [str(account), str(pk)]
        for state, count in sorted(counts[pk].items()):
            copies.add_metric([*place, state], count)
        there.add_metric(place, on_server or 0)
        if at is not None:
            age.add_metric(place, _age(at))
        differs.add_metric(place, (on_server or 0) - sum(counts[pk][state] for state in CopyState.values))
    yield from (copies, there, age, differs)


def _age(at: object) -> float:
    return max(0.0, (timezone.now() - at).total_seconds()) if at is not None else 0.0  # type: ignore[operator]


def _one(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"crm_mail_{name}", said, value=value)


def _by(name: str, said: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"crm_mail_{name}", said, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key or "unknown"], value)
    return family
