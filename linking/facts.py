"""Loads what linking.matching needs for a slice of mails. Invariant: a constant number of queries, whatever the slice.

Reads only. A thread is loaded whole up to THREAD_CAP mails (the oldest and the newest half of that), because mail
arrives in any order and a link may have to reach a reply that was downloaded before the mail it answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import Alias, EmailAccount, User
from base.addresses import normalise_address
from base.arrays import one_of
from base.prepared import IDS, TEXTS, PreparedValues
from contacts.models import CompanyDomain, ContactAddress
from contacts.queries import public_mail_domains
from linking import matching
from linking.models import MessageLink
from mail.models import Message, MessageAddress
from mail.types import StoredMail

THREAD_CAP = 200  # mails of one thread that are looked at
Value = TypeVar("Value")
PARAMETERS = 5000  # values in one IN list
_MAILS = PreparedValues(
    lambda ids: (
        Message.objects.filter(thread__in=Message.objects.filter(one_of("id", ids)).values("thread"))
        .order_by("received_at", "id")
        .values_list("id", "thread_id", "is_outgoing", "verdict")
    ),
    IDS,
)
_ADDRESSES = PreparedValues(
    lambda ids: (
        MessageAddress.objects.filter(one_of("message_id", ids), role__in=list(matching.ROLES))
        .order_by("id")
        .values_list("message_id", "role", "correspondent__address")
    ),
    IDS,
)
_LINKS = PreparedValues(
    lambda ids: (
        MessageLink.objects.filter(one_of("message_id", ids))
        .order_by("id")
        .values_list("message_id", "contact_id", "company_id", "reason", "is_rejected")
    ),
    IDS,
)
_CONTACTS = PreparedValues(
    lambda addresses: (
        ContactAddress.objects.filter(one_of("address", addresses))
        .order_by()
        .values_list("address", "contact_id", "contact__company_id")
    ),
    TEXTS,
)
_COMPANIES = PreparedValues(
    lambda domains: (
        CompanyDomain.objects.filter(one_of("domain", domains)).order_by().values_list("domain", "company_id")
    ),
    TEXTS,
)
_USERS = PreparedValues(lambda: User.objects.exclude(email="").order_by().values_list("email"))


@dataclass(slots=True)
class ThreadFacts:
    """A thread's mails, oldest first, and the links they have."""

    mails: list[matching.MailFacts] = field(default_factory=list)
    links: list[matching.StoredLink] = field(default_factory=list)


def load(
    message_ids: Sequence[int], new_threads: Sequence[Sequence[StoredMail]] = ()
) -> tuple[list[ThreadFacts], matching.Known]:
    """Return the threads of these mails, and `new_threads`, which have no links yet; and what is known about everybody
    in them."""
    new = [[_facts_of(mail) for mail in thread] for thread in new_threads]
    threads = _mails_of_threads(message_ids)
    ids = [row[0] for rows in threads.values() for row in rows]
    addresses = _addresses(ids)
    everybody = {address for pairs in addresses.values() for _, address in pairs}
    everybody.update(address for mails in new for mail in mails for _, address in mail.addresses)
    known = load_known(everybody)
    links = _links(ids)
    facts = [ThreadFacts(mails) for mails in new]
    for rows in threads.values():
        thread = ThreadFacts()
        for message_id, is_outgoing, verdict in rows:
            pairs = addresses.get(message_id, ())
            thread.mails.append(matching.MailFacts(message_id, pairs, is_outgoing, verdict == "failed"))
            thread.links += links.get(message_id, ())
        facts.append(thread)
    return facts, known


def _facts_of(mail: StoredMail) -> matching.MailFacts:
    pairs = [(role, address) for role, address in mail.addresses if role in matching.ROLES]
    return matching.MailFacts(mail.pk, pairs, mail.is_outgoing, mail.verdict == "failed")


def _mails_of_threads(message_ids: Sequence[int]) -> dict[int, list[tuple[int, bool, str]]]:
    wanted = set(message_ids)
    threads: dict[int, list[tuple[int, bool, str]]] = defaultdict(list)
    for message_id, thread, is_outgoing, verdict in _MAILS.fetch(message_ids):
        threads[thread].append((message_id, is_outgoing, verdict))
    for thread, mails in threads.items():
        if len(mails) > THREAD_CAP:
            half = THREAD_CAP // 2
            between = [row for row in mails[half:-half] if row[0] in wanted]
            threads[thread] = mails[:half] + between + mails[-half:]
    return threads


def _addresses(message_ids: list[int]) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for some in in_slices(message_ids):
        for message_id, role, address in _ADDRESSES.fetch(some):
            found[message_id].append((role, address))
    return found


def _links(message_ids: list[int]) -> dict[int, list[matching.StoredLink]]:
    found: dict[int, list[matching.StoredLink]] = defaultdict(list)
    for some in in_slices(message_ids):
        for message_id, contact, company, reason, is_rejected in _LINKS.fetch(some):
            target = matching.Target(contact, company)
            found[message_id].append(matching.StoredLink(message_id, target, reason, is_rejected))
    return found


def load_known(addresses: Iterable[str]) -> matching.Known:
    """Return which of `addresses` (normalised) are contacts, lie in a company's domain, or are our own."""
    seen = sorted(set(addresses))
    contacts: dict[str, int] = {}
    employers: dict[int, int] = {}
    for some in in_slices(seen):
        for address, contact, company in _CONTACTS.fetch(some):
            contacts[address] = contact
            if company is not None:
                employers[contact] = company
    wholes = {address.rpartition("@")[2] for address in seen}
    domains = {suffix for whole in wholes for suffix in matching.suffixes(whole)}
    return matching.Known(contacts, employers, company_domains(domains), own_addresses())


def company_domains(domains: set[str]) -> dict[str, int]:
    """Return {domain: company} for those of `domains` that belong to a company and are no public mail service."""
    found: dict[str, int] = {}
    for some in in_slices(sorted(domains)):
        found.update(_COMPANIES.fetch(some))
    for domain in public_mail_domains(found) if found else ():
        del found[domain]
    return found


def _own_addresses() -> QuerySet[Any, tuple[Any, ...]]:
    contacts = ContactAddress.objects.filter(address=OuterRef("address_key"))  # nobody hides a customer by an alias
    aliases = Alias.objects.exclude(Exists(contacts)).order_by().values_list("address_key")
    return EmailAccount.objects.order_by().values_list("address_key").union(aliases, all=True)


_OWN = PreparedValues(_own_addresses)


def own_addresses() -> frozenset[str]:
    """Return the addresses of all email accounts (aliases too) and users of the installation, normalised."""
    own = {address for (address,) in _OWN.fetch()}
    own |= {normalise_address(email) for (email,) in _USERS.fetch()}
    own.discard("")
    return frozenset(own)


def in_slices(values: list[Value]) -> Iterator[list[Value]]:
    """Yield `values` in lists that fit into one query."""
    for start in range(0, len(values), PARAMETERS):
        yield values[start : start + PARAMETERS]
