"""Which driver speaks which protocol: the one visible list. Adding a protocol is a folder and a line here."""

from __future__ import annotations

from collections.abc import Callable

from drivers.base import MailboxDriver, PushChannel, SendingDriver
from drivers.ews.driver import EwsDriver
from drivers.ews.push import EwsPushChannel
from drivers.ews.sending import EwsSender
from drivers.imap.driver import ImapDriver
from drivers.imap.push import ImapPushChannel
from drivers.smtp.driver import SmtpDriver
from drivers.types import Login, ServerAddress

MAILBOX_DRIVERS: dict[str, Callable[[ServerAddress, Login], MailboxDriver]] = {"imap": ImapDriver, "ews": EwsDriver}
SENDING_DRIVERS: dict[str, Callable[[ServerAddress, Login | None], SendingDriver]] = {
    "smtp": SmtpDriver,
    "ews": EwsSender,
}

PUSH_CHANNELS: dict[str, Callable[[ServerAddress, Login], PushChannel]] = {
    "imap": ImapPushChannel,
    "ews": EwsPushChannel,
}


def open_mailbox(protocol: str, server: ServerAddress, login: Login) -> MailboxDriver:
    """An opened driver, to be closed by the caller; for `with`, which opens by itself, take `mailbox_driver`.

    Raises KeyError for an unknown protocol, and what MailboxDriver.open raises.
    """
    driver = mailbox_driver(protocol, server, login)
    driver.open()
    return driver


def mailbox_driver(protocol: str, server: ServerAddress, login: Login) -> MailboxDriver:
    """A driver not opened yet: for `with` and for `check()`. Raises KeyError for an unknown protocol."""
    return MAILBOX_DRIVERS[protocol](server, login)


def sending_driver(protocol: str, server: ServerAddress, login: Login | None) -> SendingDriver:
    """A sending driver not opened yet. Raises KeyError for an unknown protocol."""
    return SENDING_DRIVERS[protocol](server, login)


def push_channel(protocol: str, server: ServerAddress, login: Login) -> PushChannel | None:
    """A push channel not opened yet; None for a protocol that knows none: its mailboxes are polled."""
    make = PUSH_CHANNELS.get(protocol)
    return make(server, login) if make is not None else None
