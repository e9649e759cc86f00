"""Mails that come again and again (orders, deliveries, reports, newsletters), from `series/*.toml`.

Words in braces are taken from the lists of the series, each list running at its own pace, so that few mails are alike.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from demo.scripts import HERE, Line, Thread

WEEKS = 10


def series_threads() -> list[Thread]:
    """One thread for each mail of each series."""
    threads: list[Thread] = []
    for path in sorted((HERE / "series").glob("*.toml")):
        with path.open("rb") as stream:
            for entry in tomllib.load(stream)["series"]:
                threads += [_thread(entry, number, at) for number, at in enumerate(_moments(entry))]
    return threads


def _moments(entry: dict[str, Any]) -> Iterator[str]:
    """Times of the mails, newest last: `per_day` times on each day of the last week, and every `every` days before."""
    times: list[str] = entry["times"]
    limit = int(entry.get("limit", 1000))
    found: list[str] = []
    for day in range(1, WEEKS * 7 + 1):
        recent = day <= 7
        if recent and day % int(entry.get("recent_every", 1)) == 0:
            found += [f"{day}d {time}" for time in reversed(times[: int(entry.get("per_day", 1))])]
        elif not recent and day % int(entry["every"]) == 0:
            found.append(f"{day}d {times[day % len(times)]}")
    found = [*reversed(entry.get("today", [])), *found] if entry.get("today") else found
    yield from reversed(found[:limit])


def _thread(entry: dict[str, Any], number: int, at: str) -> Thread:
    words = {
        name: values[(number * (7 + place) + place) % len(values)]
        if len(values) % (7 + place)
        else values[number % len(values)]
        for place, (name, values) in enumerate(sorted(entry.get("words", {}).items()))
    }
    words["number"] = str(int(entry.get("first_number", 1)) + number)
    texts: list[str] = entry["bodies"]
    subjects: list[str] = entry["subjects"]
    extra: dict[str, Any] = {"headers": entry["headers"]} if "headers" in entry else {}
    if "html" in entry:
        extra["html"] = _fill(
            entry["html"], {**words, "text": _fill(texts[number % len(texts)], words).replace("\n", "<br>")}
        )
    line = Line(
        at=at,
        sender=entry["from"],
        to=tuple(entry["to"]),
        body=_fill(texts[number % len(texts)], words).strip("\n"),
        files=tuple(_fill(file, words) for file in entry.get("files", ())),
        flags=_flags(entry, at),
        extra=extra,
    )
    subject = _fill(subjects[number % len(subjects)], words)
    return Thread(f"{entry['id']}-{at}", subject, (line,), entry.get("folder", "INBOX"))


def _flags(entry: dict[str, Any], at: str) -> tuple[str, ...]:
    """Read, but for the mails of the last `unread_days` days."""
    day = int(at.partition("d")[0]) if "d" in at else 0
    return () if day <= int(entry.get("unread_days", 0)) else ("seen",)


def _fill(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    return text
