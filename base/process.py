"""Names of processes that hold something in rows, and whether the holder of such a name is known to be dead.

Invariant: only a process of this very host can be said to be dead; about others the expiry of the row decides.
"""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache


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
