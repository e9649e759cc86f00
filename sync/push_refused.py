"""A change that the server refuses for good: what was shown here goes back, and the person is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import EmailAccount, User
from drivers.errors import DriverError
from mail.models import Change, Copy, CopyState, Message
from mail.threads import refresh
from notifications.models import Kind
from notifications.services import notify


@transaction.atomic
def refuse(changes: Sequence[Change], error: DriverError) -> None:
    """End these changes. Moves go back by themselves (their rows no longer wait); deleted messages are shown again."""
    if not changes:
        return
    reason = error.server_said or str(error) or type(error).__name__
    Change.objects.filter(pk__in=[change.pk for change in changes]).update(
        done_at=timezone.now(), failed_reason=reason[:300], attempts=F("attempts") + 1
    )
    ids = [change.message_id for change in changes]
    if any(change.kind == "delete" for change in changes):
        Message.objects.filter(pk__in=ids).update(trashed_at=None)
    if any(change.kind == "flags" for change in changes):
        _as_on_server(ids)
    refresh(Message.objects.filter(pk__in=ids).values_list("thread_id", flat=True))
    _tell(changes, reason)


def _as_on_server(message_ids: Sequence[int]) -> None:
    """The flags that the server has, unless another change of them waits."""
    still = Change.objects.filter(message__in=message_ids, done_at__isnull=True, kind="flags")
    waiting = set(still.values_list("message_id", flat=True))
    for copy in Copy.objects.filter(message__in=message_ids, state=CopyState.STORED).select_related("message"):
        if copy.message is None or copy.message_id in waiting:
            continue
        flags = copy.flags.split()
        Message.objects.filter(pk=copy.message.pk).update(
            is_read="\\seen" in flags or copy.message.is_outgoing, is_flagged="\\flagged" in flags
        )


def _tell(changes: Sequence[Change], reason: str) -> None:
    """Each person once: how many, of which kind, an example."""
    account = EmailAccount.objects.select_related("owner").get(pk=changes[0].email_account_id)
    users = User.objects.in_bulk({change.user_id for change in changes if change.user_id})
    per_user: dict[User, list[Change]] = defaultdict(list)
    for change in changes:
        per_user[users.get(change.user_id or 0, account.owner)].append(change)
    for user, theirs in per_user.items():
        notify(
            user=user,
            kind=Kind.CHANGE_REFUSED,
            key=f"change:{account.pk}:{theirs[0].kind}",
            email_account=account,
            data={
                "address": account.address,
                "change": theirs[0].kind,
                "count": len(theirs),
                "subject": theirs[0].message.subject[:200],
                "said": reason[:300],
            },
        )
