"""`script/bench`: which measurements, how many messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench import growth, panel, poll, push, sync

BENCHES: dict[str, tuple[Callable[[int], bool], int, str]] = {
    "sync": (sync.run, 10_000, "the first download of a mailbox, beside mbsync, offlineimap and django-mailbox"),
    "poll": (poll.run, 10_000, "a look at a mailbox in which nothing happened, beside mbsync"),
    "push": (push.run, 100, "new mail in idle mailboxes on one listener; --messages is the number of mailboxes"),
    "growth": (growth.run, 200_000, "what a new message costs among 10,000 and among this many"),
    "panel": (panel.run, 100_000, "server time and queries of the pages"),
}


def main() -> int:
    """The exit code: 1 when something measured was wrong."""
    said = "\n".join(f"  {name:8}{what} ({count:,})" for name, (_run, count, what) in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="script/bench", description=said, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benches", nargs="*", metavar="BENCH", help="all of them when none is named")
    parser.add_argument("--messages", type=int, help="instead of the usual number")
    given = parser.parse_args()
    unknown = set(given.benches) - set(BENCHES)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there is {', '.join(BENCHES)}")
    is_right = True
    for name in given.benches or BENCHES:
        run, usual, _what = BENCHES[name]
        is_right &= run(given.messages or usual)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
