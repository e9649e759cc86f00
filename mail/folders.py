"""The folder rows of a mailbox: merged with what the server lists; which ones are followed.

Invariant: a folder that is missing from one listing is marked, never deleted; its copies and messages stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.types import FolderRole, RemoteFolder
from mail.models import Copy, CopyState, Folder

NOT_BY_DEFAULT = {FolderRole.JUNK, FolderRole.TRASH, FolderRole.DRAFTS}
NAME_LIMIT = 600  # characters; a longer name is not followed
ORDER = ("inbox", "sent", "archive", "", "all", "flagged", "important", "drafts", "junk", "trash")


@transaction.atomic
def merge_listing(
    email_account: EmailAccount, listed: Sequence[RemoteFolder], *, has_labels: bool = False
) -> list[Folder]:
    """Bring the rows in line with the server's list; returns the rows on the server now.

    `has_labels` (Gmail): All Mail is where archived mail lies, so it is followed; a mail under several labels is one
    message with several copies.
    """
    rows = {folder.remote_id: folder for folder in Folder.objects.filter(email_account=email_account)}
    seen: list[Folder] = []
    for remote in listed:
        if len(remote.id) > NAME_LIMIT:
            continue
        folder = rows.get(remote.id) or Folder(email_account=email_account, remote_id=remote.id)
        is_new = folder.pk is None
        folder.path = list(remote.path)
        folder.role = remote.role.value
        folder.is_selectable = remote.selectable
        folder.is_virtual = remote.virtual
        folder.total = remote.total
        folder.gone_at = None
        if is_new:
            folder.is_followed = _follows_by_default(email_account, remote, has_labels)
        folder.save()
        seen.append(folder)
    gone = [row.pk for remote_id, row in rows.items() if all(one.remote_id != remote_id for one in seen)]
    Folder.objects.filter(pk__in=gone, gone_at__isnull=True).update(gone_at=timezone.now())
    return seen


def _follows_by_default(email_account: EmailAccount, remote: RemoteFolder, has_labels: bool) -> bool:
    """All but Junk, Trash, Drafts and virtual ones; once a person chose, a new folder follows its parent's choice."""
    is_shown_twice = remote.virtual and not (has_labels and remote.role == FolderRole.ALL)
    if not remote.selectable or is_shown_twice or remote.role in NOT_BY_DEFAULT:
        return False
    if email_account.folders_chosen_at is None:
        return True
    parent = list(remote.path[:-1])
    rows = Folder.objects.filter(email_account=email_account)
    return any(row.path == parent and row.is_followed for row in rows) if parent else False


@transaction.atomic
def set_followed(email_account: EmailAccount, folder_ids: Iterable[int]) -> None:
    """Follow exactly these folders. Sent is always followed; what is no longer followed stays, out of scope."""
    wanted = set(folder_ids)
    for folder in Folder.objects.filter(email_account=email_account):
        follow = folder.is_selectable and (folder.pk in wanted or folder.role == FolderRole.SENT.value)
        if follow != folder.is_followed:
            folder.is_followed = follow
            folder.cursor = None if follow else folder.cursor
            folder.save(update_fields=["is_followed", "cursor"])
            Copy.objects.filter(folder=folder).update(is_out_of_scope=not follow)
            if not follow:
                Copy.objects.filter(folder=folder, state=CopyState.PENDING).delete()
    email_account.folders_chosen_at = timezone.now()
    email_account.save(update_fields=["folders_chosen_at"])


def follow_by_name(email_account: EmailAccount, names: Sequence[str]) -> list[str]:
    """Follow the folders of these names (last segment, path with "/", or the server's own name); returns unknown ones."""
    wanted: set[int] = set()
    unknown: list[str] = []
    rows = list(Folder.objects.filter(email_account=email_account, gone_at__isnull=True))
    for name in names:
        folded = name.casefold()
        found = [f for f in rows if folded in (f.remote_id.casefold(), "/".join(f.path).casefold(), f.name.casefold())]
        wanted.update(folder.pk for folder in found)
        if not found:
            unknown.append(name)
    set_followed(email_account, wanted)
    return unknown


def followed(email_account: EmailAccount) -> list[Folder]:
    """The folders whose mail is downloaded, INBOX first."""
    return in_order(Folder.objects.filter(email_account=email_account, is_followed=True))


def in_order(rows: Iterable[Folder]) -> list[Folder]:
    """Of these folders the ones whose mail is downloaded, INBOX first."""
    chosen = [row for row in rows if row.is_followed and row.is_selectable and row.gone_at is None]
    return sorted(chosen, key=lambda row: (ORDER.index(row.role) if row.role in ORDER else 3, row.path))
