"""Which people and companies a mail is about. Pure: facts in, proposals out.

Invariants: own addresses and public mail domains never match; a thread's links reach a mail only when its sender was
(or shares the company of) a trusted participant of that thread; a record a person refused in a thread is not proposed
there again; a mail has at most MAX_LINKS proposals.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_LINKS = 100  # proposals for one mail: a mail to 2,000 people is about nobody in particular
MAX_LABELS = 12  # labels of a domain that are looked at

CONTACT_ADDRESS = "contact_address"
COMPANY_DOMAIN = "company_domain"
CONTACT_COMPANY = "contact_company"
THREAD = "thread"
BY_HAND = "by_hand"

ROLES = {"f": "from", "t": "to", "c": "cc", "b": "bcc"}  # in the order in which they are tried


@dataclass(frozen=True, slots=True)
class Target:
    """A contact or a company by id; exactly one is set."""

    contact: int | None = None
    company: int | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """A link to make: to whom, why (a value of linking.models.Reason), and what the reason rests on."""

    message_id: int
    target: Target
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What the installation knows about the addresses of the mails at hand; all addresses and domains normalised."""

    contacts: Mapping[str, int] = field(default_factory=dict)  # address → contact
    employers: Mapping[int, int] = field(default_factory=dict)  # contact → company
    domains: Mapping[str, int] = field(default_factory=dict)  # company domain → company, public ones left out
    own: frozenset[str] = frozenset()  # email accounts and users of this installation
    looked_up: dict[str, tuple[int, str] | None] = field(default_factory=dict, compare=False, repr=False)  # memory


@dataclass(frozen=True, slots=True)
class MailFacts:
    """One mail: who stands in which header. `addresses`: (role letter of mail.models.MessageAddress, address)."""

    message_id: int
    addresses: Sequence[tuple[str, str]]
    is_outgoing: bool = False
    is_unverified: bool = False  # the sender's authentication failed

    @property
    def sender(self) -> str:
        """The first From address, "" without one."""
        return next((address for role, address in self.addresses if role == "f"), "")


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link that exists already."""

    message_id: int
    target: Target
    reason: str
    is_rejected: bool = False


def suffixes(domain: str) -> Iterator[str]:
    """Yield the domain and those above it, longest first, without the top level alone ("a.b.c" → "a.b.c", "b.c")."""
    labels = domain.split(".")
    labels = labels[-MAX_LABELS:]
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])


def company_of_domain(address: str, known: Known) -> tuple[int, str] | None:
    """Return (company, its domain that matched) for the longest known suffix of the address's domain, else None."""
    whole = address.rpartition("@")[2]
    if whole in known.looked_up:
        return known.looked_up[whole]
    found = next(((known.domains[domain], domain) for domain in suffixes(whole) if domain in known.domains), None)
    known.looked_up[whole] = found
    return found


def companies_of(address: str, known: Known) -> set[int]:
    """Return the companies an address stands for: its contact's, and the one its domain belongs to."""
    found = set()
    contact = known.contacts.get(address)
    if contact is not None and contact in known.employers:
        found.add(known.employers[contact])
    by_domain = company_of_domain(address, known)
    if by_domain:
        found.add(by_domain[0])
    return found


def match_addresses(mail: MailFacts, known: Known) -> list[Proposed]:
    """Return the links that the mail's own headers call for: From first, then To, Cc, Bcc; each target once."""
    found: dict[Target, Proposed] = {}
    for letter, role in ROLES.items():
        for address in dict.fromkeys(address for used, address in mail.addresses if used == letter):
            if not address or address in known.own:
                continue
            evidence: dict[str, Any] = {"role": role, "address": address}
            if role == "from" and mail.is_unverified:
                evidence["unverified"] = True
            for proposed in _match_one(mail.message_id, address, evidence, known):
                found.setdefault(proposed.target, proposed)
            if len(found) >= MAX_LINKS:
                return list(found.values())[:MAX_LINKS]
    return list(found.values())


def _match_one(message_id: int, address: str, evidence: dict[str, Any], known: Known) -> Iterator[Proposed]:
    contact = known.contacts.get(address)
    if contact is not None:
        yield Proposed(message_id, Target(contact=contact), CONTACT_ADDRESS, evidence)
        company = known.employers.get(contact)
        if company is not None:
            yield Proposed(message_id, Target(company=company), CONTACT_COMPANY, {**evidence, "contact": contact})
    by_domain = company_of_domain(address, known)
    if by_domain:
        yield Proposed(message_id, Target(company=by_domain[0]), COMPANY_DOMAIN, {**evidence, "domain": by_domain[1]})


def match_thread(
    mails: Sequence[MailFacts], stored: Iterable[StoredLink], known: Known, *, wanted: Container[int] | None = None
) -> list[Proposed]:
    """Return the proposals for the mails of one thread, `mails` oldest first.

    Headers are matched only of the `wanted` mails (all without it): the others were matched when they came; what they
    may inherit is proposed for all.

    Walks the thread in time. Trust begins with the first mail; a later mail is trusted when its sender was addressed or
    wrote before in a trusted mail, shares a company with such a person, or is this mailbox's own. Only trusted mails
    hand links on and inherit them: who merely guessed a Message-ID gets and gives nothing.
    """
    links = list(stored)
    refused = refused_targets(links)
    by_mail: dict[int, list[StoredLink]] = {}
    for link in links:
        by_mail.setdefault(link.message_id, []).append(link)
    walk = _Walk(known)
    proposals: list[Proposed] = []
    for mail in mails:
        is_wanted = wanted is None or mail.message_id in wanted
        own = [each for each in match_addresses(mail, known) if each.target not in refused] if is_wanted else []
        is_trusted = walk.trusts(mail)
        inherited = walk.inherit(mail, own) if is_trusted and walk.links else []
        proposals += own + [proposed for proposed in inherited if proposed.target not in refused]
        if is_trusted:
            walk.take(mail, own, by_mail.get(mail.message_id, ()))
    return proposals


def refused_targets(links: Iterable[StoredLink]) -> set[Target]:
    """Return what a person refused in this thread and nobody linked by hand."""
    refused, wanted = set(), set()
    for link in links:
        if link.is_rejected:
            refused.add(link.target)
        elif link.reason == BY_HAND:
            wanted.add(link.target)
    return refused - wanted


class _Walk:
    """Who is trusted in a thread, and which links it has so far."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.people: set[str] = set()
        self.companies: set[int] = set()
        self.links: dict[Target, int] = {}  # target → mail it was first linked in
        self.is_first = True

    def trusts(self, mail: MailFacts) -> bool:
        if mail.is_unverified:
            return False
        sender = mail.sender
        if self.is_first or mail.is_outgoing or sender in self.people:
            return True
        return bool(sender) and not self.companies.isdisjoint(companies_of(sender, self.known))

    def inherit(self, mail: MailFacts, own: Sequence[Proposed]) -> list[Proposed]:
        has = {proposed.target for proposed in own}
        room = max(0, MAX_LINKS - len(has))
        return [
            Proposed(mail.message_id, target, THREAD, {"message": source})
            for target, source in self.links.items()
            if target not in has
        ][:room]

    def take(self, mail: MailFacts, own: Sequence[Proposed], stored: Sequence[StoredLink]) -> None:
        self.is_first = False
        for role, address in mail.addresses:
            if role in ROLES and address and address not in self.people:
                self.people.add(address)
                if address not in self.known.own:
                    self.companies |= companies_of(address, self.known)
        targets = [proposed.target for proposed in own]
        targets += [link.target for link in stored if not link.is_rejected and link.reason != THREAD]
        for target in targets:
            self.links.setdefault(target, mail.message_id)
