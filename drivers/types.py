"""What passes between a driver and the floors above it: frozen, plain, protocol-free.

Every string in here may come from a hostile server. Sizes are bytes, times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Cursor = dict[str, Any]
"""A driver's own opaque JSON bookmark of a folder's enumeration."""


class Security(StrEnum):
    """How the connection is protected; stored and never downgraded."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"


class AuthKind(StrEnum):
    """How one signs in."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind
    OAUTH2 = "oauth2"


class FolderRole(StrEnum):
    """Special use of a folder (RFC 6154, RFC 8457); NONE for an ordinary one."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    ALL = "all"
    FLAGGED = "flagged"
    IMPORTANT = "important"
    NONE = ""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where to connect and how. `ca_bundle` is PEM text for a private authority ("" for the system's).

    `private_networks`: CIDRs that may be reached besides public addresses (settings.PRIVATE_NETWORKS).
    `timeout`: seconds for each network step. Exchange only: `url` of the service, `mailbox` (the address of the mailbox to
    open, which may be another one than that of who signs in), `impersonate` (a service account acts as its owner).
    """

    host: str
    port: int
    security: Security
    ca_bundle: str = ""
    private_networks: tuple[str, ...] = ()
    timeout: float = 30.0
    url: str = ""
    mailbox: str = ""
    impersonate: bool = False


@dataclass(frozen=True, slots=True)
class Login:
    """Who signs in; the secret is a password or an OAuth access token and never appears in repr."""

    user_name: str
    secret: str = field(repr=False)
    kind: AuthKind = AuthKind.PASSWORD


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this server can do, as far as the floors above care."""

    push: bool = False  # IDLE, streaming notifications
    changes: bool = False  # CONDSTORE or the like: flag changes are found without reading all flags
    move: bool = False
    append_uid: bool = False
    special_use: bool = False
    labels: bool = False  # one message may be in several folders under a stable id (X-GM-EXT-1)
    server_threads: bool = False
    saves_sent_copy: bool = False  # the server files the sent message itself
    object_ids: bool = False  # EMAILID (RFC 8474)
    names: tuple[str, ...] = ()  # as announced, for the operator


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One visible step of a check: `kind` is connect, secure, sign_in, folders; `duration` in seconds."""

    kind: str
    ok: bool
    duration: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All steps done (all ok, else the driver raised); `folder_count` is None for a sending server."""

    steps: tuple[CheckStep, ...]
    capabilities: Capabilities = Capabilities()
    folder_count: int | None = None
    size_limit: int | None = None  # SMTP SIZE, bytes


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder as the server lists it. `id` is what the driver takes back (decoded name on IMAP);
    `path` the segments of its name; `epoch` UIDVALIDITY, 0 where unknown; `total` messages or None."""

    id: str
    path: tuple[str, ...]
    role: FolderRole = FolderRole.NONE
    selectable: bool = True
    virtual: bool = False  # shows messages that lie elsewhere (All Mail, Flagged, Important)
    subscribed: bool = True
    total: int | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class RemoteCopy:
    """One message in one folder. `key` is the driver's name for it (the UID as text on IMAP).

    `object_id` identifies the content across folders where the server can (X-GM-MSGID, EMAILID), else "".
    `flags` are lower-case IMAP keywords: \\seen, \\answered, \\flagged, \\draft, $forwarded ...
    `labels`: names of labels (Gmail). `modseq` 0 where unknown.
    """

    key: str
    uid: int | None = None
    received_at: datetime | None = None  # INTERNALDATE
    size: int | None = None
    flags: frozenset[str] = frozenset()
    object_id: str = ""
    thread_id: str = ""
    labels: tuple[str, ...] = ()
    modseq: int = 0
    is_mail: bool = True  # False: an item that is no mail (Exchange: meeting request, report, contact); never fetched
    is_report: bool = False  # no mail, but a delivery failure: fetched, it is mail for whoever sent what it returns


NOTHING: Mapping[str, RemoteCopy] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """What happened in a folder since the cursor.

    `added`: new copies, newest first, at most `limit` (has_more says whether older ones remain; call again with
    `cursor`). `flags`: copies whose flags may have changed (key, flags, modseq). `removed`: keys gone for certain
    (VANISHED). `present`: all keys in scope if the driver enumerated them in this call, else None - what is stored
    and not in it is *perhaps* gone. `total`: messages in scope on the server, None if not counted in this call.
    """

    epoch: int
    added: tuple[RemoteCopy, ...]
    flags: tuple[RemoteCopy, ...]
    removed: tuple[str, ...]
    cursor: Cursor
    has_more: bool = False
    present: frozenset[str] | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at a whole mailbox told. `quiet`: ids of the folders in which nothing happened since their cursors;
    `folders`: all folders (as `list_folders` gives them), None where they were not part of the look."""

    quiet: frozenset[str] = frozenset()
    folders: tuple[RemoteFolder, ...] | None = None


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A body part as the server describes it (BODYSTRUCTURE): `id` is the IMAP section ("1.2"), size in bytes encoded."""

    id: str
    content_type: str
    size: int
    file_name: str = ""
    content_id: str = ""
    disposition: str = ""  # attachment, inline or ""
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """Content of a copy as RFC 5322 bytes.

    Whole below a size; above it a valid message with headers and text parts where attachment bodies are left out
    (`left_out` lists them with their sections) and `is_complete` is False.
    """

    copy: RemoteCopy
    raw: bytes
    is_complete: bool = True
    left_out: tuple[PartInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """SMTP envelope; `size` in bytes if known."""

    sender: str
    recipients: tuple[str, ...]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """The server's answer for one recipient."""

    address: str
    accepted: bool
    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """The message was accepted for at least one recipient."""

    results: tuple[RecipientResult, ...]
    server_said: str = ""
