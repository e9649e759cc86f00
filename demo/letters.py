"""From scripts to letters with an identity, a time and a place in mailboxes. Pure.

The same `start` gives the same Message-IDs, so that mail arriving after a restart still answers the right thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from demo.scripts import Line, Person, Thread, cast, moment
from demo.users import DEMO_USERS, DemoUser

READ_AFTER = timedelta(hours=20)
REPLY_WORDS = {"de": "AW", "no": "SV", "pl": "Odp"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail ready to be written. `parent` is what it answers."""

    thread_id: str
    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    sent_at: datetime
    message_id: str
    references: tuple[str, ...]
    line: Line
    folder: str
    parent: Letter | None = None

    @property
    def body(self) -> str:
        """What the sender typed."""
        return self.line.body

    def with_references(self, references: tuple[str, ...]) -> Letter:
        """The same letter as an answer to a mail that is no letter of ours."""
        return replace(self, references=references)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a copy of a letter lies."""

    user: DemoUser
    folder: str
    flags: tuple[str, ...]


def write_threads(threads: Iterable[Thread], start: datetime) -> list[Letter]:
    """Letters of whole threads, oldest first."""
    letters = [letter for thread in threads for letter in _write(thread, start)]
    return sorted(letters, key=lambda letter: letter.sent_at)


def write_arrival(thread: Thread, start: datetime, now: datetime, earlier: Iterable[Letter]) -> list[Letter]:
    """Letters of a thread that arrives `now`; where it continues another, they answer that one's last letter."""
    parent = None
    if thread.continues:
        parent = [letter for letter in earlier if letter.thread_id == thread.continues][-1]
    return _write(thread, start, now=now, parent=parent)


def _write(thread: Thread, start: datetime, now: datetime | None = None, parent: Letter | None = None) -> list[Letter]:
    people, letters = cast(), []
    for number, line in enumerate(thread.lines):
        sender = people[line.sender]
        references = (*parent.references, parent.message_id) if parent else ()
        letter = Letter(
            thread_id=thread.continues or thread.id,
            sender=sender,
            to=tuple(people[key] for key in line.to),
            cc=tuple(people[key] for key in line.cc),
            subject=line.subject or _subject(thread, sender, parent),
            sent_at=now or moment(line.at, start),
            message_id=_message_id(f"{start.isoformat()} {thread.id} {number}", sender),
            references=references,
            line=line,
            folder=thread.folder,
            parent=parent,
        )
        letters.append(letter)
        parent = letter
    return letters


def _subject(thread: Thread, sender: Person, parent: Letter | None) -> str:
    if parent is None:
        return thread.subject
    bare = parent.subject
    for word in ("Re", *REPLY_WORDS.values()):
        bare = bare.removeprefix(f"{word}: ")
    return f"{REPLY_WORDS.get(sender.language, 'Re')}: {bare}"


def _message_id(seed: str, sender: Person) -> str:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"<{digest[:12]}.{digest[12:20]}@{sender.address.rpartition('@')[2]}>"


def placements(letter: Letter, later: Iterable[Letter], start: datetime) -> list[Placement]:
    """Copies of a letter: in Sent (or Drafts) of a demo user who wrote it, in a folder of each who got it."""
    answers = [other for other in later if other.parent is letter]
    found = []
    for user in DEMO_USERS:
        if letter.line.extra.get("draft"):  # not sent yet: nobody else has it
            if letter.sender.address == user.address:
                found.append(Placement(user, "Drafts", ("seen", "draft")))
        elif letter.sender.address == user.address:
            found.append(Placement(user, "Sent", ("seen",)))
        elif any(person.address == user.address for person in (*letter.to, *letter.cc)):
            has_answered = any(answer.sender.address == user.address for answer in answers)
            found.append(Placement(user, letter.folder, _flags(letter, start, has_answered=has_answered)))
    return found


def _flags(letter: Letter, start: datetime, *, has_answered: bool) -> tuple[str, ...]:
    if letter.line.flags is not None:
        return letter.line.flags
    if has_answered:
        return ("seen", "answered")
    return ("seen",) if start - letter.sent_at > READ_AFTER else ()
