"""The ledger in figures, from rows: what is on the server and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from accounts.models import EmailAccount
from mail.folders import ORDER
from mail.models import Copy, CopyState, Folder


@dataclass(frozen=True, slots=True)
class Reason:
    """Why copies are filtered or failed (`state`): the rule or the trouble in words, and how many."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class FolderLedger:
    """One folder: ids in scope at the last enumeration, and its rows by state.

    Beside the sum: out-of-scope rows, and `missing`, rows that the server did not list any more and that are looked at
    again. `reasons`: why rows were filtered or failed, with their numbers, the most frequent first.
    """

    folder_id: int
    name: str
    path: tuple[str, ...]
    remote_id: str
    role: str
    on_server: int
    counted_at: datetime | None
    stored: int = 0
    filtered: int = 0
    failed: int = 0
    pending: int = 0
    out_of_scope: int = 0
    missing: int = 0
    reasons: tuple[Reason, ...] = ()

    @property
    def unaccounted(self) -> int:
        """As of the mailbox, for this folder."""
        return self.on_server - self.stored - self.filtered - self.failed - self.pending


@dataclass(frozen=True, slots=True)
class Ledger:
    """The mailbox: sums over its followed folders; `counted_at` is the oldest of their counts."""

    folders: tuple[FolderLedger, ...]
    on_server: int
    stored: int
    filtered: int
    failed: int
    pending: int
    out_of_scope: int
    missing: int
    counted_at: datetime | None

    @property
    def unaccounted(self) -> int:
        """Messages on the server without a row in the ledger (negative: rows that the server lacks); 0 is right."""
        return self.on_server - self.stored - self.filtered - self.failed - self.pending

    @property
    def adds_up(self) -> bool:
        """Whether every message on the server is accounted for."""
        return self.unaccounted == 0


REASONS_SHOWN = 20  # per folder
FIGURES = ("on_server", "stored", "filtered", "failed", "pending", "out_of_scope", "missing")


def ledger(email_account: EmailAccount) -> Ledger:
    """The figures of a mailbox's followed folders."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    copies = Copy.objects.filter(folder__email_account=email_account).order_by()
    for folder_id, kind, count in counts_by_folder(copies):
        counts[folder_id][kind] = counts[folder_id].get(kind, 0) + count
    reasons = _reasons(copies)
    folders = Folder.objects.filter(email_account=email_account, is_followed=True, gone_at__isnull=True)
    lines = tuple(
        _line(folder, counts[folder.pk], reasons[folder.pk])
        for folder in sorted(folders, key=lambda f: (ORDER.index(f.role) if f.role in ORDER else 3, f.path))
    )
    sums = {name: sum(getattr(line, name) for line in lines) for name in FIGURES}
    times = [line.counted_at for line in lines if line.counted_at]
    return Ledger(lines, counted_at=min(times) if times else None, **sums)


def counts_by_folder(copies: QuerySet[Copy]) -> Iterator[tuple[int, str, int]]:
    """(folder id, state or out_of_scope or missing, how many), in one query; a pair may come more than once."""
    rows = (
        copies.order_by()
        .annotate(is_missing=Q(missing_since__isnull=False))
        .values_list("folder_id", "state", "is_out_of_scope", "is_missing")
        .annotate(count=Count("pk"))
    )
    for folder_id, state, is_out, is_missing, count in rows:
        yield folder_id, "out_of_scope" if is_out else "missing" if is_missing else state, count


def _reasons(copies: QuerySet[Copy]) -> dict[int, list[Reason]]:
    found: dict[int, list[Reason]] = defaultdict(list)
    rows = copies.filter(state__in=(CopyState.FILTERED, CopyState.FAILED), is_out_of_scope=False, missing_since=None)
    for row in rows.values("folder_id", "state", "reason").annotate(count=Count("pk")).order_by("-count", "reason"):
        if len(found[row["folder_id"]]) < REASONS_SHOWN:
            found[row["folder_id"]].append(Reason(row["state"], row["reason"], row["count"]))
    return found


def _line(folder: Folder, counts: dict[str, int], reasons: Sequence[Reason]) -> FolderLedger:
    return FolderLedger(
        folder_id=folder.pk,
        name=folder.name,
        path=tuple(folder.path),
        remote_id=folder.remote_id,
        role=folder.role,
        on_server=folder.on_server or 0,
        counted_at=folder.on_server_at,
        reasons=tuple(reasons),
        **{state: counts.get(state, 0) for state in (*CopyState.values, "out_of_scope", "missing")},
    )


def as_json(email_account: EmailAccount) -> dict[str, Any]:
    """The figures and the state, for `--json`."""
    figures = ledger(email_account)
    return {
        "address": email_account.address,
        "state": email_account.state,
        "last_sync_at": email_account.last_sync_at.isoformat() if email_account.last_sync_at else None,
        "last_error": email_account.last_error_kind or None,
        "last_error_said": email_account.last_error_said or None,
        **{name: getattr(figures, name) for name in FIGURES},
        "unaccounted": figures.unaccounted,
        "counted_at": figures.counted_at.isoformat() if figures.counted_at else None,
        "folders": [
            {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(line).items()}
            | {"unaccounted": line.unaccounted}
            for line in figures.folders
        ],
    }
