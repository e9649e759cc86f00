"""The environment, read once: every setting is NAME or NAME_FILE (a file holding the value, for secrets).

Invariant: reading never raises, so that the settings always import and the system checks can say what is wrong;
whatever could not be understood is in `problems`, each an error that the web and worker processes refuse to start with.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from base.crypto import generate_key, make_private_file

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """A setting that could not be read: check id without its prefix, what is wrong, the mend."""

    id: str
    said: str
    mend: str


problems: list[Problem] = []


def read(name: str, default: str = "") -> str:
    """The value of NAME, else the content of the file that NAME_FILE points to, else `default`.

    A file that cannot be read is a problem (E002): a missing secret never silently becomes an empty one.
    """
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            mend = f"Make the file readable for this process, or set {name} itself."
            problems.append(Problem("E002", f"{name}_FILE names {path}, which cannot be read: {why}.", mend))
    return default


def is_given(name: str) -> bool:
    """Whether somebody set NAME or NAME_FILE, readable or not."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def read_list(name: str, default: str = "") -> list[str]:
    """Comma- or space-separated values."""
    return read(name, default).replace(",", " ").split()


def read_number(name: str, default: int) -> int:
    """A whole number above zero; anything else is a problem (E003) and the default counts."""
    text = read(name)
    if not text:
        return default
    if text.isdecimal() and int(text) > 0:
        return int(text)
    problems.append(Problem("E003", f"{name} is {text!r}, not a whole number above zero.", f"Default: {default}."))
    return default


def understand(problem: Problem, parse: Callable[[], T], otherwise: T) -> T:
    """`parse()`; when it raises, `problem` is kept and `otherwise` counts. The value itself is never repeated: it may
    hold a password."""
    try:
        return parse()
    except Exception:  # noqa: BLE001  parsers of others raise anything
        problems.append(problem)
        return otherwise


def kept_key(path: Path, make: str = "text") -> str:
    """The key kept in `path`, made on first use: "text" (50 bytes of randomness) or "bytes" (an encryption key).

    Mode 0600. A file that others may read is a problem (E004).
    """
    content = secrets.token_urlsafe(50) if make == "text" else generate_key()
    mend = f"chmod 600 {path}, or give the data folder to the user who runs this."
    problem = Problem("E004", f"The key file {path} cannot be used: it must be readable by its owner only.", mend)
    return understand(problem, lambda: make_private_file(path, content), "")
