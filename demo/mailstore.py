"""The IMAP server (pymap on its Maildir backend) and the one way in which mail gets into its folders.

Invariant: after the first start only `deliver` and IMAP clients write here. pymap's own temporary files are kept on
the data folder's file system (it renames them into place), and locks left by a killed process are removed at start.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.maildir import Config, Login, MaildirBackend
from pymap.backend.maildir.layout import MaildirLayout
from pymap.backend.maildir.mailbox import MailboxSet
from pymap.backend.maildir.uidlist import Record, UidList
from pymap.backend.maildir.users import PasswordsFile, UsersFile
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import Flag, ObjectId
from pysasl.hashing import Cleartext

from demo.mailfiles import ExactMaildir, mend_pymap
from demo.structure import mend_structure
from demo.users import DEMO_USERS, FOLDERS, DemoUser

HOST = "127.0.0.1"
LAYOUT = "++"
FLAG_LETTERS = {"draft": "D", "flagged": "F", "answered": "R", "seen": "S"}  # in the names of Maildir files


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A message with its received time and flags (seen, answered, flagged, draft)."""

    raw: bytes
    when: datetime
    flags: tuple[str, ...] = ()


class LoopbackConfig(Config):
    """No threads: an IDLE connection would hold one of pymap's few for good."""

    @classmethod
    def parse_args(cls, args: Namespace) -> Mapping[str, Any]:
        parsed = {key: value for key, value in super().parse_args(args).items() if key != "subsystem"}
        return {**parsed, "subsystem": Subsystem.for_asyncio()}


class MailStore:
    """Mailboxes of the demo users under one folder; must be used inside one event loop."""

    def __init__(self, root: Path) -> None:
        mend_pymap()
        mend_structure()
        self._root = root
        self._config = LoopbackConfig.from_args(_arguments(root), hash_context=Cleartext())
        self._delivering = asyncio.Lock()

    async def prepare(self) -> None:
        """Users, passwords and folders, as far as they are not there yet; safe to call at every start."""
        self._root.mkdir(parents=True, exist_ok=True)
        scratch = self._root / "tmp"
        scratch.mkdir(exist_ok=True)
        tempfile.tempdir = str(scratch)
        for leftover in [*self._root.rglob("*.lock"), *scratch.iterdir()]:
            leftover.unlink()
        self._config.apply_context()
        base = str(self._root)
        async with UsersFile.with_write(base) as users, PasswordsFile.with_write(base) as passwords:
            for user in DEMO_USERS:
                users.set(users.build_record(user.address, user.key))
                passwords.set(passwords.build_record(user.address, user.password))
        for user in DEMO_USERS:
            folders = self._folders(user)
            known = {entry.name for entry in (await folders.list_mailboxes()).list()}
            for name in FOLDERS:
                if name not in known:
                    await folders.add_mailbox(name)
                    await folders.set_subscribed(name, True)

    async def serve(self, stack: AsyncExitStack, port: int) -> int:
        """Listens on loopback until the stack ends; returns the port (chosen if 0 was given)."""
        backend = MaildirBackend(Login(self._config), self._config)
        callback = ProxyProtocolReader(self._config.proxy_protocol).get_callback(
            IMAPServer(backend.login, self._config)
        )
        server = await asyncio.start_server(callback, HOST, port)
        stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    async def deliver(
        self, user: DemoUser, folder: str, raw: bytes, *, when: datetime | None = None, flags: Iterable[str] = ()
    ) -> None:
        """Puts one message into a folder; `flags` are seen, answered, flagged or draft."""
        message = AppendMessage(raw, when, frozenset(Flag(b"\\" + flag.capitalize().encode()) for flag in flags))
        async with self._delivering:
            mailbox = await self._folders(user).get_mailbox(folder)
            await mailbox.append(message, recent=not flags and folder == "INBOX")

    async def fill(self, user: DemoUser, folder: str, messages: Iterable[StoredMail]) -> None:
        """Puts many messages into a folder at once: the first start, before anybody is served."""
        path = Path(self._layout(user).get_path(folder, "/"))
        async with UidList.with_write(str(path)) as uids:
            for mail in messages:
                key = f"{int(mail.when.timestamp())}.{uids.next_uid}.{user.key}"
                name = f"{key}:2,{''.join(sorted(FLAG_LETTERS[flag] for flag in mail.flags))}"
                file = path / "cur" / name
                file.write_bytes(mail.raw.replace(b"\r\n", b"\n"))
                os.utime(file, (mail.when.timestamp(), mail.when.timestamp()))
                ids = {"E": str(ObjectId.random_email_id()), "T": str(ObjectId.random_thread_id())}
                uids.set(Record(uids.next_uid, ids, name))
                uids.next_uid += 1

    def _layout(self, user: DemoUser) -> MaildirLayout[ExactMaildir]:
        return MaildirLayout.get(str(self._root / user.key), LAYOUT, ExactMaildir)

    def _folders(self, user: DemoUser) -> MailboxSet:
        path = self._root / user.key
        return MailboxSet(ExactMaildir(str(path), create=not path.exists()), self._layout(user))


def _arguments(root: Path) -> Namespace:
    return Namespace(
        base_dir=str(root), layout=LAYOUT, colon=None, concurrency=1, passlib_cfg=None, proxy_protocol=None,
        host=HOST, port="0", debug=False, cert=None, key=None, tls=False,
    )  # fmt: skip
