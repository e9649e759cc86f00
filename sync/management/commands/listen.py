"""Holds the standing lines of all mailboxes whose server can push. Several of these share the mailboxes."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from base.process import SETTINGS_CHECKS, collect_seldom, share_one_heap
from sync.listener import Listener
from sync.tasks import sync_email_account


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; ends within 2 s."""

    requires_system_checks = SETTINGS_CHECKS
    help = "Watches mailboxes by IDLE and rings for those in which something happened."

    def handle(self, *args: Any, **options: Any) -> None:
        share_one_heap()
        collect_seldom()
        listener = Listener(sync_email_account.delay)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: listener.stop())
        listener.run()
