"""The environment, read once: every setting is NAME or NAME_FILE (a file holding the value, for secrets).

Embedded life: no DATABASE_URL; the keys are made once into the data folder (mode 0600).
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path


def read(name: str, default: str = "") -> str:
    """The value of NAME, else the content of the file that NAME_FILE points to, else `default`.

    Raises OSError when NAME_FILE cannot be read: a missing secret must not become an empty one.
    """
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return default


def read_list(name: str, default: str = "") -> list[str]:
    """Comma- or space-separated values."""
    return read(name, default).replace(",", " ").split()


def kept_key(path: Path, make: str = "text") -> str:
    """The key kept in `path`, made on first use: "text" (50 characters) or "bytes" (32 bytes, base64). Mode 0600."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_urlsafe(50) if make == "text" else base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key
