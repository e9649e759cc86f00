"""A helper process with hard limits, for pure functions over hostile input.

Threads have no hard limit, a soft time limit does not stop native code and a Celery child cannot fork a pool: so a
fresh interpreter is started, limits itself before it imports anything, and is killed when its time is over. Invariant:
the caller gets bytes, JailTimeout or JailFailed, within `seconds` (plus the start of an interpreter), and neither
environment nor open files leak in. Run as `python -m base.jail` by `run` only.
"""

from __future__ import annotations

import importlib
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

MAX_OUTPUT = 64 * 1024 * 1024  # bytes a function may answer

_ROOT = Path(__file__).resolve().parent.parent
_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)+:[a-z_][a-z0-9_]*")
_DONE, _RAISED = b"+", b"-"


class JailError(Exception):
    """The function gave no answer."""


class JailTimeout(JailError):
    """The time was over; the helper was killed."""


class JailFailed(JailError):
    """The helper ran out of memory, raised, died or answered too much. The text says which, without the input."""


def run(function_path: str, payload: bytes, *, seconds: float, megabytes: int) -> bytes:
    """Call "package.module:function" (bytes → bytes, pure) on `payload` in a helper process and return its answer.

    `seconds` is wall time (CPU time is bounded too), `megabytes` the address space of the helper, its interpreter
    included (at least 128 are given). Usable from any thread and from a prefork child. Raises JailTimeout, JailFailed.
    """
    if not _PATH.fullmatch(function_path):
        raise ValueError(f"not the path of a function: {function_path!r}")
    limits = [str(max(128, int(megabytes))), str(int(seconds) + 1), str(MAX_OUTPUT)]
    command = [sys.executable, "-s", "-m", "base.jail", function_path, *limits]
    # Files, not pipes: no deadlock, no reader thread, and RLIMIT_FSIZE bounds the answer.
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as answer:
        source.write(payload)
        source.seek(0)
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise JailTimeout(f"not done within {seconds} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        answer.seek(0)
        status, data = answer.read(1), answer.read(MAX_OUTPUT)
    return _settle(code, status, data)


def _settle(code: int, status: bytes, data: bytes) -> bytes:
    if code == 0 and status == _DONE:
        return data
    if status == _RAISED:
        raise JailFailed(data[:200].decode("utf-8", "replace"))
    if code in (-24, -9):  # SIGXCPU, or its hard limit
        raise JailTimeout("used up its processor time")
    raise JailFailed(f"the helper process ended with {code}")


def _environment() -> dict[str, str]:
    """Nothing of ours: no keys, no settings; only what an interpreter needs to start."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}


def _limit(megabytes: int, seconds: int, output: int) -> None:
    """Lower this process's own limits; they cannot be raised again by what runs in it."""
    for kind, value in (
        (resource.RLIMIT_AS, megabytes * 1024 * 1024),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, output + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 128),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def main(arguments: list[str]) -> int:
    """The helper's side: limit, read, call, answer. Returns the exit code."""
    path, megabytes, seconds, output = arguments
    _limit(int(megabytes), int(seconds), int(output))
    out = sys.stdout.buffer
    try:
        module_name, _, name = path.partition(":")
        function = getattr(importlib.import_module(module_name), name)
        answer = function(sys.stdin.buffer.read())
        if len(answer) > int(output):
            raise ValueError("the answer is too big")
    except BaseException as error:  # the other side wants a word, whatever happened
        out.write(_RAISED + type(error).__name__.encode())
        out.flush()
        return 1
    out.write(_DONE)
    out.write(answer)
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
