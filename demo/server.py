"""The demo's mail server: `python -m demo.server --data DIR --imap-port N --smtp-port N [--arrivals SECONDS]`.

Listens on 127.0.0.1 only, without TLS. On the first start it fills the mailboxes; when it is ready it writes
`ready.json` (`{"imap": port, "smtp": port, "pid": n}`) into the data folder and takes it away when it ends (SIGTERM).
Port 0 lets the system choose.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from demo.arrivals import Arrivals
from demo.generate import FirstStart, fill, recall
from demo.mailstore import MailStore
from demo.submission import Submission
from demo.users import DEMO_USERS, DOMAIN, DemoUser

__all__ = ["DEMO_USERS", "DOMAIN", "DemoUser", "main", "run"]

READY = "ready.json"
MAIL = "mail"
ARRIVAL_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `arrivals` is seconds between two new mails, 0 for none."""

    data: Path
    imap_port: int
    smtp_port: int
    arrivals: float = ARRIVAL_SECONDS


async def run(options: Options, stop: asyncio.Event) -> None:
    """Serves until `stop` is set."""
    options.data.mkdir(parents=True, exist_ok=True)
    ready = options.data / READY
    ready.unlink(missing_ok=True)
    async with AsyncExitStack() as stack:
        store, begun = await _open(options.data)
        arrivals = Arrivals(store, begun, options.arrivals or ARRIVAL_SECONDS)
        imap = await store.serve(stack, options.imap_port)
        smtp = await Submission(store, arrivals.hear).serve(stack, options.smtp_port)
        if options.arrivals:
            task = asyncio.create_task(arrivals.run())
            stack.callback(task.cancel)
        draft = ready.with_suffix(".new")
        draft.write_text(json.dumps({"imap": imap, "smtp": smtp, "pid": os.getpid()}))
        draft.replace(ready)
        stack.callback(ready.unlink, missing_ok=True)
        await stop.wait()


async def _open(data: Path) -> tuple[MailStore, FirstStart]:
    begun = recall(data)
    if begun is None:
        shutil.rmtree(data / MAIL, ignore_errors=True)  # a first start that was killed half-way begins anew
    store = MailStore(data / MAIL)
    await store.prepare()
    return store, begun or await fill(store, data)


async def _until_told(options: Options) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(options, stop)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="demo.server", description="Mail server of the demo, on loopback only.")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the mail")
    parser.add_argument("--imap-port", type=int, default=0)
    parser.add_argument("--smtp-port", type=int, default=0)
    parser.add_argument("--arrivals", type=float, default=ARRIVAL_SECONDS, help="seconds between new mails, 0 for none")
    given = parser.parse_args()
    asyncio.run(_until_told(Options(given.data.resolve(), given.imap_port, given.smtp_port, given.arrivals)))


if __name__ == "__main__":
    main()
