"""A look at a mailbox in which, most times, nothing happened: one question to the server for all folders, few rows.

Invariant: *quiet* is only said of a folder whose figures on the server are those of its stored cursor, with nothing of it
pending, missing or due to be compared; whatever cannot be told this way is left to the ordinary run.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from accounts import kept_connections
from accounts.connections import opened_with
from accounts.kept_connections import Kept
from accounts.models import AccountState, Credential, EmailAccount, EmailAccountServer
from base.bulk import update_rows
from base.persistence import do_not_wait_for_the_disk
from base.prepared import Prepared
from drivers.base import MailboxDriver
from drivers.errors import DriverError
from drivers.types import RemoteFolder
from mail.folders import NAME_LIMIT, in_order
from mail.models import Copy, Folder
from sync.outcome import succeeded
from sync.reconcile import is_due

LISTED_FOR = 180.0  # seconds; where the list of folders does not come with their figures it is asked for so often


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `is_quiet`: there is nothing to do at all; `quiet`: folder rows in which nothing happened;
    `is_listed`: the folder rows are those of the server."""

    is_quiet: bool = False
    quiet: frozenset[int] = frozenset()
    is_listed: bool = False


def nothing_happened(email_account_id: int) -> bool:
    """Whether a look over the connection that this process kept shows that there is nothing to do; then that is noted.

    False says nothing: the ordinary run finds out. No message row is touched, and no lock is taken.
    """
    kept = kept_connections.borrow(email_account_id)
    if kept is None:
        return False
    is_well = False
    try:
        is_quiet = _is_quiet(email_account_id, kept)
        is_well = True
    except DriverError:  # the line died while it was kept
        return False
    finally:
        if is_well:
            kept_connections.put_back(email_account_id, kept)
        else:
            kept.close()
    return is_quiet


def _is_quiet(email_account_id: int, kept: Kept) -> bool:
    account = next(iter(_ACCOUNT.fetch(email_account_id)), None)
    server = next(iter(_SERVER.fetch(email_account_id)), None)
    if account is None or server is None or not _is_ordinary(account):
        return False
    server.email_account = account
    for credential in _CREDENTIAL.fetch(email_account_id):
        credential.email_account = account  # and the account has it
    if opened_with(server) != kept.key:
        return False
    seen = look(account, kept.driver)
    if not seen.is_quiet:
        return False
    with transaction.atomic():
        do_not_wait_for_the_disk()  # if it is lost, one look is taken once more
        if not kept_connections.renew(kept):
            return False
        note_counted(seen)
        succeeded(account, new_messages=0)
        answer_request(email_account_id, account.sync_requested_at)
    return True


_ACCOUNT = Prepared(lambda pk: EmailAccount.objects.filter(pk=pk))
_SERVER = Prepared(
    lambda pk: EmailAccountServer.objects.filter(email_account=pk).exclude(protocol="smtp").order_by("pk")[:1]
)
_CREDENTIAL = Prepared(lambda pk: Credential.objects.filter(email_account=pk))
_FOLDERS = Prepared(lambda pk: Folder.objects.filter(email_account=pk))


def _is_ordinary(account: EmailAccount) -> bool:
    is_well = account.failures == 0 and not account.last_error_kind
    return account.state == AccountState.ACTIVE and account.can_receive and is_well


def answer_request(email_account_id: int, asked: datetime | None) -> None:
    """What was asked for before a run began is done; what was asked for since stays."""
    if asked is not None:
        EmailAccount.objects.filter(pk=email_account_id, sync_requested_at=asked).update(sync_requested_at=None)


def look(email_account: EmailAccount, driver: MailboxDriver) -> Look:
    """One look. Raises ServerUnreachable, ServerBusy."""
    rows = _FOLDERS.fetch(email_account.pk)
    wanted = in_order(rows)
    known = {row.remote_id: row.cursor for row in wanted if row.cursor and row.enumerated_since == email_account.since}
    seen = driver.glance(known, since=email_account.since)
    quiet = [row for row in wanted if row.remote_id in seen.quiet and not row.last_error]
    is_listed = _is_same(rows, seen.folders) if seen.folders is not None else _was_listed(driver)
    is_quiet = (
        is_listed
        and 0 < len(quiet) == len(wanted)
        and not any(map(is_due, quiet))
        and not _is_unsettled([row.pk for row in rows if row.gone_at is not None])
        and not _waits(email_account.pk)
    )
    return Look(is_quiet, frozenset(row.pk for row in quiet), is_listed)


def _is_unsettled(gone: list[int]) -> bool:
    """Whether folders that are gone still have copies, which want a second look."""
    return bool(gone) and Copy.objects.filter(folder__in=gone).exists()


def note_counted(seen: Look) -> None:
    """What the ledger says of the quiet folders is true now, too."""
    now = timezone.now()
    update_rows(Folder, ("on_server_at",), [(now, pk) for pk in sorted(seen.quiet)])


def _was_listed(driver: MailboxDriver) -> bool:
    return driver.listed_at is not None and time.monotonic() - driver.listed_at < LISTED_FOR


def _is_same(rows: Collection[Folder], listed: Collection[RemoteFolder]) -> bool:
    """Whether the rows on the server are what it lists, in names, roles and what can be opened."""
    known = {(r.remote_id, tuple(r.path), r.role, r.is_selectable, r.is_virtual) for r in rows if r.gone_at is None}
    told = {(f.id, f.path, f.role.value, f.selectable, f.virtual) for f in listed if len(f.id) <= NAME_LIMIT}
    return known == told


_WAITS = """
    SELECT EXISTS (SELECT 1 FROM mail_copy WHERE email_account_id = %s AND state = 'pending' AND NOT is_out_of_scope)
        OR EXISTS (SELECT 1 FROM mail_copy WHERE email_account_id = %s AND missing_since IS NOT NULL)
        OR EXISTS (SELECT 1 FROM mail_change WHERE email_account_id = %s AND done_at IS NULL)
        OR EXISTS (SELECT 1 FROM sync_pace WHERE email_account_id = %s AND attachments <> 'on_demand')
"""  # by hand: the ORM needs longer to write it than the database to answer


def _waits(email_account_id: int) -> bool:
    """Whether rows of this mailbox wait for the server: copies to fetch or to look for, changes to push, attachments."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, [email_account_id] * 4)
        return bool(cursor.fetchone()[0])
