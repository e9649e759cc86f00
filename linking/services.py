"""Makes and undoes links. Invariants: what a person refused stays refused until a person takes it back; every write may
be repeated; each function joins its caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.models import User
from contacts.models import Contact
from linking import facts, matching
from linking.insert import insert_links
from linking.models import MessageLink, Reason
from mail.models import Message
from mail.types import StoredMail

SLICE = 500  # mails linked at a time


def link_messages(message_ids: Sequence[int], new_threads: Sequence[Sequence[StoredMail]] = ()) -> int:
    """Link these mails (and later mails of their threads) to the people and companies they are about.

    `new_threads`: those that were just stored with all their mails, oldest first; nothing is read of them again.
    Idempotent; a constant number of queries for each 500 mails. Returns the number of new links.
    """
    fresh = {mail.pk for thread in new_threads for mail in thread}
    others = [pk for pk in message_ids if pk not in fresh]
    made = _link_slice(others[:SLICE], new_threads) if message_ids else 0
    for start in range(SLICE, len(others), SLICE):
        made += _link_slice(others[start : start + SLICE])
    return made


def _link_slice(message_ids: Sequence[int], new_threads: Sequence[Sequence[StoredMail]] = ()) -> int:
    threads, known = facts.load(message_ids, new_threads)
    wanted = frozenset(message_ids).union(mail.pk for thread in new_threads for mail in thread)
    proposals: list[matching.Proposed] = []
    for thread in threads:
        found = matching.match_thread(thread.mails, thread.links, known, wanted=wanted)
        if thread.links:
            has = {(link.message_id, link.target) for link in thread.links}
            found = [proposed for proposed in found if (proposed.message_id, proposed.target) not in has]
        proposals += found
    insert_links(proposals)
    return len(proposals)


def link_by_hand(*, message_ids: Sequence[int], target: matching.Target, user: User) -> int:
    """Link mails to a contact (and its company) or to a company because `user` says so; takes a refusal back.

    The caller has checked that `user` may see the mails. Returns the number of links made or taken back.
    """
    evidence: dict[str, Any] = {"user": user.get_full_name()}
    with transaction.atomic():
        changed = _link_all(message_ids, target, Reason.BY_HAND, evidence, user)
        if target.contact is not None:
            company = Contact.objects.filter(id=target.contact).values_list("company_id", flat=True).first()
            if company is not None:
                because = {**evidence, "contact": target.contact}
                changed += _link_all(
                    message_ids, matching.Target(company=company), Reason.CONTACT_COMPANY, because, user
                )
    return changed


def _link_all(
    message_ids: Sequence[int], target: matching.Target, reason: Reason, evidence: dict[str, Any], user: User
) -> int:
    links = MessageLink.objects.filter(message__in=message_ids, contact=target.contact, company=target.company)
    values = {"reason": reason, "evidence": evidence, "is_rejected": False, "made_by": user}
    changed = links.filter(is_rejected=True).update(**values)
    if reason == Reason.BY_HAND:  # a person's word outranks the machine's reason
        links.exclude(reason=Reason.BY_HAND).update(**values)
    has = set(links.values_list("message_id", flat=True))
    rows = [
        MessageLink(message_id=message_id, contact_id=target.contact, company_id=target.company, **values)
        for message_id in dict.fromkeys(message_ids)
        if message_id not in has
    ]
    MessageLink.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    return changed + len(rows)


def reject_links(*, message_ids: Sequence[int], target: matching.Target, user: User) -> int:
    """Undo the links of these mails (one, or a thread's) to `target`; the machine will not make them again there.

    The caller has checked that `user` may see the mails. Returns how many links were struck.
    """
    links = MessageLink.objects.filter(message__in=message_ids, contact=target.contact, company=target.company)
    return links.filter(is_rejected=False).update(is_rejected=True, made_by=user)


def restore_links(*, message_ids: Sequence[int], target: matching.Target, user: User) -> int:
    """Take an undo back; the links keep the reason they had. Returns how many links came back."""
    links = MessageLink.objects.filter(message__in=message_ids, contact=target.contact, company=target.company)
    return links.filter(is_rejected=True).update(is_rejected=False, made_by=user)


def messages_of_thread(thread_id: int) -> list[int]:
    """Return the ids of a thread's mails."""
    return list(Message.objects.filter(thread=thread_id).values_list("id", flat=True))
