"""The contracts that every driver keeps; `tests/drivers/contract.py` checks them, whoever writes the driver.

A driver is one open mailbox (or sender): a context manager that connects on entry and raises only `drivers.errors`.
It is used by one thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Self

from drivers.types import (
    NOTHING,
    Capabilities,
    CheckReport,
    Cursor,
    Envelope,
    FolderChanges,
    Glance,
    RemoteCopy,
    RemoteFolder,
    RemoteMessage,
    SendReceipt,
)


class Connection(ABC):
    """Opens on `__enter__`, closes on `__exit__`, never raises while closing."""

    @abstractmethod
    def open(self) -> None:
        """Connect, secure, sign in. Raises ServerUnreachable, CertificateInvalid, AuthenticationFailed, ServerBusy."""

    @abstractmethod
    def close(self) -> None:
        """Say goodbye if possible; safe to call twice."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MailboxDriver(Connection):
    """Reads and changes one mailbox."""

    capabilities: Capabilities
    whole_below = 256 * 1024  # bytes: of a larger message its texts alone cost less than all of it (measured)
    is_reused = False  # opened for an earlier run: the first round trip may show that the line has died meanwhile
    listed_at: float | None = None  # time.monotonic() when the folders were last listed over this connection

    @abstractmethod
    def check(self) -> CheckReport:
        """Connect step by step for the wizard and the doctor; opens and closes by itself."""

    @abstractmethod
    def list_folders(self) -> list[RemoteFolder]:
        """All folders, with role, total (messages) and epoch where the server tells them cheaply."""

    def is_usable(self) -> bool:
        """Whether this idle connection may serve another run, as far as can be told without a round trip."""
        return False

    def glance(self, cursors: Mapping[str, Cursor], *, since: date | None) -> Glance:
        """Where nothing happened since `cursors` (by folder id), in as few round trips as the protocol allows.

        A driver that cannot tell says so by an empty Glance. Raises ServerUnreachable, ServerBusy.
        """
        return Glance()

    @abstractmethod
    def epoch(self, folder_id: str) -> int:
        """The epoch of the folder as this connection has it open: keys are only valid in it. Raises FolderGone."""

    @abstractmethod
    def fetch_changes(self, folder_id: str, cursor: Cursor | None, *, since: date | None, limit: int) -> FolderChanges:
        """What changed since `cursor` (None: the first look), for copies received on or after `since` (INTERNALDATE).

        Raises CursorInvalid when the epoch changed, FolderGone when the folder is away.
        """

    @abstractmethod
    def list_ids(self, folder_id: str, *, since: date | None) -> Iterator[RemoteCopy]:
        """Full enumeration (key, uid, received_at where cheap), for reconciliation and for finding what is gone."""

    @abstractmethod
    def fetch_messages(
        self, folder_id: str, keys: Sequence[str], *, whole_below: int, known: Mapping[str, RemoteCopy] = NOTHING
    ) -> Iterator[RemoteMessage]:
        """Content of copies in the order given; keys that are gone are left out. `whole_below` in bytes.

        `known`: what the last enumeration told of some of them (by key); a driver need not ask for that again.
        """

    @abstractmethod
    def fetch_headers(self, folder_id: str, keys: Sequence[str]) -> Iterator[RemoteMessage]:
        """Only what tells messages apart: `raw` is a header block with Message-ID, Date, From, To and Subject.

        For adoption: a moved or renumbered message is recognised without its body. Keys that are gone are left out.
        """

    @abstractmethod
    def fetch_part(self, folder_id: str, key: str, part: str) -> Iterator[bytes]:
        """Decoded bytes of one part in chunks. Raises MessageGone."""

    @abstractmethod
    def fetch_raw(self, folder_id: str, key: str) -> Iterator[bytes]:
        """The whole RFC 5322 source in chunks. Raises MessageGone."""

    @abstractmethod
    def find(self, folder_id: str, message_id: str) -> list[RemoteCopy]:
        """Copies whose Message-ID header is exactly this."""

    @abstractmethod
    def search(self, folder_id: str, *, sender: str = "", subject: str = "", limit: int = 50) -> list[RemoteMessage]:
        """Header blocks (as `fetch_headers`) of the newest copies whose From and Subject contain these words."""

    @abstractmethod
    def set_flags(
        self, folder_id: str, keys: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove flags; keys that are gone are ignored."""

    @abstractmethod
    def move(self, folder_id: str, keys: Sequence[str], target_id: str) -> dict[str, str]:
        """Move copies; returns old key -> new key where the server tells it (UIDPLUS)."""

    @abstractmethod
    def delete(self, folder_id: str, keys: Sequence[str]) -> None:
        """Delete for good (only these: UID EXPUNGE where available, else as safe as the server allows)."""

    @abstractmethod
    def append(self, folder_id: str, raw: bytes, *, flags: Sequence[str] = ()) -> str | None:
        """Store a message; returns its key where the server tells it (APPENDUID)."""

    @abstractmethod
    def replace_draft(self, folder_id: str, old_key: str | None, raw: bytes) -> str | None:
        """Append the new version, then delete the old one; returns the new key where known."""


class SendingDriver(Connection):
    """Hands messages to a server."""

    @abstractmethod
    def check(self) -> CheckReport:
        """TLS and AUTH, no message."""

    @abstractmethod
    def send(self, envelope: Envelope, raw: bytes) -> SendReceipt:
        """One message. Raises SendRejected (refused), SendUncertain (left, no answer), ServerBusy, ServerUnreachable."""


class PushChannel(Connection):
    """A standing connection that rings when the inbox changes; one selector holds hundreds of them.

    `open` signs in and may block; from then on nothing blocks, and little memory is kept.
    """

    due_at: float  # time.monotonic() at which `renew` is to be called

    @abstractmethod
    def fileno(self) -> int:
        """The socket to select on. Raises ServerUnreachable when it is closed."""

    @abstractmethod
    def on_readable(self) -> bool:
        """Read what came; True if the mailbox changed. Raises ServerUnreachable, PushUnavailable, ProtocolError."""

    @abstractmethod
    def renew(self) -> None:
        """Keep the line, whenever `due_at` has come. Raises ServerUnreachable when the last renewal had no answer."""
