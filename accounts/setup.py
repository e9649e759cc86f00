"""The wizard's states, pure: which page follows which, which servers were chosen, who signs in, how far back.

Invariant: nothing here reads or writes anything, and no secret passes through; a server's security mode is kept as
chosen and never lowered.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where a run of the wizard stands."""

    ADDRESS = "address"
    SERVICE = "service"  # choose who runs the mail
    SERVER = "server"  # type in the servers
    PASSWORD = "password"  # noqa: S105 - the name of a page
    CHECKING = "checking"
    FAILED = "failed"
    DONE = "done"


class CheckKind(StrEnum):
    """The visible steps of the live check."""

    RECEIVE = "receive"
    SEND = "send"
    FOLDERS = "folders"


class CheckState(StrEnum):
    """waiting → running → ok | failed."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"


RECEIVING = ("imap", "ews")
SENDING = ("smtp", "ews")

BACK = {
    Stage.SERVICE: Stage.ADDRESS,
    Stage.SERVER: Stage.SERVICE,
    Stage.PASSWORD: Stage.ADDRESS,
    Stage.CHECKING: Stage.PASSWORD,
    Stage.FAILED: Stage.PASSWORD,
}


def back_from(stage: Stage, *, is_chosen_by_hand: bool = False, is_again: bool = False) -> Stage | None:
    """The page that Back leads to; None where there is none (signing in again starts at the password, done is done)."""
    if is_again and stage == Stage.PASSWORD:
        return None
    if stage == Stage.PASSWORD and is_chosen_by_hand:
        return Stage.SERVICE
    return BACK.get(stage)


@dataclass(frozen=True, slots=True)
class ChosenServer:
    """A server of this run of the wizard: `protocol` imap, smtp or ews; `security` ssl, starttls or none;
    `login_format` as in providers.models.LoginFormat; `ca_bundle` PEM text of a private authority or "";
    `impersonates`: the user name is a service account that acts as the mailbox's owner (Exchange)."""

    protocol: str
    host: str = ""
    port: int = 0
    security: str = "ssl"
    url: str = ""
    login_format: str = "use_email_address"
    ca_bundle: str = ""
    impersonates: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What `MailboxSetup.servers` keeps."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> ChosenServer:
        """The server that `as_dict` wrote; unknown fields are ignored."""
        return cls(**{name: kept[name] for name in cls.__dataclass_fields__ if name in kept})

    @property
    def receives(self) -> bool:
        """Whether mail is read from it."""
        return self.protocol in RECEIVING

    @property
    def sends(self) -> bool:
        """Whether mail is handed to it; Exchange does both."""
        return self.protocol in SENDING


def chosen(kept: list[dict[str, Any]]) -> tuple[ChosenServer, ...]:
    """The servers of a set-up row, the receiving one first."""
    servers = [ChosenServer.from_dict(item) for item in kept]
    return tuple(sorted(servers, key=lambda server: not server.receives))


def user_name_for(server: ChosenServer, address: str, typed: str = "") -> str:
    """The user name for `server`. A name typed by hand counts where the format is manual, or wherever one was typed
    for a server whose name is the whole address ("My user name is not my address")."""
    if server.login_format == "use_mailbox_name":
        return address.rpartition("@")[0]
    return typed or address


def needs_user_name(servers: tuple[ChosenServer, ...]) -> bool:
    """Whether the person must type a user name."""
    return any(server.login_format == "manual_entry" for server in servers)


def checks_for(servers: tuple[ChosenServer, ...]) -> tuple[CheckKind, ...]:
    """The steps to show for these servers, in order."""
    kinds: list[CheckKind] = []
    if any(server.receives for server in servers):
        kinds.append(CheckKind.RECEIVE)
    if any(server.sends for server in servers):
        kinds.append(CheckKind.SEND)
    if CheckKind.RECEIVE in kinds:
        kinds.append(CheckKind.FOLDERS)
    return tuple(kinds)


def outcome(states: dict[str, str]) -> Stage:
    """Where the run stands given check kind → state: checking while one is open, done when all are ok, else failed."""
    if not states or any(state in (CheckState.WAITING, CheckState.RUNNING) for state in states.values()):
        return Stage.CHECKING
    return Stage.DONE if all(state == CheckState.OK for state in states.values()) else Stage.FAILED


def may_receive_only(states: dict[str, str]) -> bool:
    """Whether only sending failed, so that one can go on without it."""
    failed = {kind for kind, state in states.items() if state == CheckState.FAILED}
    return failed == {CheckKind.SEND} and states.get(CheckKind.RECEIVE) == CheckState.OK


_DAYS = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def since_for(period: str, today: date) -> date | None:
    """The first day whose mail is downloaded; None for everything. Fixed on the day the period is chosen."""
    days = _DAYS.get(period)
    return None if days is None else today - timedelta(days=days)
