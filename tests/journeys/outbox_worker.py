"""What the journey of killed workers runs in processes of its own: `write N` queues mails, `work` sends what is due.

Run with the environment of an installation. `work` does what tick and worker do, in one process with threads, until it
is killed or nothing is due (exit 0).
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_mail.settings")

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Q  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import EmailAccount  # noqa: E402
from outbox import delivery, schedule, services  # noqa: E402
from outbox.models import OutgoingMessage  # noqa: E402
from outbox.types import DraftFields  # noqa: E402


def write(count: int) -> None:
    """Queue that many mails, due now."""
    settings.SEND_PER_HOUR_USER = settings.SEND_PER_HOUR_ACCOUNT = 10**6
    account = EmailAccount.objects.get()
    for number in range(count):
        draft = services.start_draft(user=account.owner, email_account=account)
        fields = DraftFields(
            to=(("", f"person{number}@customer.example"),), subject=f"Mail {number}", html=f"<p>{number}</p>"
        )
        services.save_draft(user=account.owner, draft=draft, version=1, fields=fields)
        services.queue(user=account.owner, draft=draft, confirmed=True)
    now = timezone.now()
    OutgoingMessage.objects.update(due_at=now, send_at=now)


def work(threads: int = 3) -> None:
    """Send until nothing is due any more."""
    schedule.MOST = 20
    (settings.DATA_DIR / "ready").touch()
    with ThreadPoolExecutor(threads) as pool:
        while True:
            rung: list[int] = []
            schedule.ring_due(rung.append)
            list(pool.map(advance, rung))
            if (
                not rung
                and not OutgoingMessage.objects.filter(
                    Q(due_at__isnull=False) | Q(server_due_at__isnull=False)
                ).exists()
            ):
                return
            if not rung:
                time.sleep(0.2)


def advance(outgoing_id: int) -> None:
    """As the task does, with a connection of its own."""
    try:
        delivery.advance(outgoing_id)
    finally:
        connection.close()


if __name__ == "__main__":
    write(int(sys.argv[2])) if sys.argv[1] == "write" else work()
