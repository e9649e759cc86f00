"""Files of outgoing mail whose rows are gone (an erased mailbox, a worker that ended halfway): deleted after an hour.

Invariant: a file is deleted only when its message no longer exists; its name begins with the message's id.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from django.core.files.storage import storages
from django.utils import timezone

from outbox.models import OutgoingMessage

PLACE = "outgoing"
AGE = timedelta(hours=1)


def forget_leftovers() -> int:
    """Delete what nobody owns any more; returns how many files went. Bounded by what drafts and queued mail keep."""
    storage, count = storages["mail"], 0
    try:
        folders, _files = storage.listdir(PLACE)
    except FileNotFoundError:
        return 0
    for folder in folders:
        _folders, names = storage.listdir(f"{PLACE}/{folder}")
        owners = {name: int(name.partition("-")[0]) for name in names if name.partition("-")[0].isdigit()}
        living = set(OutgoingMessage.objects.filter(pk__in=set(owners.values())).values_list("pk", flat=True))
        for name in (name for name, owner in owners.items() if owner not in living):
            path = f"{PLACE}/{folder}/{name}"
            with contextlib.suppress(OSError):
                if timezone.now() - storage.get_modified_time(path) > AGE:
                    storage.delete(path)
                    count += 1
    return count
