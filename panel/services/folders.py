"""A mailbox's folder list fetched now, for somebody who waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.connections import mailbox
from accounts.models import EmailAccount
from mail.folders import follow_by_name, merge_listing


def refresh(email_account: EmailAccount) -> int:
    """Ask the server for its folders and keep them; returns how many. Raises drivers.errors."""
    with mailbox(email_account, purpose="click") as driver:
        listed = driver.list_folders()
    return len(merge_listing(email_account, listed))


def follow_only(email_account: EmailAccount, names: Sequence[str]) -> list[str]:
    """Fetch the folders and follow only those named; returns names that no folder has. Raises drivers.errors."""
    refresh(email_account)
    return follow_by_name(email_account, names)
