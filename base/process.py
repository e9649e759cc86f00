"""Processes: the names under which they hold rows, whether such a holder is known to be dead, and their garbage.

Invariant: only a process of this very host can be said to be dead; about others the expiry of the row decides.
"""

from __future__ import annotations

import ctypes
import gc
import os
import secrets
import socket
from contextlib import suppress
from functools import cache

# What a process that runs long checks before it begins: the settings. The code is checked by tests, and loading all of it
# for that would need a second and 25 MB.
SETTINGS_CHECKS = ("crm_mail",)
M_ARENA_MAX = -8  # of mallopt(3)
CYCLES_WAIT = 20_000  # objects more than before, after which cycles are looked for (Python: 700)
WORKER_WAIT = 100_000  # the same where slices of mail are taken in: they make more, and none of it in cycles


@cache
def _host() -> str:
    return socket.gethostname().replace(":", "-")[:20] or "host"


def holder_name() -> str:
    """A fresh name for a holder in this process: host:pid:random (at most 60 characters)."""
    return f"{_host()}:{os.getpid()}:{secrets.token_hex(6)}"


def is_dead(holder: str) -> bool:
    """True if `holder` was a process of this host that no longer runs."""
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def collect_seldom(wait: int = CYCLES_WAIT) -> None:
    """For a process that is set up: what is loaded is never looked through for garbage again, and new objects less often.

    A slice of mail, or a page, makes ten thousands of objects that end with it, without cycles; looking for some cost a
    tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(wait, 20, 10)


def share_one_heap() -> None:
    """For a process whose threads make big things one after the other (TLS handshakes): glibc would keep a heap of freed
    memory for each thread. Before the threads begin; does nothing with another C library."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_memory_back() -> None:
    """Return to the system what is free inside the heap (some milliseconds); does nothing with another C library."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
