"""A worker's threads are shared fairly: big and troubled mailboxes never take them all, and nobody is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.utils import timezone

from accounts.connections import slot
from accounts.models import EmailAccount
from drivers.errors import ServerBusy
from mail.models import Copy, CopyState
from sync import lanes, tasks
from sync.lanes import Lane
from sync.schedule import GUARD
from tests.sync.conftest import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def others() -> Iterator[None]:
    """Runs of other threads, forgotten afterwards."""
    lanes._runs.clear()
    yield
    lanes._runs.clear()


def _busy(lane: Lane, count: int, host: str = "other.example:993") -> None:
    for number in range(count):
        lanes._runs[-len(lanes._runs) - 1 - number] = lanes._Run(lane, host, is_open=True)


def _big(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BIG", 3)
    world.deliver(6)
    world.sync()
    Copy.objects.filter(remote_key__in=["1", "2", "3"]).update(state=CopyState.PENDING, message=None)


def test_a_healthy_small_mailbox_is_never_turned_away(world: World, others: None) -> None:
    _busy(Lane.HISTORY, lanes.HISTORY_MOST)
    _busy(Lane.TROUBLED, lanes.TROUBLED_MOST)
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.QUICK
    assert lanes.HISTORY_MOST + lanes.TROUBLED_MOST < lanes.THREADS


def test_a_failing_mailbox_waits_for_a_place_among_its_like(world: World, others: None) -> None:
    EmailAccount.objects.update(failures=2)
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.TROUBLED
    _busy(Lane.TROUBLED, lanes.TROUBLED_MOST)
    world.server.calls.clear()
    tasks.sync_email_account.run(world.account.pk)
    assert world.server.calls == [], "its server is not asked"


def test_a_server_that_hangs_while_it_is_opened_takes_few_threads(
    world: World, others: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = world.account.servers.get()
    host = f"{server.host}:{server.port}:{server.url}"
    lanes._runs[-1] = lanes._Run(Lane.QUICK, host)
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.QUICK
    lanes._runs[-1].began -= lanes.HANGS_AFTER + 1
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.TROUBLED


def test_a_big_mailbox_whose_lane_is_full_still_gets_its_new_mail_and_its_turn(
    world: World, others: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _big(world, monkeypatch)
    _busy(Lane.HISTORY, lanes.HISTORY_MOST)
    EmailAccount.objects.update(next_sync_at=timezone.now() + GUARD)
    world.deliver(1, start=99)
    tasks.sync_email_account.run(world.account.pk)
    assert "Mail 99" in world.subjects()
    world.account.refresh_from_db()
    assert world.account.next_sync_at < timezone.now() + GUARD / 2
    lanes._runs.clear()
    with lanes.place(world.account.pk) as lane:
        assert lane is not Lane.NEW_MAIL_ONLY


def test_a_process_reads_a_mailbox_once_at_a_time(world: World, others: None) -> None:
    world.deliver(1)
    lanes._runs[-1] = lanes._Run(Lane.QUICK, "imap.example.com", world.account.pk, is_open=True)
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.TAKEN and len(lanes._runs) == 1
    tasks.sync_email_account.run(world.account.pk)
    assert not world.subjects()
    lanes._runs[-1].email_account_id += 1  # another mailbox of the same server
    tasks.sync_email_account.run(world.account.pk)
    assert world.subjects()


def test_a_quick_run_that_turns_out_to_be_a_download_goes_on_where_there_is_room(world: World, others: None) -> None:
    _busy(Lane.HISTORY, lanes.HISTORY_MOST)
    assert lanes.more_time() == 0.0  # no run of this thread
    with lanes.place(world.account.pk) as lane:
        assert lane is Lane.QUICK
        assert lanes.more_time() == 0.0
        lanes._runs.pop(next(key for key, run in lanes._runs.items() if run.lane is Lane.HISTORY))
        assert lanes.more_time() == lanes.BUDGETS[Lane.HISTORY]
        assert lanes.more_time() == 0.0  # once


def test_a_place_is_given_back_whatever_happens(world: World, others: None) -> None:
    with pytest.raises(RuntimeError), lanes.place(world.account.pk):
        assert len(lanes._runs) == 1
        raise RuntimeError
    assert not lanes._runs


def test_a_click_has_a_connection_although_downloads_hold_all_of_theirs(world: World) -> None:
    with ExitStack() as stack:
        taken = 0
        with pytest.raises(ServerBusy):
            while True:
                stack.enter_context(slot(world.account, purpose="sync"))
                taken += 1
        assert taken >= 2
        stack.enter_context(slot(world.account, purpose="click"))
