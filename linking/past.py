"""Links the mail of the past when a card gets an address or a company a domain, and unlinks when it loses one.

Invariants: what is to be linked stands in a row (PastMail) until it is done, so a killed worker or a lost task loses
nothing; each batch commits by itself; links made by hand and refusals stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from contacts.models import ContactAddress
from contacts.services import Changes
from linking import matching
from linking.models import MessageLink, PastMail, Reason
from linking.services import link_messages
from mail.models import Correspondent, MessageAddress

BATCH = 500  # mails of one transaction
IN_ONE_ROW = 500  # addresses or domains of one PastMail row
AT_ONCE = 500  # mails that a request links before it leaves the rest to a task


def note_past_mail(*, addresses: Sequence[str] = (), domains: Sequence[str] = ()) -> None:
    """Write down that the mail of these addresses and domains is to be linked; `link_past_mail` does it."""
    rows = []
    for start in range(0, len(addresses), IN_ONE_ROW):
        rows.append(PastMail(addresses=list(addresses[start : start + IN_ONE_ROW])))
    for start in range(0, len(domains), IN_ONE_ROW):
        rows.append(PastMail(domains=list(domains[start : start + IN_ONE_ROW])))
    PastMail.objects.bulk_create(rows)


def link_past_mail(*, limit: int | None = None) -> int:
    """Link noted mail of the past, newest first, at most about `limit` mails; returns the number of new links.

    Call it again (a task, the tick) until `is_past_mail_linked`.
    """
    made = seen = 0
    while limit is None or seen < limit:
        looked_at, links = _batch()
        if looked_at is None:
            break
        seen += looked_at
        made += links
    return made


def is_past_mail_linked() -> bool:
    """Whether nothing of the past waits to be linked."""
    return not PastMail.objects.exists()


def _batch() -> tuple[int | None, int]:
    """Link one batch of the oldest row: (mails looked at, links made); (None, 0) when there is no row to take."""
    with transaction.atomic():
        rows = PastMail.objects.order_by("id")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        row = rows.first()
        if row is None:
            return None, 0
        ids = _mail_of(row)
        links = link_messages(ids)
        if len(ids) < BATCH:
            row.delete()
        else:
            row.below = ids[-1]
            row.save(update_fields=["below"])
        return len(ids), links


def _mail_of(row: PastMail) -> list[int]:
    people = Q(address__in=row.addresses)
    if row.domains:
        people |= Q(domain__in=_domains_below(row.domains))
    used = MessageAddress.objects.filter(correspondent__in=Correspondent.objects.filter(people))
    if row.below is not None:
        used = used.filter(message__lt=row.below)
    ids = used.filter(role__in=list(matching.ROLES)).order_by("-message_id").values_list("message_id", flat=True)
    return list(ids.distinct()[:BATCH])


def _domains_below(domains: Iterable[str]) -> list[str]:
    """Return the domains seen in mail that are one of `domains` or lie below one."""
    wanted = set(domains)
    seen = Correspondent.objects.order_by("domain").values_list("domain", flat=True).distinct()
    return [domain for domain in seen.iterator() if not wanted.isdisjoint(matching.suffixes(domain))]


def unlink_addresses(addresses: Sequence[str], *, contact_id: int) -> int:
    """Remove the machine's links that rest on these addresses being in this contact's card; returns how many.

    The mails are matched again, because another address of the same mail may still call for a link.
    """
    if not addresses:
        return 0
    by_address = Q(evidence__address__in=list(addresses))
    links = Q(contact=contact_id, reason=Reason.CONTACT_ADDRESS) | Q(
        reason=Reason.CONTACT_COMPANY, evidence__contact=contact_id
    )
    return _unlink(MessageLink.objects.filter(by_address & links))


def unlink_domains(domains: Sequence[str], *, company_id: int) -> int:
    """Remove the machine's links that rest on these domains being this company's; returns how many."""
    if not domains:
        return 0
    links = MessageLink.objects.filter(
        company=company_id, reason=Reason.COMPANY_DOMAIN, evidence__domain__in=list(domains)
    )
    return _unlink(links)


def unlink_employer(*, contact_id: int, company_id: int) -> int:
    """Remove the links to a company that rest on this contact working there; returns how many."""
    return _unlink(
        MessageLink.objects.filter(company=company_id, reason=Reason.CONTACT_COMPANY, evidence__contact=contact_id)
    )


def _unlink(links: QuerySet[MessageLink]) -> int:
    """Delete links that stand, what their threads inherited from them, and match those mails again."""
    with transaction.atomic():
        gone = list(links.filter(is_rejected=False).values_list("id", "message_id", "contact_id", "company_id"))
        for start in range(0, len(gone), BATCH):
            some = gone[start : start + BATCH]
            ids = [row[1] for row in some]
            MessageLink.objects.filter(id__in=[row[0] for row in some]).delete()
            MessageLink.objects.filter(
                Q(contact__in={row[2] for row in some if row[2]}) | Q(company__in={row[3] for row in some if row[3]}),
                reason=Reason.THREAD,
                is_rejected=False,
                evidence__message__in=ids,
            ).delete()
            link_messages(ids)
    return len(gone)


def follow(changes: Changes, *, contact_id: int | None = None, company_id: int | None = None) -> None:
    """Keep links in step with what changed in a card: unlink at once, note the mail of the past to be linked."""
    if contact_id is not None:
        unlink_addresses(changes.removed_addresses, contact_id=contact_id)
        if changes.old_company_id not in (None, changes.company_id):
            unlink_employer(contact_id=contact_id, company_id=changes.old_company_id)  # type: ignore[arg-type]
        if changes.company_id not in (None, changes.old_company_id):
            note_contact(contact_id)
        else:
            note_past_mail(addresses=changes.added_addresses)
    if company_id is not None:
        unlink_domains(changes.removed_domains, company_id=company_id)
        note_past_mail(domains=changes.added_domains)


def note_contact(*contact_ids: int) -> None:
    """Note all mail of these contacts, because they got a company."""
    addresses: list[str] = []
    for start in range(0, len(contact_ids), 5000):
        addresses += _addresses_of(contact_ids[start : start + 5000])
    note_past_mail(addresses=addresses)


def _addresses_of(contact_ids: Sequence[int]) -> list[str]:
    return list(ContactAddress.objects.filter(contact__in=contact_ids).values_list("address", flat=True))
