"""Archive, move and delete: here at once, on the server by rows of `Change`, and back again.

Invariants: a copy's row says where the server keeps it and changes only once the server did; until then the waiting row
says where it is shown. A delete is a move to the trash folder and hides the message. Taking back what the server was not
asked for yet removes its row; else a row leads the other way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mail.models import Change, Copy, CopyState, Folder, Message
from mail.threads import refresh

VIRTUAL = ("all", "flagged", "important")
OWN = ("sent", "drafts")  # a conversation's own mail stays where it is when the rest is moved


@dataclass(frozen=True, slots=True)
class Moved:
    """What was begun: rows that can be taken back, and the email accounts to push."""

    change_ids: tuple[int, ...] = ()
    email_account_ids: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.change_ids)


def folder_for(email_account_id: int, role: str) -> Folder | None:
    """The folder of this role ("archive", "trash"); Gmail archives into All Mail."""
    roles = (role, "all") if role == "archive" else (role,)
    rows = Folder.objects.filter(
        email_account=email_account_id, role__in=roles, gone_at__isnull=True, is_selectable=True
    )
    return min(rows, key=lambda folder: roles.index(folder.role), default=None)


def places(message_ids: Iterable[int]) -> dict[int, list[Folder]]:
    """The folders in which each message is shown: where the server keeps it, as changed by what waits."""
    ids = list(message_ids)
    found: dict[int, dict[int, Folder]] = defaultdict(dict)
    copies = Copy.objects.filter(message__in=ids, state=CopyState.STORED, missing_since__isnull=True)
    rows = copies.filter(epoch=F("folder__epoch")).select_related("folder").order_by("pk")
    for copy in rows.only("message_id", "folder"):
        found[copy.message_id or 0][copy.folder_id] = copy.folder
    changes = Change.objects.filter(message__in=ids, done_at__isnull=True, source__isnull=False).order_by("pk")
    waiting = list(changes.values_list("message_id", "source_id", "target_id"))
    targets = Folder.objects.in_bulk({target for _message, _source, target in waiting if target}) if waiting else {}
    for message_id, source_id, target_id in waiting:
        found[message_id].pop(source_id or 0, None)
        if target_id is not None:
            found[message_id][target_id] = targets[target_id]
    return {pk: list(folders.values()) for pk, folders in found.items()}


@transaction.atomic
def move(message_ids: Iterable[int], *, target: Folder, source: Folder | None = None, user: Any = None) -> Moved:
    """Move messages of `target`'s mailbox: out of `source`, else out of all folders but Sent, Drafts and virtual ones."""
    rows = _locked(message_ids, target)
    here = places([message.pk for message in rows])
    changes: list[Change] = []
    for message in rows:
        for folder in here.get(message.pk, []):
            leaves = folder.pk == source.pk if source else folder.role not in (*VIRTUAL, *OWN, "trash")
            if leaves and folder.pk != target.pk:
                changes += _redirect(message, folder, target, ("move", user))
    return _keep(changes, rows)


@transaction.atomic
def delete(message_ids: Iterable[int], *, trash: Folder, user: Any = None) -> Moved:
    """Hide messages of `trash`'s mailbox and move every copy there; with labels one copy takes the others along."""
    rows = _locked(message_ids, trash)
    here = places([message.pk for message in rows])
    changes: list[Change] = []
    for message in rows:
        folders = [folder for folder in here.get(message.pk, []) if folder.pk != trash.pk]
        real = [folder for folder in folders if folder.role not in VIRTUAL]
        one_is_enough = any(folder.role == "all" for folder in folders)
        for folder in real[:1] if real and one_is_enough else real or folders[:1]:
            changes += _redirect(message, folder, trash, ("delete", user))
    hidden = {change.message_id for change in changes}
    Message.objects.filter(pk__in=hidden).update(trashed_at=timezone.now())
    return _keep(changes, rows)


def _locked(message_ids: Iterable[int], target: Folder) -> list[Message]:
    rows = Message.objects.select_for_update().filter(
        pk__in=list(message_ids), email_account=target.email_account_id, trashed_at__isnull=True
    )
    return list(rows.order_by("pk"))


def _redirect(message: Message, source: Folder, target: Folder, wish: tuple[str, Any]) -> list[Change]:
    """A row for this wish; one that waits and was not begun is replaced, and a way back to its start needs none."""
    kind, user = wish
    former = (
        Change.objects.select_for_update()
        .filter(message=message, target=source, source__isnull=False, done_at__isnull=True, begun_at__isnull=True)
        .order_by("-pk")
        .first()
    )
    start = source.pk
    if former is not None:
        start = former.source_id or start
        former.delete()
        if start == target.pk:
            return []
    return [
        Change(
            email_account_id=message.email_account_id,
            message=message,
            kind=kind,
            source_id=start,
            target=target,
            user=user,
        )
    ]


def _keep(changes: list[Change], messages: Sequence[Message]) -> Moved:
    Change.objects.bulk_create(changes)
    refresh(message.thread_id for message in messages)
    return Moved(tuple(change.pk for change in changes), tuple(sorted({one.email_account_id for one in changes})))


@transaction.atomic
def take_back(change_ids: Iterable[int], *, user: Any = None) -> Moved:
    """Undo moves and deletes: rows not begun go, for the others a row leads back; deleted messages are shown again."""
    rows = list(
        Change.objects.select_for_update(of=("self",))
        .filter(pk__in=list(change_ids), kind__in=("move", "delete"), failed_reason="")
        .select_related("message", "source", "target")
        .order_by("pk")
    )
    back: list[Change] = []
    for row in rows:
        if row.done_at is None and row.begun_at is None:
            row.delete()
        elif row.source is not None and row.target is not None:
            back += _redirect(row.message, row.target, row.source, ("move", user))
    hidden = [row.message_id for row in rows if row.kind == "delete"]
    Message.objects.filter(pk__in=hidden).update(trashed_at=None)
    return _keep(back, [row.message for row in rows])
