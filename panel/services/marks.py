"""A person's marks on threads: read, processed. Invariant: only what the user may see is touched."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import AccountState, EmailAccount
from accounts.shares import visible_accounts
from mail.changes import set_processed, set_read
from mail.models import Thread
from mail.queries import visible_messages, visible_threads


@dataclass(frozen=True, slots=True)
class Marked:
    """A thread as it is after its marks changed, the mailboxes (ids) whose servers must be told: ring for them, and the
    messages (ids) that became another: an undo concerns these alone."""

    thread: Thread
    to_push: list[int]
    changed: tuple[int, ...]


@transaction.atomic
def mark_thread(
    *,
    user: Any,
    thread_id: int,
    is_read: bool | None = None,
    is_processed: bool | None = None,
    only: Collection[int] | None = None,
) -> Marked | None:
    """Mark all received messages of a thread; returns what became of it, None where `user` may not see it.

    Marking unread touches only the newest received message, as a person expects. `only` (ids) leaves the others as they
    are: what an undo takes back.
    """
    if not visible_threads(user).filter(pk=thread_id).exists():
        return None
    received = visible_messages(user).filter(thread_id=thread_id, is_outgoing=False, is_draft=False)
    if only is not None:
        received = received.filter(pk__in=list(only))
    to_push: list[int] = []
    changed: list[int] = []
    if is_read is not None:
        ids = list(received.order_by("-received_at", "-pk").values_list("pk", "is_read"))
        ids = ids if is_read or only is not None else ids[:1]
        changed = [pk for pk, was_read in ids if was_read != is_read]
        to_push = list(set_read(changed, is_read=is_read))
    if is_processed is not None:
        changed = set_processed(list(received.values_list("pk", flat=True)), user=user, is_processed=is_processed)
    thread = visible_threads(user).select_related("email_account").filter(pk=thread_id).first()
    return Marked(thread, to_push, tuple(changed)) if thread else None


@transaction.atomic
def request_sync(*, user: Any, email_account_id: int | None = None) -> list[EmailAccount]:
    """Ask for new mail now, of one mailbox or of all that `user` may see; returns those to ring for."""
    accounts = visible_accounts(user).filter(state=AccountState.ACTIVE)
    if email_account_id is not None:
        accounts = accounts.filter(pk=email_account_id)
    asked = list(accounts)
    EmailAccount.objects.filter(pk__in=[one.pk for one in asked]).update(sync_requested_at=timezone.now())
    return asked
