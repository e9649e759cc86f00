"""What is asked for while a run is under way is not lost: the run finds it at its end."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import EmailAccount
from sync import pipeline, schedule, tasks
from sync.leases import acquire, release
from sync.models import Lease
from tests.conftest import Doorbell
from tests.sync.conftest import World


def _ask(world: World) -> None:
    EmailAccount.objects.filter(pk=world.account.pk).update(sync_requested_at=timezone.now())


def test_a_run_answers_what_was_asked_before_it(world: World) -> None:
    _ask(world)
    assert world.sync()
    assert world.account.sync_requested_at is None
    assert not schedule.has_work(world.account.pk)


def test_news_during_a_run_make_it_ring_again(
    world: World, doorbell: Doorbell, django_capture_on_commit_callbacks
) -> None:
    world.deliver(1)
    original = pipeline.succeeded

    def news_at_the_end(*args: object, **kwargs: object) -> None:
        original(*args, **kwargs)
        _ask(world)

    pipeline.succeeded = news_at_the_end
    try:
        with django_capture_on_commit_callbacks(execute=True):
            tasks.sync_email_account.run(world.account.pk)
    finally:
        pipeline.succeeded = original
    assert doorbell.names() == ["sync.tasks.sync_email_account"]
    with django_capture_on_commit_callbacks(execute=True):
        doorbell.answer()
    assert doorbell.rung == []


def test_a_second_worker_leaves_the_request_to_the_one_that_reads(world: World, doorbell: Doorbell) -> None:
    held = acquire(world.account.pk, Lease.Role.ENUMERATE, "elsewhere:1:x")
    assert held is not None
    _ask(world)
    tasks.sync_email_account.run(world.account.pk)
    world.account.refresh_from_db()
    assert world.account.sync_requested_at is not None
    assert doorbell.rung == [], "it does not ring for ever while the other one reads"
    release(held)
    assert schedule.has_work(world.account.pk)
