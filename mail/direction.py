"""Direction of stored mail when a mailbox gets another address. Invariant: direction comes from own addresses alone."""

from __future__ import annotations

from accounts.models import EmailAccount
from mail.models import Message
from mail.threads import refresh

SLICE = 500  # messages changed in one go


def count_as_sent(email_account: EmailAccount, address_key: str, *, most: int = 20_000) -> int:
    """Mail of this mailbox that came from `address_key` (normalised) is its own; returns how many messages changed."""
    count = 0
    while count < most:
        rows = Message.objects.filter(email_account=email_account, from_address=address_key, is_outgoing=False)
        found = list(rows.values_list("pk", "thread_id")[:SLICE])
        if not found:
            break
        Message.objects.filter(pk__in=[pk for pk, _thread in found]).update(is_outgoing=True, is_read=True)
        refresh(thread for _pk, thread in found)
        count += len(found)
    return count
