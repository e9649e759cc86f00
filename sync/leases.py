"""Leases: at most one worker per (email account, role), on the database's clock, with fencing.

A holder renews within 15 s; who lost its lease finds out inside its next writing transaction (`check`) and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from base.persistence import persist
from base.process import is_dead
from sync.models import Lease

LIFE = timedelta(seconds=15)


class LeaseLost(Exception):
    """Another worker holds this lease now: stop without writing."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that we hold."""

    pk: int
    generation: int

    def renew(self) -> None:
        """Say that we live."""
        Lease.objects.filter(pk=self.pk, generation=self.generation).update(expires_at=Now() + LIFE)

    def check(self) -> None:
        """Inside a transaction: lock the lease's row. Raises LeaseLost when it is another's (or ran out unclaimed: ours)."""
        if not Lease.objects.select_for_update().filter(pk=self.pk, generation=self.generation).exists():
            raise LeaseLost


def acquire(email_account_id: int, role: str, holder: str) -> Held | None:
    """Take the lease if it is free, ran out, or its holder died; None if somebody holds it."""
    row, _ = Lease.objects.get_or_create(email_account_id=email_account_id, role=role)
    free = Q(expires_at__isnull=True) | Q(expires_at__lt=Now())
    if row.holder and is_dead(row.holder):
        free |= Q(generation=row.generation, holder=row.holder)
    with transaction.atomic():
        mine = Lease.objects.filter(free, email_account_id=email_account_id, role=role)
        taken = mine.update(holder=holder, generation=F("generation") + 1, expires_at=Now() + LIFE)
        if not taken:
            return None
        row = Lease.objects.get(email_account_id=email_account_id, role=role)
        return Held(row.pk, row.generation)


def release(held: Held) -> None:
    """Give it back, if it is still ours."""
    Lease.objects.filter(pk=held.pk, generation=held.generation).update(expires_at=None, holder="")


def interrupted(role: str) -> list[int]:
    """Email accounts whose holder ended without giving the lease back, which is free now: their work was cut short."""
    rows = Lease.objects.filter(role=role).exclude(holder="")
    held = list(rows.annotate(now=Now()).values_list("email_account_id", "holder", "generation", "expires_at", "now"))
    found = [
        (pk, holder, generation)
        for pk, holder, generation, expires_at, now in held
        if is_dead(holder) or expires_at is None or expires_at < now
    ]
    for pk, holder, generation in found:
        mine = Lease.objects.filter(email_account=pk, role=role, holder=holder, generation=generation)
        mine.update(holder="", expires_at=None)
    return [pk for pk, _holder, _generation in found]


@contextmanager
def lease(email_account_id: int, role: str, holder: str) -> Iterator[Held | None]:
    """The lease, or None; given back at the end."""
    held = acquire(email_account_id, role, holder)
    try:
        yield held
    finally:
        if held is not None:
            persist(lambda: release(held))
