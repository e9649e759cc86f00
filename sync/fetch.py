"""Pending rows into messages: claim the newest, fetch their content folder by folder, take them in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from django.conf import settings

from drivers.base import MailboxDriver
from drivers.errors import CursorInvalid, DriverError, FolderGone, ProtocolError
from drivers.types import RemoteCopy, RemoteMessage
from intake.quarantine import park
from intake.take_in import Fetched, Mailbox, recognise
from mail.adoption import is_something_away
from mail.models import Folder
from mail.types import Claimed
from sync import claims, kept
from sync.gathering import Gathered

SLICE = 1000  # copies claimed at once
BATCH_COUNT = 100  # messages parsed at once
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 1.0  # a slow server: what came is shown meanwhile


def fetch_slice(driver: MailboxDriver, gathered: Gathered, holder: str, limit: int = SLICE) -> int:
    """Claim and fetch up to `limit` copies, newest first, into `gathered`, which stores what it holds in its own time;
    returns how many were claimed. Raises drivers.errors."""
    copies = claims.claim(gathered.mailbox.email_account.pk, holder, limit)
    folders = Folder.objects.in_bulk({copy.folder_id for copy in copies})
    for folder_id, group in groupby(sorted(copies, key=_newest_folder_first(copies)), key=lambda copy: copy.folder_id):
        _fetch_folder(driver, gathered, folders[folder_id], list(group))
    return len(copies)


def _newest_folder_first(copies: Sequence[Claimed]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a key function
    """Copies stay newest first inside a folder; folders come in the order of their newest copy."""
    rank: dict[int, int] = {}
    place = {copy.id: number for number, copy in enumerate(copies)}
    for copy in copies:
        rank.setdefault(copy.folder_id, len(rank))
    return lambda copy: (rank[copy.folder_id], place[copy.id])


def _fetch_folder(driver: MailboxDriver, gathered: Gathered, folder: Folder, copies: Sequence[Claimed]) -> None:
    copies = kept.take_kept(gathered.mailbox, copies)
    stale = [copy for copy in copies if copy.epoch != folder.epoch]
    current = {copy.remote_key: copy for copy in copies if copy.epoch == folder.epoch}
    if stale:
        claims.not_brought(stale, "The folder was numbered anew")
    try:
        _recognise(gathered.mailbox, driver, folder, current)
        _take(driver, gathered, folder, current)
    except FolderGone:
        claims.not_brought(list(current.values()), "The folder is no longer on the server")
        return
    except CursorInvalid:
        claims.not_brought(list(current.values()), "The folder was numbered anew")
        return
    except ProtocolError:
        _one_by_one(driver, gathered, folder, current)
    claims.not_brought(list(current.values()), "The server lists this email but does not give it out")


def _recognise(mailbox: Mailbox, driver: MailboxDriver, folder: Folder, current: dict[str, Claimed]) -> None:
    """While messages are missing elsewhere (a move, a new epoch) new copies are first looked at by their headers:
    what is known joins its message, and its body is not fetched again."""
    if not current or not is_something_away(mailbox.email_account.pk):
        return
    _check_epoch(driver, folder)
    heads = [Fetched(current[one.copy.key], one) for one in driver.fetch_headers(folder.remote_id, list(current))]
    known = recognise(mailbox, heads)
    for key in [key for key, copy in current.items() if copy.id in known]:
        del current[key]


def _check_epoch(driver: MailboxDriver, folder: Folder) -> None:
    """Keys mean nothing in another epoch. Raises CursorInvalid when the folder was numbered anew since its enumeration."""
    if driver.epoch(folder.remote_id) != folder.epoch:
        raise CursorInvalid("the folder was numbered anew")


def _take(driver: MailboxDriver, gathered: Gathered, folder: Folder, current: dict[str, Claimed]) -> None:
    """Fetch these copies (by key); what came leaves `current`. Raises drivers.errors."""
    if not current:
        return
    _check_epoch(driver, folder)
    remote = driver.fetch_messages(
        folder.remote_id,
        list(current),
        whole_below=settings.MAIL_WHOLE_BELOW or driver.whole_below,
        known={key: _enumerated(copy) for key, copy in current.items() if copy.size is not None},
    )
    for batch in _batches(remote):
        gathered.add([Fetched(current.pop(one.copy.key), one) for one in batch if one.copy.key in current])


def _enumerated(copy: Claimed) -> RemoteCopy:
    """What the ledger has of it. Flags that changed on the server since come with the next changes of the folder."""
    flags = frozenset(copy.flags.split())
    return RemoteCopy(copy.remote_key, copy.uid, copy.received_at, copy.size, flags, copy.object_id)


def _one_by_one(driver: MailboxDriver, gathered: Gathered, folder: Folder, current: dict[str, Claimed]) -> None:
    """One message of the slice cannot be had from the server: park it, go on with the others."""
    for key in list(current):
        try:
            _take(driver, gathered, folder, single := {key: current[key]})
        except ProtocolError as error:
            park(current.pop(key), b"", f"The server could not give it out: {error}")
        else:
            if not single:
                current.pop(key)


def _batches(messages: Iterable[RemoteMessage]) -> Iterator[list[RemoteMessage]]:
    """Messages in groups that are parsed at once: bounded in number and in bytes.

    What came before the server broke is given first, then the error is raised: nothing that was fetched is thrown away.
    """
    batch: list[RemoteMessage] = []
    size = 0
    begun = time.monotonic()
    broken: DriverError | None = None
    source = iter(messages)
    while broken is None:
        try:
            message = next(source)
        except StopIteration:
            break
        except DriverError as error:
            broken = error
            continue
        batch.append(message)
        size += len(message.raw)
        if len(batch) >= BATCH_COUNT or size >= BATCH_BYTES or time.monotonic() - begun > BATCH_SECONDS:
            yield batch
            batch, size, begun = [], 0, time.monotonic()
    if batch:
        yield batch
    if broken is not None:
        raise broken
