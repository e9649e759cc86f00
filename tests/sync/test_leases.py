"""Leases and claims: one enumerator, fenced; several fetchers, no message twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from mail.models import Copy, CopyState, Message
from sync import claims, pace, pipeline
from sync.leases import LeaseLost, acquire, lease, release
from sync.models import Lease
from tests.sync.conftest import World

ROLE = Lease.Role.ENUMERATE


def test_only_one_holds_a_lease(world: World) -> None:
    held = acquire(world.account.pk, ROLE, "one")
    assert held is not None
    assert acquire(world.account.pk, ROLE, "two") is None
    release(held)
    assert acquire(world.account.pk, ROLE, "two") is not None


def test_a_lease_that_ran_out_is_taken_over_and_its_old_holder_is_fenced(world: World) -> None:
    old = acquire(world.account.pk, ROLE, "one")
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    new = acquire(world.account.pk, ROLE, "two")
    assert old is not None and new is not None and new.generation == old.generation + 1
    with pytest.raises(LeaseLost), transaction.atomic():
        old.check()
    with transaction.atomic():
        new.check()
    release(old)  # must not free the new holder's
    assert acquire(world.account.pk, ROLE, "three") is None


def test_a_run_that_lost_its_lease_writes_no_page(world: World, monkeypatch) -> None:
    world.deliver(3)
    original = pipeline.enumerate_page

    def stolen(*args: object) -> bool:
        Lease.objects.filter(role=ROLE).update(generation=99)
        return original(*args)

    monkeypatch.setattr(pipeline, "enumerate_page", stolen)
    assert world.sync() is False
    assert Copy.objects.count() == 0
    monkeypatch.setattr(pipeline, "enumerate_page", original)
    Lease.objects.update(expires_at=None)
    assert world.sync() is True
    assert Copy.objects.count() == 3


def test_a_second_worker_helps_to_fetch_without_enumerating(world: World) -> None:
    world.deliver(4)
    with lease(world.account.pk, ROLE, "other"):
        assert world.sync() is False
        assert Copy.objects.count() == 0
    assert world.sync() is True


def test_a_helper_waits_a_moment_for_what_the_enumerator_has_not_written_yet(world: World, monkeypatch) -> None:
    world.deliver(4)
    world.sync()
    Message.objects.all().delete()
    slept: list[float] = []

    def a_page_is_written(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            Copy.objects.update(state=CopyState.PENDING, message=None, claimed_by="", claimed_until=None)

    monkeypatch.setattr(pipeline.time, "sleep", a_page_is_written)
    with lease(world.account.pk, ROLE, "other"):
        assert world.sync(compare_all=True) is False
    assert Message.objects.count() == 4
    assert set(slept) == {pipeline.LOOKS} and len(slept) > 2


def test_only_a_claim_that_runs_out_soon_is_renewed_and_only_its_holders(world: World) -> None:
    world.deliver(3)
    world.sync()
    soon, late = timezone.now() + timedelta(seconds=5), timezone.now() + timedelta(seconds=19)
    old, fresh, anothers = Copy.objects.order_by("pk")
    for copy, holder, until in ((old, "one", soon), (fresh, "one", late), (anothers, "two", soon)):
        Copy.objects.filter(pk=copy.pk).update(state=CopyState.PENDING, claimed_by=holder, claimed_until=until)
    claims.renew("one")
    left = list(Copy.objects.order_by("pk").values_list("claimed_until", flat=True))
    assert left[0] > soon + timedelta(seconds=10) and left[1:] == [late, soon]


def test_two_workers_never_claim_the_same_copy(world: World) -> None:
    world.deliver(10)
    Copy.objects.all().delete()
    world.sync()
    Copy.objects.update(state=CopyState.PENDING, message=None)
    one = {copy.pk for copy in claims.claim(world.account.pk, "one", 4)}
    two = {copy.pk for copy in claims.claim(world.account.pk, "two", 100)}
    assert len(one) == 4 and len(two) == 6 and not one & two
    assert claims.claim(world.account.pk, "three", 10) == []
    claims.give_back("one")
    assert {copy.pk for copy in claims.claim(world.account.pk, "three", 10)} == one


@pytest.mark.postgres
def test_claiming_by_one_statement_takes_what_choosing_first_takes(world: World) -> None:
    world.deliver(8)
    world.sync()
    Copy.objects.update(state=CopyState.PENDING, message=None)
    oldest, other, *_rest = Copy.objects.order_by("received_at")
    Copy.objects.filter(pk=other.pk).update(claimed_by="other", claimed_until=timezone.now() + timedelta(seconds=9))
    Copy.objects.filter(pk=oldest.pk).update(received_at=None)
    for allowed in (pace.Allowance(), pace.Allowance(Copy.objects.order_by("received_at")[2].received_at, 0)):
        found = []
        for take in (claims._take, claims._take_at_once):
            for limit in (3, 100):
                taken = take(world.account.pk, "one", limit, allowed)
                held = Copy.objects.filter(claimed_by="one", claimed_until__gt=timezone.now())
                assert set(held.values_list("pk", flat=True)) == {copy.id for copy in taken}
                found.append({copy.id: copy for copy in taken})
                claims.give_back("one")
        assert found[:2] == found[2:]
        assert (len(found[0]), len(found[1])) == (3, 7 if allowed.since is None else 6)
        assert oldest.pk in found[1] and other.pk not in found[1]


def test_a_claim_that_ran_out_is_claimed_again_and_stored_once(world: World) -> None:
    world.deliver(3)
    world.sync()
    Message.objects.all().delete()
    Copy.objects.update(state=CopyState.PENDING, message=None, claimed_by="dead", claimed_until=timezone.now())
    world.sync()
    assert Message.objects.count() == 3
    assert not Copy.objects.exclude(state=CopyState.STORED).exists()
