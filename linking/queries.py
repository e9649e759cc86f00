"""Reads links, and the mail of people and companies.

Invariants: mail is reached only through mail.queries (the only door), so nobody learns from a contact's page that a
hidden mail exists; a mail that lies in several visible mailboxes counts and shows once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from contacts.models import Company, Contact
from contacts.queries import company_of, contact_of
from linking.facts import own_addresses
from linking.models import MessageLink, Reason
from mail.models import Message, MessageAddress
from mail.queries import visible_messages, visible_threads

PAGE = 40  # mails of a timeline page
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINKS_SHOWN = 60  # records of one thread

Kind = Literal["contact", "company"]


@dataclass(frozen=True, slots=True)
class RecordLink:
    """What a thread is linked to: a record, why, and whether a person struck it."""

    kind: Kind
    record_id: int
    label: str
    why: str
    address: str  # what the reason rests on, "" if nothing
    is_rejected: bool
    is_unverified: bool
    struck_by: str  # who undid it


@dataclass(frozen=True, slots=True)
class MailFigures:
    """The visible mail of a record: how many, how many wait, last received and last sent."""

    total: int = 0
    open: int = 0
    received_at: datetime | None = None
    sent_at: datetime | None = None

    @property
    def last_at(self) -> datetime | None:
        """When the last mail went either way."""
        moments = [moment for moment in (self.received_at, self.sent_at) if moment]
        return max(moments, default=None)

    @property
    def is_last_sent(self) -> bool:
        """Whether the last mail went from us."""
        return self.last_at is not None and self.last_at == self.sent_at


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Mails of a record, newest first. `before`: where the next page begins, None at the end."""

    mails: list[Message]
    before: str | None


@dataclass(frozen=True, slots=True)
class About:
    """Who a thread is with."""

    name: str
    address: str
    contact: Contact | None
    company: Company | None
    is_unverified: bool
    figures: MailFigures
    last_mails: list[Message]


def links_of_thread(user: Any, thread_id: int) -> list[RecordLink]:
    """Return the links of a visible thread, people first, struck ones last; two records never twice."""
    messages = visible_messages(user).filter(thread=thread_id)
    rows = MessageLink.objects.filter(message__in=messages).select_related("contact", "company", "made_by")
    best: dict[tuple[Kind, int], MessageLink] = {}
    for row in rows.order_by("is_rejected", "id")[:2000]:
        key: tuple[Kind, int] = ("contact", row.contact_id) if row.contact_id else ("company", row.company_id or 0)
        if key not in best or _strength(row) < _strength(best[key]):
            best[key] = row
    names = _names_of({row.evidence.get("contact") for row in best.values() if isinstance(row.evidence, dict)})
    found = [_record_link(key, row, names) for key, row in best.items()]
    found.sort(key=lambda link: (link.is_rejected, link.kind != "contact"))
    return found[:LINKS_SHOWN]


_ORDER = [Reason.BY_HAND, Reason.CONTACT_ADDRESS, Reason.CONTACT_COMPANY, Reason.COMPANY_DOMAIN, Reason.THREAD]


def _strength(row: MessageLink) -> tuple[bool, int]:
    """A link that stands comes before a struck one, a strong reason before a weak one."""
    return row.is_rejected, _ORDER.index(Reason(row.reason)) if row.reason in _ORDER else len(_ORDER)


def _names_of(ids: Collection[Any]) -> dict[int, str]:
    wanted = [one for one in ids if isinstance(one, int)]
    return {contact.pk: str(contact) for contact in Contact.objects.filter(pk__in=wanted)} if wanted else {}


def _record_link(key: tuple[Kind, int], row: MessageLink, names: dict[int, str]) -> RecordLink:
    evidence = row.evidence if isinstance(row.evidence, dict) else {}
    user = row.made_by.get_full_name() if row.made_by else ""
    return RecordLink(
        kind=key[0],
        record_id=key[1],
        label=str(row.contact or row.company),
        why=_why(row.reason, evidence, names),
        address="" if row.reason == Reason.THREAD else str(evidence.get("address", "")),
        is_rejected=row.is_rejected,
        is_unverified=bool(evidence.get("unverified")),
        struck_by=user if row.is_rejected else "",
    )


def _why(reason: str, evidence: dict[str, Any], names: dict[int, str]) -> str:
    """Return the reason as a sentence; names and addresses in it are plain text."""
    if reason == Reason.COMPANY_DOMAIN and evidence.get("domain"):
        return _("The address ends in @%(domain)s") % {"domain": evidence["domain"]}
    if reason == Reason.CONTACT_COMPANY and names.get(evidence.get("contact", 0)):
        return _("%(name)s works there") % {"name": names[evidence["contact"]]}
    if reason == Reason.BY_HAND and evidence.get("user"):
        return _("Linked by hand by %(name)s") % {"name": evidence["user"]}
    return str(Reason(reason).label) if reason in Reason.values else ""


def visible_thread_messages(user: Any, thread_id: int) -> list[int] | None:
    """Return the ids of a thread's mails, None where `user` may not see the thread."""
    if not visible_threads(user).filter(pk=thread_id).exists():
        return None
    return list(visible_messages(user).filter(thread=thread_id).values_list("id", flat=True))


def mail_of_contact(user: Any, contact: Contact, *, before: str = "", limit: int = PAGE) -> TimelinePage:
    """Return the mails linked to `contact` that `user` may see, newest first."""
    return _timeline(visible_messages(user).filter(_linked(contact=contact)), before, limit)


def mail_of_company(user: Any, company: Company, *, before: str = "", limit: int = PAGE) -> TimelinePage:
    """Return the mails linked to `company` that `user` may see, newest first."""
    return _timeline(visible_messages(user).filter(_linked(company=company)), before, limit)


def mail_of_address(user: Any, address: str, *, limit: int = PAGE) -> TimelinePage:
    """Return the mails from or to an address that `user` may see, newest first."""
    used = MessageAddress.objects.filter(correspondent__address=address, role__in=["f", "t", "c", "b"])
    return _timeline(visible_messages(user).filter(pk__in=used.values("message")), "", limit)


def _linked(**record: Contact | Company) -> Q:
    return Q(pk__in=MessageLink.objects.filter(is_rejected=False, **record).values("message"))


def _timeline(messages: QuerySet[Message], before: str, limit: int) -> TimelinePage:
    moment = moment_before(before)
    if moment is not None:
        pk = int(before.partition(".")[2])
        messages = messages.filter(received_at__lte=moment).exclude(received_at=moment, pk__gte=pk)
    rows = messages.select_related("email_account").order_by("-received_at", "-pk")[: limit * 3 + 1]
    shown: list[Message] = []
    seen: set[int] = set()
    for row in rows:
        if row.message_id_hash is not None and row.message_id_hash in seen:
            continue
        if len(shown) == limit:
            last = shown[-1]
            return TimelinePage(shown, f"{(last.received_at - _EPOCH) // timedelta(microseconds=1)}.{last.pk}")
        if row.message_id_hash is not None:
            seen.add(row.message_id_hash)
        shown.append(row)
    return TimelinePage(shown, None)


def moment_before(before: str) -> datetime | None:
    """Return the time in a timeline's `before`, None for "" and anything that is none."""
    at, _dot, pk = before[:60].partition(".")
    if not (at.isascii() and at.isdigit() and pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(at))
    except OverflowError:
        return None


def figures_of_contacts(user: Any, contact_ids: Sequence[int]) -> dict[int, MailFigures]:
    """Return the figures of these contacts' mail that `user` may see; one query."""
    return _figures(user, "contact_id", contact_ids)


def figures_of_companies(user: Any, company_ids: Sequence[int]) -> dict[int, MailFigures]:
    """Return the figures of these companies' mail that `user` may see; one query."""
    return _figures(user, "company_id", company_ids)


def _figures(user: Any, record: str, ids: Sequence[int]) -> dict[int, MailFigures]:
    if not ids:
        return {}
    links = MessageLink.objects.filter(
        **{f"{record}__in": list(ids)}, is_rejected=False, message__in=visible_messages(user)
    )
    is_sent = Q(message__is_outgoing=True)
    mail = Coalesce("message__message_id_hash", -F("message_id"))  # a mail in two mailboxes counts once
    rows = links.values(record).annotate(
        total=Count(mail, distinct=True),
        open=Count(mail, distinct=True, filter=~is_sent & Q(message__processed_at__isnull=True)),
        received_at=Max("message__received_at", filter=~is_sent),
        sent_at=Max("message__received_at", filter=is_sent),
    )
    return {
        row[record]: MailFigures(row["total"], row["open"], row["received_at"], row["sent_at"])
        for row in rows.order_by()
    }


def about_thread(user: Any, thread_id: int) -> About | None:
    """Return who a visible thread is with: its last sender who is not of ours, else the first recipient."""
    messages = visible_messages(user).filter(thread=thread_id)
    received = messages.filter(is_outgoing=False).exclude(from_address="").order_by("-received_at", "-pk")
    last = received.exclude(from_address__in=own_addresses()).first() or received.first()
    if last is not None:
        name, address = last.from_name, last.from_address
    else:
        to = (
            MessageAddress.objects.filter(message__in=messages, role="t").select_related("correspondent").order_by("id")
        )
        first = to.first()
        if first is None:
            return None
        name, address = "", first.correspondent.address
    contact = contact_of(address)
    company = contact.company if contact and contact.company else company_of(address)
    if contact is not None:
        figures = figures_of_contacts(user, [contact.pk]).get(contact.pk, MailFigures())
        mails = mail_of_contact(user, contact, limit=4).mails
    else:
        figures, mails = MailFigures(), mail_of_address(user, address, limit=4).mails
    others = [mail for mail in mails if mail.thread_id != thread_id][:3]
    is_unverified = last is not None and last.verdict == "failed"
    return About(name, address, contact, company, is_unverified, figures, others)
