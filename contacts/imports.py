"""Imports people from a table, in bulk.

Invariants: a table imported twice makes nothing twice; what a card says already is never overwritten, only gaps are
filled; a bad row is named by its line and the others are imported; all in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from base.addresses import normalise_address
from contacts.models import Company, CompanyDomain, Contact, ContactAddress, ContactPhone
from contacts.queries import IN_ONE_QUERY, public_mail_domains
from contacts.reading import Phone, read_domain, read_phone
from contacts.table import BadRow, Row, Table

Value = TypeVar("Value")
NameKey = tuple[str, str, str]  # first name, last name, company, casefolded


@dataclass(slots=True)
class ImportResult:
    """What an import did, in rows of the file and records. `notes`: lines that were imported with something left out."""

    rows: int = 0
    contacts_made: int = 0
    contacts_filled: int = 0
    contacts_unchanged: int = 0
    companies_made: int = 0
    bad: list[BadRow] = field(default_factory=list)
    notes: list[BadRow] = field(default_factory=list)
    added_addresses: list[str] = field(default_factory=list)
    added_domains: list[str] = field(default_factory=list)
    joined_companies: list[int] = field(default_factory=list)  # contacts that were there and got a company


@dataclass(slots=True)
class _Person:
    """A row, read."""

    line: int
    cells: dict[str, str]
    address: str
    domain: str
    phone: Phone | None


def import_table(table: Table, *, user: User | None = None, is_trial: bool = False) -> ImportResult:
    """Import the rows of `table`; see the invariants. Returns what was done, in a trial what would be (nothing is)."""
    result = ImportResult(rows=len(table.rows) + len(table.bad), bad=list(table.bad))
    people = list(_read(table.rows, result))
    with transaction.atomic():
        companies = _Companies(people, result, user)
        companies.save(is_trial=is_trial)
        cards = _Cards(people, result, user)
        for person in people:
            cards.take(person, companies.of(person))
        cards.save(is_trial=is_trial)
    result.bad.sort(key=lambda bad: bad.line)
    return result


def _read(rows: Iterable[Row], result: ImportResult) -> Iterator[_Person]:
    """Yield the good rows; the others go to `result.bad`."""
    rows = list(rows)
    domains = {row.line: read_domain(row.cells["company_domain"]) for row in rows if row.cells["company_domain"]}
    public = public_mail_domains(set(domains.values()))
    for row in rows:
        cells, domain = row.cells, domains.get(row.line, "")
        address = normalise_address(cells["email"])
        phone = read_phone(cells["phone"]) if cells["phone"] else None
        if cells["email"] and not address:
            result.bad.append(BadRow(row.line, _("“%s” is not an email address") % cells["email"][:100]))
            continue
        if not (address or cells["first_name"] or cells["last_name"] or cells["company"]):
            result.bad.append(BadRow(row.line, _("Neither a name nor an email address nor a company")))
            continue
        if cells["company_domain"] and not domain:
            result.bad.append(BadRow(row.line, _("“%s” is not a mail domain") % cells["company_domain"][:100]))
            continue
        if cells["phone"] and phone is None:
            said = _("“%s” is not a phone number; the rest of the row counts") % cells["phone"][:60]
            result.notes.append(BadRow(row.line, said))
        if domain in public:
            said = (
                _("%s is a public mail service, which cannot be a company’s domain; the rest of the row counts")
                % domain
            )
            result.notes.append(BadRow(row.line, said))
            domain = ""
        yield _Person(row.line, cells, address, domain, phone)


class _Companies:
    """The companies of a file: found by domain, else by name, else made."""

    def __init__(self, people: list[_Person], result: ImportResult, user: User | None) -> None:
        self.people = people
        self.result = result
        self.user = user
        self.by_domain: dict[str, Company] = {}
        self.by_name: dict[str, Company] = {}
        self.new: list[Company] = []
        self.new_domains: list[CompanyDomain] = []
        domains = sorted({person.domain for person in people if person.domain})
        for some in _slices(domains):
            for row in CompanyDomain.objects.filter(domain__in=some).select_related("company"):
                self.by_domain[row.domain] = row.company
        if any(person.cells["company"] for person in people):
            for company in Company.objects.order_by("-id").only("id", "name").iterator():
                self.by_name[company.name.casefold()] = company

    def save(self, *, is_trial: bool) -> None:
        for person in self.people:
            self._take(person.cells["company"][:200], person.domain)
        if not is_trial:
            Company.objects.bulk_create(self.new, batch_size=1000)
            CompanyDomain.objects.bulk_create(self.new_domains, batch_size=1000)
        self.result.companies_made = len(self.new)
        self.result.added_domains = [row.domain for row in self.new_domains]

    def of(self, person: _Person) -> Company | None:
        return self.by_domain.get(person.domain) or self.by_name.get(person.cells["company"][:200].casefold())

    def _take(self, name: str, domain: str) -> None:
        if not (name or domain) or domain in self.by_domain:
            return
        company = self.by_name.get(name.casefold()) if name else None
        if company is None:
            company = Company(name=name or domain, created_by=self.user)
            self.new.append(company)
            self.by_name[company.name.casefold()] = company
        if domain:
            self.by_domain[domain] = company
            self.new_domains.append(CompanyDomain(company=company, domain=domain))


class _Cards:
    """The contacts of a file: found by address, those without one by name and company, else made."""

    def __init__(self, people: list[_Person], result: ImportResult, user: User | None) -> None:
        self.result = result
        self.user = user
        self.by_address: dict[str, Contact] = {}
        self.by_name: dict[NameKey, Contact] = {}
        self.new: list[Contact] = []
        self.filled: dict[int, Contact] = {}
        self.addresses: list[ContactAddress] = []
        self.phones: dict[tuple[int, str], ContactPhone] = {}
        self.touched: set[int] = set()
        self._load(people)

    def _load(self, people: list[_Person]) -> None:
        for some in _slices(sorted({person.address for person in people if person.address})):
            for row in ContactAddress.objects.filter(address__in=some).select_related("contact"):
                self.by_address[row.address] = row.contact
        last_names = {person.cells["last_name"][:150] for person in people if not person.address}
        for some in _slices(sorted(last_names)):
            for contact in Contact.objects.filter(last_name__in=some).select_related("company").order_by("-id"):
                company = contact.company.name if contact.company else ""
                self.by_name[_name_key(contact.first_name, contact.last_name, company)] = contact

    def take(self, person: _Person, company: Company | None) -> None:
        cells = person.cells
        if not (person.address or cells["first_name"] or cells["last_name"]):
            return  # the row was about a company only
        key = _name_key(cells["first_name"], cells["last_name"], company.name if company else "")
        contact = self.by_address.get(person.address) if person.address else self.by_name.get(key)
        if contact is None:
            contact = self._make(person, company, key)
        else:
            self._fill(contact, person, company)
        if person.phone:
            row = ContactPhone(contact=contact, number=person.phone.number, written=person.phone.written)
            self.phones.setdefault((id(contact) if contact.pk is None else contact.pk, row.number), row)

    def _make(self, person: _Person, company: Company | None, key: NameKey) -> Contact:
        cells = person.cells
        contact = Contact(
            first_name=cells["first_name"][:150],
            last_name=cells["last_name"][:150],
            job_title=cells["job_title"][:200],
            company=company,
            created_by=self.user,
        )
        self.new.append(contact)
        if person.address:
            self.by_address[person.address] = contact
            self.addresses.append(ContactAddress(contact=contact, address=person.address))
        else:
            self.by_name[key] = contact
        return contact

    def _fill(self, contact: Contact, person: _Person, company: Company | None) -> None:
        """Fill gaps of a card; what stands there stays."""
        cells = person.cells
        if contact.pk is not None:
            self.touched.add(contact.pk)
        before = (contact.first_name, contact.last_name, contact.job_title, contact.company_id)
        if not (contact.first_name or contact.last_name):
            contact.first_name, contact.last_name = cells["first_name"][:150], cells["last_name"][:150]
        contact.job_title = contact.job_title or cells["job_title"][:200]
        if contact.company_id is None and company is not None and contact.company is None:
            contact.company = company
            if contact.pk is not None:
                self.result.joined_companies.append(contact.pk)
                self.filled[contact.pk] = contact
        after = (contact.first_name, contact.last_name, contact.job_title, contact.company_id)
        if contact.pk is not None and before != after:
            self.filled[contact.pk] = contact

    def save(self, *, is_trial: bool) -> None:
        phones = self._new_phones()
        filled = set(self.filled) | {row.contact.pk for row in phones if row.contact.pk in self.touched}
        self.result.contacts_made = len(self.new)
        self.result.contacts_filled = len(filled)
        self.result.contacts_unchanged = len(self.touched - filled)
        self.result.added_addresses = [row.address for row in self.addresses]
        if is_trial:
            return
        Contact.objects.bulk_create(self.new, batch_size=1000)
        ContactAddress.objects.bulk_create(self.addresses, batch_size=1000)
        names = ["first_name", "last_name", "job_title", "company"]
        Contact.objects.bulk_update(self.filled.values(), names, batch_size=200)
        ContactPhone.objects.bulk_create(phones, batch_size=1000)

    def _new_phones(self) -> list[ContactPhone]:
        """Return the phones that the cards lack."""
        has: set[tuple[int, str]] = set()
        for some in _slices(sorted(self.touched)):
            has.update(ContactPhone.objects.filter(contact__in=some).values_list("contact_id", "number"))
        return [row for row in self.phones.values() if (row.contact.pk, row.number) not in has]


def _name_key(first: str, last: str, company: str) -> NameKey:
    return first[:150].casefold(), last[:150].casefold(), company.casefold()


def _slices(values: list[Value]) -> Iterator[list[Value]]:
    for start in range(0, len(values), IN_ONE_QUERY):
        yield values[start : start + IN_ONE_QUERY]
