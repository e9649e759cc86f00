"""Erasing a removed mailbox from here, in slices. Invariant: only an email account in state *erasing* is touched, and
its row goes last, so that a killed erasure goes on where it stopped."""

from __future__ import annotations

import contextlib
import time

from django.core.files.storage import storages
from django.db import transaction

from accounts.models import AccountState, EmailAccount
from mail.models import Copy, Message, Part, Thread

SLICE = 500  # messages


def accounts_to_erase() -> list[int]:
    """Ids of email accounts whose erasure has not ended; the tick rings `mail.tasks.erase_email_account` for each."""
    return list(EmailAccount.objects.filter(state=AccountState.ERASING).values_list("pk", flat=True))


def erase_mail(email_account_id: int, *, seconds: float = 30.0) -> bool:
    """Erase for at most about `seconds`; returns True when nothing of the email account is left."""
    email_account = EmailAccount.objects.filter(pk=email_account_id, state=AccountState.ERASING).first()
    if email_account is None:
        return True
    deadline = time.monotonic() + seconds
    while _erase_slice(email_account):
        if time.monotonic() > deadline:
            return False
    with transaction.atomic():
        Thread.objects.filter(email_account=email_account).delete()
        email_account.delete()
    return True


def _erase_slice(email_account: EmailAccount) -> bool:
    ids = list(Message.objects.filter(email_account=email_account).values_list("pk", flat=True)[:SLICE])
    copies = list(Copy.objects.filter(email_account=email_account).values_list("pk", "raw")[: SLICE * 4])
    if not ids and not copies:
        return False
    files = list(Part.objects.filter(message__in=ids).exclude(stored="").values_list("stored", flat=True))
    files += [raw for _pk, raw in copies if raw]
    with transaction.atomic():
        Copy.objects.filter(pk__in=[pk for pk, _raw in copies]).delete()
        Message.objects.filter(pk__in=ids).delete()
    for name in files:
        with contextlib.suppress(OSError):
            storages["mail"].delete(name)
    return True
