"""Archive, move, delete, flag a whole thread, and take it back.

Invariant: whoever may see a mail may flag it (as they may mark it); moving and deleting change the mailbox for
everybody, so they need the right to send with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import transaction

from accounts.shares import accounts_with_right, may
from drivers.types import FolderRole
from mail.changes import set_flagged
from mail.models import Change, Folder, Message, Thread
from mail.moves import Moved, delete, folder_for, move, take_back
from mail.queries import visible_messages, visible_threads

Act = Literal["archive", "delete", "move", "flag", "unflag"]
ACTS: tuple[Act, ...] = ("archive", "delete", "move", "flag", "unflag")
FOLDERS_OFFERED = 300
_NO_TARGET = ("sent", "drafts", "trash", "all", "flagged", "important")


class NotAllowed(Exception):
    """May see the thread, and may not move its mail."""


class NoSuchFolder(Exception):
    """The mailbox has no folder for this."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What was done to a thread: what can be taken back, the mailboxes (ids) to ring for, where it went."""

    thread: Thread
    act: Act
    moved: Moved = field(default_factory=Moved)
    to_push: tuple[int, ...] = ()
    target: Folder | None = None


@transaction.atomic
def act_on_thread(
    *, user: Any, thread_id: int, act: Act, target_id: int | None = None, source_id: int | None = None
) -> Acted | None:
    """Do it; None where `user` may not see the thread. `source_id`: the folder in which it is looked at, if one.

    Raises NotAllowed, NoSuchFolder.
    """
    thread = visible_threads(user).select_related("email_account").filter(pk=thread_id).first()
    if thread is None:
        return None
    messages = visible_messages(user).filter(thread=thread)
    if act in ("flag", "unflag"):
        return _flag(thread, act, messages)
    if not may(user, thread.email_account, "send"):
        raise NotAllowed
    ids = list(messages.values_list("pk", flat=True))
    target = _target(thread, act, target_id)
    if act == "delete":
        moved = delete(ids, trash=target, user=user)
    else:
        moved = move(ids, target=target, source=_source(thread, act, source_id), user=user)
    thread.refresh_from_db()
    return Acted(thread, act, moved, moved.email_account_ids, target)


def _flag(thread: Thread, act: Act, messages: Any) -> Acted:
    """The newest received message carries the flag; taking it away takes it from all."""
    rows = messages.filter(is_draft=False)
    if act == "flag":
        newest = rows.order_by("is_outgoing", "-received_at", "-pk").values_list("pk", flat=True)[:1]
        to_push = set_flagged(list(newest), is_flagged=True)
    else:
        to_push = set_flagged(list(rows.filter(is_flagged=True).values_list("pk", flat=True)), is_flagged=False)
    thread.refresh_from_db()
    return Acted(thread, act, to_push=tuple(to_push))


def _target(thread: Thread, act: Act, target_id: int | None) -> Folder:
    if act == "move":
        found = targets(thread).filter(pk=target_id).first()
    else:
        found = folder_for(thread.email_account_id, "trash" if act == "delete" else "archive")
    if found is None:
        raise NoSuchFolder
    return found


def _source(thread: Thread, act: Act, source_id: int | None) -> Folder | None:
    """Archiving empties the inbox; a move leaves the folder that is looked at, else wherever the mail lies."""
    rows = Folder.objects.filter(email_account=thread.email_account_id)
    if act == "archive":
        return rows.filter(role=FolderRole.INBOX.value).first()
    return rows.filter(pk=source_id).first() if source_id else None


def targets(thread: Thread) -> Any:
    """Folders into which a thread may be moved (a queryset)."""
    rows = Folder.objects.filter(email_account=thread.email_account_id, is_selectable=True, gone_at__isnull=True)
    return rows.exclude(role__in=_NO_TARGET).order_by("path")


@transaction.atomic
def undo(*, user: Any, change_ids: Iterable[int]) -> tuple[list[Thread], tuple[int, ...]] | None:
    """Take moves back; the threads as they are now and the mailboxes (ids) to ring for. None: not all are `user`'s to move."""
    ids = list(change_ids)
    rows = Change.objects.filter(pk__in=ids, kind__in=("move", "delete"))
    mine = rows.filter(email_account__in=accounts_with_right(user, "send"))
    found = list(mine.values_list("pk", "message_id"))
    if not found or len(found) != len(set(ids)):
        return None
    threads = set(Message.objects.filter(pk__in=[one for _pk, one in found]).values_list("thread_id", flat=True))
    back = take_back([pk for pk, _message in found], user=user)
    return list(visible_threads(user).filter(pk__in=threads)), back.email_account_ids
