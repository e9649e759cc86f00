"""Doorbells: each takes an id, calls one function, may run twice, ends within a minute."""

from __future__ import annotations

import structlog
from celery import Task, shared_task
from django.db import InterfaceError, OperationalError, transaction
from kombu.exceptions import OperationalError as QueueAway

from drivers.errors import DriverError
from sync import attachments, glance, lanes, pipeline, schedule

log = structlog.get_logger(__name__)


@shared_task
def sync_email_account(email_account_id: int) -> None:
    """One run over a mailbox in the lane that is its own; rings again while work is left. Most times nothing happened."""
    try:
        if not glance.nothing_happened(email_account_id):
            _run_in_lane(email_account_id)
    except (OperationalError, InterfaceError) as error:  # the database went away under it
        log.warning("run_cut_short", email_account=email_account_id, error=type(error).__name__)
        schedule.go_on_later(email_account_id)


def _run_in_lane(email_account_id: int) -> None:
    with lanes.place(email_account_id) as lane:
        if lane in lanes.BUDGETS:
            _run(email_account_id, lane)
    if lane in (lanes.Lane.FULL, lanes.Lane.NEW_MAIL_ONLY):
        schedule.rest(email_account_id)


def _run(email_account_id: int, lane: lanes.Lane) -> None:
    is_alone = lane is lanes.Lane.NEW_MAIL_ONLY
    try:
        complete = pipeline.run_once(
            email_account_id,
            budget=lanes.BUDGETS[lane],
            caller=pipeline.Caller(
                call_for_help=lambda run: None if is_alone else _ring(email_account_id), more_time=lanes.more_time
            ),
        )
    except DriverError:
        return  # noted in the row; the tick rings when it is due
    if not complete and not is_alone and schedule.has_work(email_account_id):
        transaction.on_commit(lambda: _ring(email_account_id))
    elif complete:
        if schedule.is_time_to_index():
            _ring_or_leave(index_search)
        if attachments.is_wanted(email_account_id):
            attachments.fetch_some(email_account_id)


def _ring(email_account_id: int) -> None:
    _ring_or_leave(sync_email_account, email_account_id)


def _ring_or_leave(task: Task[..., None], *ids: int) -> None:
    """Ring; a queue that is away must not end work that goes on: the tick rings from the rows."""
    try:
        task.delay(*ids)
    except (QueueAway, OSError) as error:
        log.warning("doorbell_failed", task=task.name, ids=ids, error=type(error).__name__)


@shared_task
def refresh_folders(email_account_id: int) -> None:
    """List the folders of a mailbox that was just connected."""
    schedule.list_folders(email_account_id)


@shared_task
def push_changes(email_account_id: int) -> None:
    """Bring local changes to the server now."""
    schedule.push_now(email_account_id)


@shared_task
def show_life() -> None:
    """A worker answers the tick: queue and worker are alive (the heartbeat "worker" in /metrics)."""
    schedule.beat("worker")


@shared_task
def index_search() -> None:
    """Fill the search index for mail that is visible already."""
    schedule.index_while_it_is_time(call_for_help=lambda: _ring_or_leave(index_search))
