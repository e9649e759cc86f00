"""What a person may do with a thread, for its menu and its row. Invariant: one query per page for the rights."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context

from mail.models import Thread
from mail.moves import folder_for
from panel.lists import folder_label
from panel.services.moves import FOLDERS_OFFERED, movable_accounts, targets

register = template.Library()


@register.simple_tag(takes_context=True)
def may_move(context: Context, thread: Thread) -> bool:
    """Whether this person may move and delete this thread's mail."""
    request = context.get("request")
    if request is None:
        return False
    if not hasattr(request, "movable_accounts"):
        request.movable_accounts = movable_accounts(request.user)
    return thread.email_account_id in request.movable_accounts


@register.simple_tag
def move_targets(thread: Thread) -> dict[str, Any]:
    """`archive`, `trash` (whether the mailbox has them) and `folders` as (id, label)."""
    return {
        "archive": folder_for(thread.email_account_id, "archive") is not None,
        "trash": folder_for(thread.email_account_id, "trash") is not None,
        "folders": [(one.pk, folder_label(one)) for one in targets(thread)[:FOLDERS_OFFERED]],
    }
