"""What a person may do with a thread, for its menu; threads as rows. Invariant: one query per page for the rights."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context
from django.utils.safestring import SafeString

from mail.models import Thread
from mail.moves import folder_for
from panel.context import movable_of
from panel.letters import Fold, Letter
from panel.lists import AccountLine, folder_label
from panel.row_html import accounts_html, rows_html, shut_html
from panel.rows import Row
from panel.services.moves import FOLDERS_OFFERED, targets

register = template.Library()


@register.simple_tag(takes_context=True)
def may_move(context: Context, thread: Thread) -> bool:
    """Whether this person may move and delete this thread's mail."""
    request = context.get("request")
    return request is not None and thread.email_account_id in movable_of(request)


@register.simple_tag
def thread_rows(rows: list[Row], current: int | None = None) -> SafeString:
    """Threads as `<li>`; that of the thread `current` is open beside the list."""
    return rows_html(rows, current=current or None)


@register.simple_tag
def swapped_row(row: Row, current: int | None = None) -> SafeString:
    """A thread's row that takes the place of its like on the page."""
    return rows_html([row], current=current or None, swap=True)


@register.simple_tag
def shut_messages(item: Letter | Fold) -> SafeString:
    """A shut message, or those of a fold."""
    return shut_html(item.letters if isinstance(item, Fold) else [item])


@register.simple_tag
def menu_of_accounts(lines: list[AccountLine]) -> SafeString:
    """Mailboxes to choose from; made here because there may be hundreds on each page."""
    return accounts_html(lines)


@register.simple_tag
def move_targets(thread: Thread) -> dict[str, Any]:
    """`archive`, `trash` (whether the mailbox has them) and `folders` as (id, label)."""
    return {
        "archive": folder_for(thread.email_account_id, "archive") is not None,
        "trash": folder_for(thread.email_account_id, "trash") is not None,
        "folders": [(one.pk, folder_label(one)) for one in targets(thread)[:FOLDERS_OFFERED]],
    }
