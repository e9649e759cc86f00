"""THE file to read first: one run over one mailbox.

    a look at all folders at once: quiet? then done → list folders → push local changes
                 → for each folder: enumerate (copies become *pending* rows)
                 → claim a slice, newest first → fetch → intake.take_in → settle … until nothing is pending
                 → compare the sets (daily) → look again at what seems to be gone → note the outcome

Invariants: any run may be killed, repeated, or run twice at once without loss or duplicates. Enumeration and pushing
hold a lease; content is fetched by claims, so several workers may serve one mailbox. The newest 50 are taken in before
the rest of the mailbox is enumerated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.utils import timezone

from accounts.connections import mailbox as open_mailbox
from accounts.heart import Heart
from accounts.models import AccountState, EmailAccount
from base.persistence import persist
from base.process import holder_name
from drivers.base import MailboxDriver
from drivers.errors import DriverError, FolderGone, ServerBusy, ServerUnreachable
from intake.take_in import Mailbox, describe
from mail.folders import followed
from mail.models import Copy, Folder
from sync import absences, claims, lanes, reconcile
from sync.enumerate import enumerate_page
from sync.fetch import SLICE, fetch_slice
from sync.gathering import ENOUGH_COUNT, Gathered
from sync.glance import Look, answer_request, look, note_counted
from sync.leases import Held, LeaseLost, lease
from sync.models import Lease
from sync.outcome import failed, succeeded
from sync.push import push_changes
from sync.renames import refresh_folders

log = structlog.get_logger(__name__)
HELP_ABOVE = 1500  # pending copies, above which another worker is asked to fetch too
MANY = 4 * SLICE  # pending copies, below which a slice is a share of them: nobody is left with the last thousand
LAST = 50  # copies claimed at least
SHARES = 6  # slices that what is free is worth, so that the workers end together
PATIENCE = 0.3  # seconds a helper waits for the next page of the enumeration, looking each LOOKS
LOOKS = 0.025
FIRST = 50  # messages readable before anything else is done

Progress = Callable[["Run"], object]


def _nothing(run: Run) -> None:
    """Where nobody listens."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a run turns to while it goes on."""

    show_progress: Progress = _nothing
    call_for_help: Progress = _nothing  # there is, or will be, enough for a second worker
    more_time: Callable[[], float] = float  # seconds more when the budget is spent: none


@dataclass(slots=True)
class Run:
    """One run over one mailbox; `budget` in seconds, after which it ends in good order with work left."""

    email_account: EmailAccount
    budget: float
    compare_all: bool = False  # compare every folder's sets now, not only those due today
    caller: Caller = Caller()
    holder: str = field(default_factory=holder_name)
    started: float = field(default_factory=time.monotonic)
    fetched: int = 0
    has_progressed: bool = False  # something was written, whatever came after
    has_only_helped: bool = False  # another worker enumerated
    is_on_old_line: bool = False  # the connection is that of a run before

    def is_over(self) -> bool:
        """Whether the budget is spent, and no more was given."""
        if time.monotonic() - self.started < self.budget:
            return False
        more = self.caller.more_time()
        self.budget += more
        return not more

    def go(self) -> bool:
        """Do it; True when the mailbox was read to its end. Raises drivers.errors."""
        with open_mailbox(self.email_account) as driver:
            self.is_on_old_line = driver.is_reused
            lanes.opened()
            seen = Look() if self.compare_all else look(self.email_account, driver)
            self.is_on_old_line = False
            note_counted(seen)
            return seen.is_quiet or self._work(driver, seen)

    def _work(self, driver: MailboxDriver, seen: Look) -> bool:
        """Do what `seen` leaves to be done; True when the mailbox was read to its end."""
        with Heart(lambda: claims.renew(self.holder)):
            claims.free_dead(self.email_account.pk)
            try:
                with lease(self.email_account.pk, Lease.Role.ENUMERATE, self.holder) as held:
                    if held is None:  # another worker enumerates: help it fetch
                        self.has_only_helped = True
                        self._help(driver)
                        return False
                    with Heart(held.renew):
                        return self._read(driver, held, seen)
            finally:
                persist(lambda: claims.give_back(self.holder))

    def _read(self, driver: MailboxDriver, held: Held, seen: Look) -> bool:
        if not seen.is_listed:
            refresh_folders(self.email_account, driver)
        if self._expects_many():
            self.caller.call_for_help(self)
        push_changes(self.email_account, driver)
        complete = True
        for number, folder in enumerate(followed(self.email_account)):
            if folder.pk not in seen.quiet:
                complete &= self._enumerate(driver, folder, held, is_first=number == 0)
        complete &= self._fetch_all(driver)
        if complete:
            complete = self._compare(driver, held)
            self._look_again(driver, held)
        return complete and not claims.is_waiting(self.email_account.pk)

    def _expects_many(self) -> bool:
        """Whether folders that were never looked at hold so much that it is known before they are enumerated."""
        return sum(one.total or 0 for one in followed(self.email_account) if one.cursor is None) >= HELP_ABOVE

    def _enumerate(self, driver: MailboxDriver, folder: Folder, held: Held, *, is_first: bool) -> bool:
        """All pages of one folder; True when none is left."""
        try:
            while enumerate_page(self.email_account, driver, folder, held):
                self.has_progressed = True
                if is_first and not self.fetched:
                    self._fetch_first(driver)
                self._call_if_many()
                if self.is_over():
                    return False
        except FolderGone as error:
            Folder.objects.filter(pk=folder.pk).update(last_error=str(error)[:300] or "gone", gone_at=timezone.now())
            return True
        if is_first and not self.fetched:
            self._fetch_first(driver)
        return True

    def _fetch_first(self, driver: MailboxDriver) -> None:
        """What is readable before anything else."""
        gathered = self._gather()
        try:
            self._fetch(driver, gathered, FIRST)
        finally:
            gathered.store()

    def _gather(self) -> Gathered:
        return Gathered(describe_mailbox(self.email_account), self._note_progress)

    def _fetch(self, driver: MailboxDriver, gathered: Gathered, limit: int) -> int:
        count = fetch_slice(driver, gathered, self.holder, limit)
        self.fetched += count
        self.caller.show_progress(self)
        return count

    def _note_progress(self) -> None:
        self.has_progressed = True

    def _fetch_all(self, driver: MailboxDriver) -> bool:
        """Slices until nothing is free; True when that was reached within the budget."""
        gathered = self._gather()
        try:
            while not self.is_over():
                share = max(LAST, self._call_if_many() // SHARES)
                gathered.enough = min(ENOUGH_COUNT, share)
                if not self._fetch(driver, gathered, min(SLICE, share)):
                    return True
            return False
        finally:
            gathered.store()

    def _help(self, driver: MailboxDriver) -> None:
        """Fetch what another worker enumerates. Where it has written nothing more yet, a moment's patience: to be called
        again costs a task and another look at the mailbox, while a page more is there every tenth of a second."""
        until = time.monotonic() + PATIENCE
        while not self.is_over() and time.monotonic() < until:
            if claims.count_free(self.email_account.pk, 1):
                self._fetch_all(driver)
                until = time.monotonic() + PATIENCE
            time.sleep(LOOKS)

    def _call_if_many(self) -> int:
        """Again and again: whoever is called may be busy, or of this very process. How many are free, up to MANY."""
        free = claims.count_free(self.email_account.pk, MANY)
        if free >= HELP_ABOVE:
            self.caller.call_for_help(self)
        return free

    def _compare(self, driver: MailboxDriver, held: Held) -> bool:
        """Compare the sets of the folders that are due; what was lost is fetched."""
        differs, compared = False, False
        for folder in reconcile.folders_to_compare(self.email_account, all_of_them=self.compare_all):
            differs |= bool(reconcile.compare(self.email_account, driver, folder, held))
            compared = True
        if compared:
            reconcile.tell_operator(self.email_account)
        return self._fetch_all(driver) if differs else True

    def _look_again(self, driver: MailboxDriver, held: Held) -> None:
        missing = Copy.objects.filter(email_account=self.email_account, missing_since__isnull=False)
        for folder in Folder.objects.filter(pk__in=missing.values("folder"), gone_at__isnull=True):
            absences.look_again(self.email_account, driver, folder, held)
        absences.settle_gone_folders(self.email_account, driver, held)


def describe_mailbox(email_account: EmailAccount) -> Mailbox:
    """The mailbox as intake needs it."""
    drafts = Folder.objects.filter(email_account=email_account, role="drafts").values_list("pk", flat=True)
    return describe(email_account, drafts=list(drafts))


def run_once(
    email_account_id: int,
    *,
    budget: float = 45.0,
    compare_all: bool = False,
    caller: Caller = Caller(),
) -> bool:
    """One run, its outcome noted; True when the mailbox was read to its end. Errors of the server end up in the row."""
    email_account = EmailAccount.objects.select_related("owner").get(pk=email_account_id)
    if email_account.state != AccountState.ACTIVE or not email_account.can_receive:
        return True
    asked = email_account.sync_requested_at
    run = Run(email_account, budget, compare_all, caller)
    try:
        complete = _go(run)
    except LeaseLost:
        return False
    except DriverError as error:
        log.info("run_failed", email_account=email_account_id, error=type(error).__name__)
        failed(email_account, error, has_progressed=run.has_progressed)
        raise
    finally:
        if not run.has_only_helped:  # else whoever enumerates finds at its end that it was asked again
            persist(lambda: answer_request(email_account_id, asked))
    if complete:
        succeeded(email_account, new_messages=run.fetched)
    return complete and not is_asked(email_account_id)


def _go(run: Run) -> bool:
    """The run; once more from its beginning where the connection that was kept turned out to be dead."""
    try:
        return run.go()
    except (ServerUnreachable, ServerBusy):
        if not run.is_on_old_line:
            raise
        return run.go()


def is_asked(email_account_id: int) -> bool:
    """Whether a person or a standing line asked for a run that has not begun."""
    return EmailAccount.objects.filter(pk=email_account_id, sync_requested_at__isnull=False).exists()
