"""Whether each stored row says what its source says."""

from __future__ import annotations

from bench.instance import Instance
from bench.mailbox import Filled
from bench.mails import people


def check(instance: Instance, there: Filled, report: dict[str, int]) -> list[str]:
    """What differs between the source and the rows."""
    wrong = []
    count = len(there.made)
    for name, number in (("on_server", count), ("stored", count), ("failed", 0), ("pending", 0)):
        if report[name] != number:
            wrong.append(f"{name} is {report[name]}, not {number}")
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
