"""The same mailbox on different servers, for `contract`: what another client does, and how a driver reaches it."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

from imapclient import IMAPClient

from drivers.base import MailboxDriver
from drivers.ews.driver import EwsDriver
from drivers.fake.driver import FakeServer
from drivers.imap.driver import ImapDriver
from drivers.types import Login, Security
from tests.servers.dovecot import Dovecot
from tests.servers.ews import EwsServer
from tests.servers.gmail import GmailServer
from tests.servers.mini_imap import MiniImap


class World(ABC):
    """A mailbox on some server."""

    inbox = "INBOX"
    drafts = "Drafts"
    trash = "Trash"
    other = "Projects"
    keeps_bytes = True  # else the server makes the source anew
    has_both_texts = True  # else it keeps one body of an alternative
    counts_bytes = True  # sizes are those of the source

    @abstractmethod
    def driver(self, password: str | None = None) -> MailboxDriver:
        """A driver not opened yet."""

    @abstractmethod
    def add(self, folder: str, raw: bytes, *, received_at: datetime | None = None) -> str:
        """A message arrives; its key."""

    @abstractmethod
    def remove(self, folder: str, key: str) -> None:
        """Another client deletes it."""

    @abstractmethod
    def flag(self, folder: str, key: str, flag: str) -> None:
        """Another client sets a flag."""

    @abstractmethod
    def renumber(self, folder: str) -> None:
        """The server numbers a folder anew."""


class FakeWorld(World):
    """The driver in memory."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.server.add_folder(self.other)

    def driver(self, password: str | None = None) -> MailboxDriver:
        return self.server.driver(password)

    def add(self, folder: str, raw: bytes, *, received_at: datetime | None = None) -> str:
        return self.server.folders[folder].add(raw, received_at=received_at)

    def remove(self, folder: str, key: str) -> None:
        self.server.folders[folder].remove(key)

    def flag(self, folder: str, key: str, flag: str) -> None:
        with self.driver() as driver:
            driver.set_flags(folder, [key], add=[flag])

    def renumber(self, folder: str) -> None:
        self.server.folders[folder].renumber()


class MiniWorld(World):
    """A scripted server."""

    def __init__(self, server: MiniImap) -> None:
        self.server = server
        server.add_folder(self.other)
        if isinstance(server, GmailServer):
            self.drafts, self.trash = "[Gmail]/Drafts", "[Gmail]/Trash"
        else:
            self.drafts = "Entwürfe"

    def driver(self, password: str | None = None) -> MailboxDriver:
        login = self.server.login()
        return ImapDriver(self.server.address(), Login(login.user_name, password or login.secret))

    def add(self, folder: str, raw: bytes, *, received_at: datetime | None = None) -> str:
        return self.server.add_message(folder, raw, received_at=received_at)

    def remove(self, folder: str, key: str) -> None:
        self.server.remove_message(folder, key)

    def flag(self, folder: str, key: str, flag: str) -> None:
        self.server.flag_message(folder, key, flag)

    def renumber(self, folder: str) -> None:
        self.server.folders[folder].renumber()


class DovecotWorld(World):
    """A user of a real server; the other client is plain imapclient."""

    def __init__(self, server: Dovecot, user: str, security: Security = Security.NONE) -> None:
        self.server, self.user, self.security = server, user, security
        server.add_folder(user, self.other)

    def driver(self, password: str | None = None) -> MailboxDriver:
        login = self.server.login(self.user)
        return ImapDriver(self.server.address(self.security), Login(login.user_name, password or login.secret))

    def _client(self) -> IMAPClient:
        client = IMAPClient("127.0.0.1", self.server.port, ssl=False, timeout=10)
        login = self.server.login(self.user)
        client.login(login.user_name, login.secret)
        return client

    def add(self, folder: str, raw: bytes, *, received_at: datetime | None = None) -> str:
        with self._client() as client:
            answer = client.append(folder, raw, (), received_at)
            return answer.split(b"]")[0].split()[-1].decode()

    def remove(self, folder: str, key: str) -> None:
        with self._client() as client:
            client.select_folder(folder)
            client.delete_messages([int(key)])
            client.uid_expunge([int(key)])

    def flag(self, folder: str, key: str, flag: str) -> None:
        with self._client() as client:
            client.select_folder(folder)
            client.add_flags([int(key)], [flag])

    def renumber(self, folder: str) -> None:
        """A restored maildir without its uidlist and index."""
        time.sleep(1.1)  # UIDVALIDITY is made of the time
        path = self.server.maildir(self.user, folder)
        for name in ("dovecot-uidlist", "dovecot-uidvalidity"):
            (path / name).unlink(missing_ok=True)
        for index in path.glob("dovecot.index*"):
            shutil.rmtree(index) if index.is_dir() else index.unlink()


class EwsWorld(World):
    """A mailbox on the Exchange Server of the tests; its folders have German names and opaque ids."""

    has_both_texts = counts_bytes = False

    def __init__(self, server: EwsServer) -> None:
        self.server = server
        self.keeps_bytes = not server.regenerates
        store = server.store
        self.other = store.add_folder("Projekte").id
        self.inbox, self.drafts, self.trash = (store.by_name(name).id for name in ("inbox", "drafts", "deleteditems"))
        self._clock = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)

    def driver(self, password: str | None = None) -> MailboxDriver:
        return EwsDriver(self.server.server_address(), self.server.login(password))

    def add(self, folder: str, raw: bytes, *, received_at: datetime | None = None) -> str:
        self._clock += timedelta(seconds=1)
        return self.server.store.add(self.server.store.folders[folder], raw, received_at=received_at or self._clock).id

    def remove(self, folder: str, key: str) -> None:
        self.server.store.remove(key)

    def flag(self, folder: str, key: str, flag: str) -> None:
        item = self.server.store.folders[folder].items[key]
        item.values[0x1090] = "2"
        self.server.store.touch(item)

    def renumber(self, folder: str) -> None:
        self.server.store.expire()
