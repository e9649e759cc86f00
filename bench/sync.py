"""`script/bench sync`: the first download beside mbsync, offlineimap and django-mailbox, every stored row checked against
its source."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bench.instance import Embedded, Instance
from bench.mailbox import FEW, OURS, SLOW, THEIRS, Filled, connect, filled
from bench.mails import people
from bench.mbsync import Mbsync
from bench.peers import django_mailbox, offlineimap
from bench.table import table


def run(count: int) -> bool:
    """Prints the table; False when a row is wrong."""
    with filled(count) as there, Instance() as instance:
        sizes = sorted(there.sizes)
        print(  # noqa: T201
            f"{count:,} messages, {there.bytes / 1e6:,.0f} MB: median {sizes[count // 2] / 1000:.1f} kB,"
            f" mean {there.bytes / count / 1000:.1f} kB; IMAP over TLS on Dovecot, PostgreSQL with fsync"
        )
        connect(instance, there)
        yardstick = Mbsync(there.server, THEIRS, instance.folder / "mbsync")
        theirs = yardstick.run()
        if yardstick.count() != count:
            raise RuntimeError(f"mbsync brought {yardstick.count()} of {count}")
        slow = _slow_peers(instance, there)
        began = instance.rows("SELECT clock_timestamp()")[0][0]
        started = time.monotonic()
        report = instance.manage_json("sync_account", OURS)
        searchable = time.monotonic() - started
        last = instance.rows("SELECT max(created_at) FROM mail_message")[0][0]
        readable = max(0.001, (last - began).total_seconds())
        newest = instance.rows(
            "SELECT max(created_at) FROM (SELECT created_at FROM mail_message ORDER BY id LIMIT 50) x"
        )
        first = (newest[0][0] - began).total_seconds()
        wrong = check(instance, there, report)
        embedded = _embedded(there, wrong)
    rows = [
        ("mbsync, Maildir", theirs, count / theirs, 1.0),
        *((name, took, brought / took, brought / took * theirs / count) for name, took, brought in slow),
        ("readable, threaded, linked", readable, count / readable, theirs / readable),
        ("text-searchable too", searchable, count / searchable, theirs / searchable),
        ("the same on SQLite, readable", embedded, count / embedded, theirs / embedded),
    ]
    print(table("First download", ("", "seconds", "messages/s", "× mbsync"), rows))  # noqa: T201
    print(f"\nOf these {searchable - report['seconds']:.1f} s are the start and end of the process.")  # noqa: T201
    print(f"The newest 50 were readable after {first:.2f} s.")  # noqa: T201
    print("Every stored row agrees with its source." if not wrong else "WRONG:\n" + "\n".join(wrong[:20]))  # noqa: T201
    return not wrong


def _slow_peers(instance: Instance, there: Filled) -> list[tuple[str, float, int]]:
    """Name, seconds and mails of each. Raises RuntimeError when one did not bring all."""
    found = [
        ("offlineimap, Maildir", *offlineimap(there.server, SLOW[0], instance.folder / "offlineimap")),
        ("django-mailbox, PostgreSQL", *django_mailbox(instance, there.server, SLOW[1])),
    ]
    for name, _took, brought in found:
        if brought != min(FEW, len(there.made)):
            raise RuntimeError(f"{name} brought {brought}")
    return [(f"{name}, {brought} mails", took, brought) for name, took, brought in found]


def _embedded(there: Filled, wrong: list[str]) -> float:
    """Seconds until all is readable in a newcomer's installation; adds to `wrong` what differs there."""
    with Embedded() as instance:
        connect(instance, there)
        began = datetime.now(UTC)
        report = instance.manage_json("sync_account", OURS)
        wrong += [f"SQLite: {one}" for one in check(instance, there, report)]
        (last,) = instance.rows("SELECT max(created_at) FROM mail_message")[0]
        return (datetime.fromisoformat(last).replace(tzinfo=UTC) - began).total_seconds()


def check(instance: Instance, there: Filled, report: dict[str, int]) -> list[str]:
    """What differs between the source and the rows."""
    wrong = []
    count = len(there.made)
    for name, expected in (("on_server", count), ("stored", count), ("failed", 0), ("pending", 0)):
        if report[name] != expected:
            wrong.append(f"{name} is {report[name]}, not {expected}")
    contacts = {address for number, (_f, _l, address, _d) in enumerate(people()) if number % 2 == 0}
    found = {
        row[0]: row[1:]
        for row in instance.rows(
            "SELECT m.message_id, m.subject, m.from_address, m.size, c.text, m.has_attachments,"
            " (SELECT count(*) FROM mail_part p WHERE p.message_id = m.id AND NOT p.is_inline),"
            " EXISTS (SELECT 1 FROM linking_messagelink l WHERE l.message_id = m.id AND l.contact_id IS NOT NULL),"
            " (SELECT count(*) FROM mail_copy k WHERE k.message_id = m.id)"
            " FROM mail_message m JOIN mail_messagecontent c ON c.message_id = m.id"
        )
    }
    if len(found) != count:
        wrong.append(f"{len(found)} different messages are stored, not {count}")
    for made, size in zip(there.made, there.sizes, strict=True):
        row = found.get(made.message_id)
        if row is None:
            wrong.append(f"{made.message_id} is missing")
            continue
        subject, sender, stored_size, text, has_files, files, is_linked, copies = row
        expected = (made.subject, made.from_address, size, True, made.attachments > 0, made.attachments, 1)
        seen = (subject, sender, stored_size, made.token in text, has_files, files, copies)
        if seen != expected:
            wrong.append(f"{made.message_id}: {seen} instead of {expected}")
        if made.from_address in contacts and not is_linked:
            wrong.append(f"{made.message_id}: {sender} is a contact, and it is not linked")
    return wrong
