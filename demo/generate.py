"""The first start: every letter of the scripts put where it lies, oldest first; never done twice (`MARKER`)."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo.compose import compose
from demo.letters import Letter, placements, write_threads
from demo.mailstore import MailStore, StoredMail
from demo.scripts import threads
from demo.series import series_threads
from demo.users import DemoUser

MARKER = "first_start.json"


@dataclass(slots=True)
class FirstStart:
    """When the demo began, and how much of the mail that arrives later has arrived. Kept in the data folder."""

    path: Path
    started_at: datetime
    arrived: int = 0

    def save(self) -> None:
        """Written aside and renamed, so that a kill leaves the old or the new one."""
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({"started_at": self.started_at.isoformat(), "arrived": self.arrived}))
        draft.replace(self.path)


def all_letters(started_at: datetime) -> list[Letter]:
    """Every letter that lies in the mailboxes after the first start, oldest first."""
    return write_threads([*threads("conversations"), *series_threads()], started_at)


def recall(folder: Path) -> FirstStart | None:
    """What was kept of the first start, None before it was finished."""
    path = folder / MARKER
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return FirstStart(path, datetime.fromisoformat(kept["started_at"]), int(kept["arrived"]))


async def fill(store: MailStore, folder: Path) -> FirstStart:
    """Writes all letters and the marker; the mailboxes must be empty."""
    begun = FirstStart(folder / MARKER, datetime.now(UTC).replace(microsecond=0))
    letters = all_letters(begun.started_at)
    folders: defaultdict[tuple[DemoUser, str], list[StoredMail]] = defaultdict(list)
    for letter in letters:
        raw = compose(letter)
        for place in placements(letter, letters, begun.started_at):
            folders[place.user, place.folder].append(StoredMail(raw, letter.sent_at, place.flags))
    for (user, name), mails in folders.items():
        await store.fill(user, name, mails)
    begun.save()
    return begun
