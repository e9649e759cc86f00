"""Reports that a server keeps as items of their own (Exchange makes them of delivery failures): mail for us, or no mail.

Invariant: a report is taken in only where it returns a mail that left from this mailbox; any other is *filtered: not a
mail*, as the server itself has it.
"""

from __future__ import annotations

from accounts.models import EmailAccount
from drivers.types import RemoteMessage
from mail.bounces import read_report
from mail.hashes import id_hash
from mail.models import Copy, CopyState, Message
from mail.types import Claimed

NOT_A_MAIL = "not a mail"  # the reason in the ledger, as for items that are never fetched


def is_no_mail(email_account: EmailAccount, remote: RemoteMessage) -> bool:
    """Whether this is a report about a mail that did not leave from here."""
    if not remote.copy.is_report:
        return False
    report = read_report(remote.raw)
    if report is None or not report.failures and not report.original_ids:
        return True
    hashes = [id_hash(one) for one in report.original_ids[:20]]
    ours = Message.objects.filter(email_account=email_account, message_id_hash__in=hashes, is_outgoing=True)
    return not ours.exists()


def filter_out(copy: Copy | Claimed) -> None:
    """Settle the copy as no mail."""
    Copy.objects.filter(pk=copy.pk, state=CopyState.PENDING).update(
        state=CopyState.FILTERED, reason=NOT_A_MAIL, claimed_by="", claimed_until=None
    )
