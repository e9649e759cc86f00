"""Sources that the quarantine kept: read again without the server, and not lost when the server deletes them.

Invariant: a kept source goes only once its message is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from django.core.files.storage import storages
from django.db.models import QuerySet

from drivers.types import RemoteCopy, RemoteMessage
from intake.quarantine import RAW_KEPT
from intake.take_in import Fetched, Mailbox, take_in
from mail.models import Copy, CopyState
from mail.types import Claimed

log = structlog.get_logger(__name__)


def take_kept(mailbox: Mailbox, copies: Sequence[Claimed]) -> list[Claimed]:
    """Take in those whose whole source is kept here; returns the others, to be fetched."""
    rest: list[Claimed] = []
    for copy in copies:
        raw = _read(copy)
        if raw is None:
            rest.append(copy)
            continue
        remote = RemoteCopy(copy.remote_key, copy.uid, copy.received_at, copy.size, frozenset(copy.flags.split()))
        take_in(mailbox, [Fetched(copy, RemoteMessage(remote, raw))])
        _forget_if_stored(copy)
    return rest


def keep_unread(copies: QuerySet[Copy]) -> int:
    """Copies that go with the server's but whose kept source nobody could read yet: out of scope, still listed."""
    unread = copies.filter(state=CopyState.FAILED).exclude(raw="")
    return unread.update(is_out_of_scope=True, missing_since=None)


def _read(copy: Claimed) -> bytes | None:
    if not copy.raw:
        return None
    try:
        with storages["mail"].open(copy.raw) as source:
            raw = source.read(RAW_KEPT + 1)
    except OSError as error:
        log.info("source_not_read", copy=copy.pk, error=type(error).__name__)
        return None
    return raw if 0 < len(raw) < RAW_KEPT else None


def _forget_if_stored(copy: Claimed) -> None:
    if Copy.objects.filter(pk=copy.pk, state=CopyState.STORED).update(raw=""):
        storages["mail"].delete(copy.raw)
