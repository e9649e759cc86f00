"""The clock of the installation: every two seconds it looks at the rows and rings the doorbells. Two of them are harmless."""

from __future__ import annotations

import signal
import threading
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error, connection
from kombu.exceptions import OperationalError as QueueAway

from accounts.oauth_revoke import has_grants_to_revoke
from accounts.services import forget_abandoned_setups, requeue_stuck_checks
from accounts.tasks import revoke_grants
from base.process import SETTINGS_CHECKS
from linking.past import is_past_mail_linked
from linking.tasks import link_past_mail
from mail.erase import accounts_to_erase
from mail.tasks import erase_email_account
from notifications import radar
from outbox import bounces
from outbox import schedule as sending
from outbox import tasks as sending_tasks
from outbox.leftovers import forget_leftovers
from panel.tasks import check_server
from sync import schedule, tasks
from sync.absences import erase_trash
from sync.parts import trim_cache

log = structlog.get_logger(__name__)
INTERVAL = 2.0  # seconds
SLOW_EVERY = 150  # beats: every five minutes
BOUNCES_EVERY = 5  # beats
WORKER_EVERY = 10  # beats


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    requires_system_checks = SETTINGS_CHECKS
    help = "Rings for all work that is due, again and again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="One beat, then end.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        count = 0
        while not stop.is_set():
            try:
                beat(count)
            except Error as error:  # the database is away: the next beat tries again
                log.warning("tick_failed", error=type(error).__name__)
                connection.close()
            except QueueAway as error:  # nothing is lost: the rows are still there for the next beat
                log.warning("queue_away", error=type(error).__name__)
            count += 1
            if options["once"]:
                return
            stop.wait(INTERVAL)


def beat(count: int) -> None:
    """One look at the rows."""
    schedule.beat("tick")
    schedule.ring_due(tasks.sync_email_account.delay, tasks.push_changes.delay)
    sending.ring_due(sending_tasks.advance.delay)
    if count % BOUNCES_EVERY == 0 and (waiting := bounces.waiting()):
        sending_tasks.note_bounces.delay(waiting)
    if schedule.is_time_to_index():
        tasks.index_search.delay()
    if not is_past_mail_linked():
        link_past_mail.delay()
    if count % WORKER_EVERY == 0:
        tasks.show_life.delay()
    for check_id in requeue_stuck_checks():
        check_server.delay(check_id)
    if count % SLOW_EVERY == 0:
        forget_abandoned_setups()
        for email_account_id in accounts_to_erase():
            erase_email_account.delay(email_account_id)
        erase_trash()
        trim_cache()
        bounces.trust_again()
        if has_grants_to_revoke():
            revoke_grants.delay()
        radar.look()
        forget_leftovers()
