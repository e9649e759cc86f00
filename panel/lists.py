"""What stands around a list: its tabs, its menu of mailboxes and folders, what is true until mended, empty states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from accounts.models import AccountState
from mail.models import Folder
from mail.queries import COUNT_CAP, AccountLabel, pending_counts, visible_folders
from outbox import queries
from outbox.models import SendState
from panel.context import Rail, rail_of
from panel.filters import LABELS, ListAddress
from panel.outgoing import draft_rows, unfinished_rows
from sync.models import Pace

FOLDERS_SHOWN = 200  # in the menu
FOLDERS_OF = 5  # with more mailboxes than these, folders are named once one is chosen
LOUD_SHOWN = 3  # failed and uncertain emails over a list

_ROLES = ("inbox", "sent", "archive", "all")
_ICONS = {"inbox": "inbox", "sent": "send", "drafts": "file-pen-line", "archive": "archive", "all": "archive"}


@dataclass(frozen=True, slots=True)
class Tab:
    """A filter over the list."""

    label: str
    url: str
    is_current: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class AccountLine:
    """A mailbox in the menu, with its unread threads."""

    address: str
    url: str
    is_current: bool
    unread: int


@dataclass(frozen=True, slots=True)
class FolderLine:
    """A folder in the menu."""

    label: str
    url: str
    icon: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """A download that runs: `done` of `total` messages of one mailbox."""

    account: AccountLabel
    done: int
    total: int


def list_context(request: HttpRequest, address: ListAddress) -> dict[str, Any]:
    """Everything around the rows. Reads the rail once and shares it with the rail's template."""
    rail = rail_of(request)
    accounts = rail.accounts
    current = next((one for one in accounts if one.pk == address.filters.email_account_id), None)
    here = [one.pk for one in accounts if current is None or one is current]
    begun = queries.begun(request.user, here) if here else {}
    return {
        "rail": rail,
        "tabs": _tabs(address, rail, current, begun.get(SendState.DRAFT, 0)),
        "current_account": current,
        "account_lines": _accounts(address, rail),
        "all_accounts_url": address.with_account(None).url,
        "folder_lines": SimpleLazyObject(lambda: _folders(request.user, address, current, len(accounts))),
        "progress": progress_of(accounts),
        "questions": [one for one in accounts if one.state == AccountState.CONNECTED and one.answered_at is None],
        "troubles": [one for one in accounts if one.state == AccountState.NEEDS_SIGN_IN or one.failures >= 3],
        **outgoing_lines(request.user, address, here, begun),
        "last_sync_at": max((one.last_sync_at for one in accounts if one.last_sync_at), default=None),
    }


def outgoing_lines(user: Any, address: ListAddress, accounts: list[int], begun: dict[str, int]) -> dict[str, Any]:
    """What was begun in these mailboxes or waits to leave: the loud ones on every list, the rest in Drafts and Sent.

    `begun` says how many there are (outbox.queries.begun): what does not exist is not asked for.
    """
    view = address.filters.view
    is_plain = not address.query and address.filters.folder_id is None
    is_listed = is_plain and view in ("drafts", "sent")
    wanted = queries.OPEN if is_listed else queries.LOUD
    unfinished = unfinished_rows(user, accounts) if any(begun.get(state) for state in wanted) else []
    return {
        "loud_lines": [] if is_listed else [one for one in unfinished if one.is_loud][:LOUD_SHOWN],
        "unfinished_lines": unfinished if is_listed else [],
        "draft_lines": draft_rows(user, accounts) if is_plain and view == "drafts" else [],
    }


def folder_label(folder: Folder) -> str:
    """How a folder is named on screen."""
    return _("Inbox") if folder.role == "inbox" and len(folder.path) <= 1 else str(folder)


def progress_of(accounts: list[AccountLabel]) -> list[Progress]:
    """Downloads that run, by the ledger: on the server less pending; one query, three while one runs.

    Paused history is none.
    """
    pending = pending_counts(one.pk for one in accounts if one.state == AccountState.ACTIVE)
    if not pending:
        return []
    for paused in Pace.objects.filter(pk__in=pending, history_paused_at__isnull=False).values_list("pk", flat=True):
        del pending[paused]
    totals = dict(
        Folder.objects.filter(email_account_id__in=pending, is_followed=True)
        .values_list("email_account_id")
        .annotate(total=Sum("on_server"))
    )
    found = []
    for account in accounts:
        waiting = pending.get(account.pk, 0)
        if waiting:
            total = max(totals.get(account.pk) or 0, waiting)
            found.append(Progress(account, total - waiting, total))
    return found


def _accounts(address: ListAddress, rail: Rail) -> list[AccountLine]:
    """The mailboxes in the menu. There may be hundreds: what their addresses share is made once."""
    everything = address.with_account(None).url
    url = f"{everything}{'&' if '?' in everything else '?'}account="
    here = address.filters.email_account_id if address.filters.folder_id is None else None
    return [
        AccountLine(one.address, f"{url}{one.pk}", one.pk == here, rail.counts[one.pk].unread) for one in rail.accounts
    ]


def _tabs(address: ListAddress, rail: Rail, current: AccountLabel | None, drafts_here: int) -> list[Tab]:
    counts = [rail.counts[current.pk]] if current else list(rail.counts.values())
    numbers = {} if address.filters.folder_id else {
        "unread": min(sum(one.unread for one in counts), COUNT_CAP),
        "open": min(sum(one.open for one in counts), COUNT_CAP),
        "drafts": min(sum(one.drafts for one in counts) + drafts_here, COUNT_CAP),
    }  # fmt: skip
    return [
        Tab(str(label), address.with_view(view).url, view == address.filters.view, numbers.get(view, 0))
        for view, label in LABELS.items()
    ]


def _folders(user: Any, address: ListAddress, current: AccountLabel | None, accounts: int) -> list[FolderLine]:
    if current is None and accounts > FOLDERS_OF:
        return []
    folders = visible_folders(user).select_related("email_account").order_by("email_account__address_key", "path")
    if current:
        folders = folders.filter(email_account=current.pk)
    lines = []
    for folder in sorted(folders[:FOLDERS_SHOWN], key=lambda one: (one.role not in _ROLES, one.role != "inbox")):
        label = folder_label(folder)
        if current is None and accounts > 1:
            label = f"{label} · {folder.email_account.address}"
        url = address.with_folder(folder.email_account_id, folder.pk).url
        icon = _ICONS.get(folder.role, "folder")
        lines.append(FolderLine(label, url, icon, folder.pk == address.filters.folder_id))
    return lines
