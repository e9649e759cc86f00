"""Two mends to pymap's Maildir: content leaves byte for byte with CR LF line ends, and COPY copies the content.

As delivered (0.36.7) it serves lone LF (RFC 5322 and 3501 want CR LF) and its COPY writes an empty message.
"""

from __future__ import annotations

import re
from typing import Any

import pymap.backend.maildir
from pymap.backend.maildir.mailbox import MailboxData, Maildir
from pymap.backend.maildir.uidlist import Record, UidList

_LINE_END = re.compile(rb"\r\n|\n")


class StoredMessage:
    """What pymap asks of a message: its bytes."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def __bytes__(self) -> bytes:
        return self._raw


class ExactMaildir(Maildir):
    """A Maildir that never parses what it serves."""

    def get_message(self, key: str) -> Any:
        """The message with CR LF line ends. Raises KeyError if it is gone."""
        return StoredMessage(_LINE_END.sub(b"\r\n", self.get_bytes(key)))


async def _copy(self: MailboxData, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
    """The copy has the content, flags and received time of the original; returns its UID, None if that is gone."""
    try:
        record, metadata = await self._get_maildir_msg(uid)
        whole = Maildir.get_message(self._maildir, record.key)
    except (KeyError, FileNotFoundError):
        return None
    whole.set_subdir("new" if recent else "cur")
    whole.set_date(metadata.get_date())
    async with destination.messages_lock.write_lock():
        key = destination._maildir.add(whole)
    async with UidList.with_write(destination._path) as uids:
        copied = Record(uids.next_uid, record.fields, f"{key}:{whole.get_info()}")
        uids.next_uid += 1
        uids.set(copied)
    return copied.uid


def mend_pymap() -> None:
    """Puts both mends in place, for this process."""
    pymap.backend.maildir.Maildir = ExactMaildir  # type: ignore[attr-defined]
    MailboxData.copy = _copy  # type: ignore[method-assign]
