"""The conversation scripts (`conversations/*.toml`, `arrivals/*.toml`) and the cast, read into plain values.

A script is a list of threads; a thread a list of mails; `at` says how long before the first start a mail was sent:
"16d 09:12" (sixteen days before, at that time in Bergen), "3h" or "40m". `from`, `to` and `cc` are keys of the cast.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
BERGEN = ZoneInfo("Europe/Oslo")
_AT = re.compile(r"(?:(\d+)d (\d\d):(\d\d))|(?:(\d+)h)|(?:(\d+)m)")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes or is written to. `style` is text, gmail or outlook: how their program quotes and formats."""

    key: str
    name: str
    address: str
    title: str = ""
    company: str = ""
    phone: str = ""
    language: str = "en"
    zone: str = "Europe/Oslo"
    style: str = "text"
    signature: str = ""
    first_name: str = ""
    is_contact: bool = False
    company_domain: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One mail of a script, before it has an identity and a time. `extra` holds what few mails need."""

    at: str
    sender: str
    to: tuple[str, ...]
    body: str
    cc: tuple[str, ...] = ()
    subject: str = ""
    files: tuple[str, ...] = ()
    flags: tuple[str, ...] | None = None
    quote: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation. `continues` names an older thread that this one answers (arrivals only)."""

    id: str
    subject: str
    lines: tuple[Line, ...]
    folder: str = "INBOX"
    continues: str = ""


@cache
def cast() -> dict[str, Person]:
    """All people by key."""
    with (HERE / "cast.toml").open("rb") as stream:
        people = tomllib.load(stream)["people"]
    return {key: Person(key=key, **values) for key, values in people.items()}


def threads(folder: str) -> list[Thread]:
    """All threads of the scripts in a folder, by file name."""
    found: list[Thread] = []
    for path in sorted((HERE / folder).glob("*.toml")):
        with path.open("rb") as stream:
            found += [_thread(entry) for entry in tomllib.load(stream)["thread"]]
    return found


def _thread(entry: dict[str, Any]) -> Thread:
    lines = tuple(_line(mail) for mail in entry["mail"])
    return Thread(entry["id"], entry["subject"], lines, entry.get("folder", "INBOX"), entry.get("continues", ""))


def _line(mail: dict[str, Any]) -> Line:
    known = {"at", "from", "to", "cc", "body", "subject", "files", "flags", "quote"}
    return Line(
        at=mail.get("at", ""),
        sender=mail["from"],
        to=tuple(mail["to"]),
        body=mail["body"].strip("\n"),
        cc=tuple(mail.get("cc", ())),
        subject=mail.get("subject", ""),
        files=tuple(mail.get("files", ())),
        flags=tuple(mail["flags"]) if "flags" in mail else None,
        quote=mail.get("quote", True),
        extra={key: value for key, value in mail.items() if key not in known},
    )


def moment(at: str, start: datetime) -> datetime:
    """The aware time that `at` means when the demo starts at `start`; never later than that."""
    found = _AT.fullmatch(at)
    if not found:
        raise ValueError(f"cannot read the time {at!r}")
    days, hour, minute, hours, minutes = found.groups()
    if days is None:
        return start - (timedelta(hours=int(hours)) if hours else timedelta(minutes=int(minutes)))
    day = start.astimezone(BERGEN) - timedelta(days=int(days))
    exact = day.replace(hour=int(hour), minute=int(minute), second=(int(minute) * 7 + int(hour)) % 60, microsecond=0)
    return min(exact, start - timedelta(minutes=5))
