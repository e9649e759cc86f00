"""Reads a mailbox in the foreground until nothing is pending, and prints its ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from argparse import SUPPRESS
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import AccountState, EmailAccount
from base.addresses import normalise_address
from base.process import SETTINGS_CHECKS, WORKER_WAIT, collect_seldom
from drivers.errors import DriverError, ServerBusy
from sync import claims, pipeline, schedule, status

PATIENCE = 60.0  # seconds that another worker may hold the rest


class Command(BaseCommand):
    """`sync_account ADDRESS [--json]`."""

    requires_system_checks = SETTINGS_CHECKS
    help = "Downloads the emails of a mailbox until nothing is pending, and prints what is on the server and stored."

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._helpers: list[subprocess.Popen[bytes]] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address")
        parser.add_argument("--as-helper", action="store_true", help=SUPPRESS)  # fetch beside another process, silently
        parser.add_argument("--json", action="store_true", help="Print the figures as JSON.")

    def run_from_argv(self, argv: list[str]) -> None:
        """As a process of its own."""
        collect_seldom(WORKER_WAIT)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        email_account = find_email_account(options["address"])
        if email_account.state != AccountState.ACTIVE:
            raise CommandError(
                f"{email_account.address} is {email_account.get_state_display()!s}: "
                "only an active email account is downloaded. Answer its question, resume it or sign in again."
            )
        if options["as_helper"]:
            self._help(email_account)
            return
        started = time.monotonic()
        show = sys.stderr.isatty() and not options["json"]
        self._read(email_account, show=show)
        for helper in self._helpers:
            if helper.stdin:
                helper.stdin.close()
        schedule.index_pending(seconds=3600)
        for helper in self._helpers:
            helper.wait(timeout=120)
        schedule.index_pending(seconds=3600)  # what a helper began and did not end
        email_account.refresh_from_db()
        figures = status.as_json(email_account) | {"seconds": round(time.monotonic() - started, 3)}
        self.stdout.write(json.dumps(figures, indent=2) if options["json"] else as_table(figures))

    def _read(self, email_account: EmailAccount, *, show: bool) -> None:
        waited = 0.0
        caller = pipeline.Caller(call_for_help=self._call_for_help)
        if show:
            caller = replace(caller, show_progress=self._progress)
        while True:
            try:
                complete = pipeline.run_once(
                    email_account.pk,
                    budget=600.0,
                    compare_all=True,
                    caller=caller,
                )
            except ServerBusy as error:
                complete, waited = False, waited + 1
                if waited > PATIENCE:
                    raise CommandError(str(error))
                time.sleep(1)
                continue
            except DriverError as error:
                raise CommandError(
                    f"{email_account.address} could not be read: {error}. Nothing was lost; run it again."
                )
            if complete:
                return
            if waited > PATIENCE and not claims.is_waiting(email_account.pk):
                return
            waited += 0.3
            time.sleep(0.3)

    def _call_for_help(self, run: pipeline.Run) -> None:
        """A second process fetches beside us: two cores, one mailbox."""
        if not self._helpers and (os.cpu_count() or 1) > 1:
            words = [
                sys.executable,
                sys.argv[0],
                "sync_account",
                run.email_account.address,
                "--as-helper",
                "--skip-checks",
            ]
            null = subprocess.DEVNULL
            self._helpers.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null))

    def _help(self, email_account: EmailAccount) -> None:
        """Beside the command that called: fetch until it says that all is read (its end of our input), then index."""
        all_is_read = threading.Event()
        threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
        threading.Thread(target=set_at_end_of_input, args=(all_is_read,), daemon=True).start()
        while not all_is_read.wait(0.05):
            if schedule.has_work(email_account.pk):
                try:
                    pipeline.run_once(email_account.pk, budget=600.0)
                except DriverError:
                    break
        schedule.index_pending(seconds=3600)

    def _progress(self, run: pipeline.Run) -> None:
        seconds = max(0.001, time.monotonic() - run.started)
        self.stderr.write(f"\r{run.fetched:,} emails, {run.fetched / seconds:,.0f} a second", ending="")


def set_at_end_of_input(event: threading.Event) -> None:
    """Who called has closed its end, or ended."""
    sys.stdin.read()
    event.set()


def end_with_parent(parent: int) -> None:
    """A helper must not outlive the command that called it: its claims come back as those of a dead process."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def find_email_account(address: str) -> EmailAccount:
    """The email account of an address. Raises CommandError with the mend."""
    try:
        return EmailAccount.objects.get(address_key=normalise_address(address) or address)
    except EmailAccount.DoesNotExist:
        raise CommandError(f"No email account {address}. `mailbox_status` lists them; `add_email_account` adds one.")


def as_table(figures: dict[str, Any]) -> str:
    """The figures for a terminal, folders and total."""
    names = ("on_server", "stored", "filtered", "failed", "pending")
    width = max([len("Total"), *(len(" / ".join(folder["path"])) for folder in figures["folders"])]) + 2
    lines = ["".ljust(width) + "".join(name.rjust(11) for name in names)]
    lines.extend(
        " / ".join(folder["path"]).ljust(width) + "".join(f"{folder[name]:,}".rjust(11) for name in names)
        for folder in figures["folders"]
    )
    lines.append("Total".ljust(width) + "".join(f"{figures[name]:,}".rjust(11) for name in names))
    if "seconds" in figures:
        lines.append(f"{figures['seconds']:.1f} seconds")
    return "\n".join(lines)
