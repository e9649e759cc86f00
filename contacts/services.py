"""Writes contacts and companies.

Invariants: an address belongs to one contact and a domain to one company; a public mail domain belongs to none; merging
loses nothing. Links follow in linking.people, which calls these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from base.addresses import clean_line, normalise_address
from contacts.models import Company, CompanyDomain, Contact, ContactAddress, ContactPhone
from contacts.queries import public_mail_domains
from contacts.reading import Phone, read_domain, read_phone

MAX_ADDRESSES = 50  # of one contact; also domains of one company and phones
MAX_NOTES = 20_000


@dataclass(frozen=True, slots=True)
class ContactFields:
    """What a contact's form holds. Addresses and phones as written, in their order."""

    first_name: str = ""
    last_name: str = ""
    job_title: str = ""
    company_id: int | None = None
    notes: str = ""
    addresses: Sequence[str] = ()
    phones: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CompanyFields:
    """What a company's form holds. Domains as written."""

    name: str = ""
    website: str = ""
    notes: str = ""
    domains: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, for whoever keeps links in step."""

    added_addresses: tuple[str, ...] = ()
    removed_addresses: tuple[str, ...] = ()
    added_domains: tuple[str, ...] = ()
    removed_domains: tuple[str, ...] = ()
    old_company_id: int | None = None
    company_id: int | None = None


@dataclass(slots=True)
class _Mistakes:
    by_field: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        self.by_field.setdefault(name, []).append(text)

    def raise_any(self) -> None:
        if self.by_field:
            raise ValidationError({name: list(texts) for name, texts in self.by_field.items()})


@contextmanager
def _taken_meanwhile(name: str) -> Iterator[None]:
    """Turn the unique constraint's error (two people saved the same at once) into one of the form's field."""
    try:
        yield
    except IntegrityError:
        raise ValidationError({name: [_("Somebody just saved the same in another card. Open it and look.")]})


def save_contact(
    *, fields: ContactFields, contact: Contact | None = None, user: User | None = None
) -> tuple[Contact, Changes]:
    """Make or change a contact. Raises ValidationError by field (first_name, addresses, phones)."""
    with _taken_meanwhile("addresses"), transaction.atomic():
        addresses, phones = _check_contact(fields, contact)
        contact = contact or Contact(created_by=user)
        old_company = contact.company_id
        contact.first_name = clean_line(fields.first_name, 150)
        contact.last_name = clean_line(fields.last_name, 150)
        contact.job_title = clean_line(fields.job_title, 200)
        contact.company_id = fields.company_id
        contact.notes = fields.notes.replace("\x00", "")[:MAX_NOTES]
        contact.save()
        added, removed = _set_addresses(contact, addresses)
        _set_phones(contact, phones)
    return contact, Changes(added, removed, old_company_id=old_company, company_id=contact.company_id)


def _check_contact(fields: ContactFields, contact: Contact | None) -> tuple[list[str], list[Phone]]:
    mistakes = _Mistakes()
    addresses: list[str] = []
    for written in _given(fields.addresses):
        address = normalise_address(written)
        if not address:
            mistakes.add("addresses", _("“%s” is not an email address.") % clean_line(written, 100))
        elif address not in addresses:
            addresses.append(address)
    for taken in (
        ContactAddress.objects.filter(address__in=addresses).exclude(contact=contact).select_related("contact")
    ):
        mistakes.add(
            "addresses",
            _("%(address)s is already in the card of %(name)s.") % {"address": taken.address, "name": taken.contact},
        )
    phones: dict[str, Phone] = {}
    for written in _given(fields.phones):
        phone = read_phone(written)
        if phone is None:
            mistakes.add("phones", _("“%s” is not a phone number.") % clean_line(written, 100))
        else:
            phones.setdefault(phone.number, phone)
    if not (fields.first_name.strip() or fields.last_name.strip() or addresses):
        mistakes.add("first_name", _("Give a name or an email address."))
    mistakes.raise_any()
    return addresses, list(phones.values())


def _given(values: Iterable[str]) -> list[str]:
    return [value.strip() for value in values if value.strip()][:MAX_ADDRESSES]


def _set_addresses(contact: Contact, addresses: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    has = {row.address: row for row in contact.addresses.all()}
    removed = tuple(address for address in has if address not in addresses)
    contact.addresses.filter(address__in=removed).delete()
    for position, address in enumerate(addresses):
        if address not in has:
            ContactAddress.objects.create(contact=contact, address=address, position=position)
        elif has[address].position != position:
            contact.addresses.filter(address=address).update(position=position)
    return tuple(address for address in addresses if address not in has), removed


def _set_phones(contact: Contact, phones: Sequence[Phone]) -> None:
    contact.phones.exclude(number__in=[phone.number for phone in phones]).delete()
    for position, phone in enumerate(phones):
        contact.phones.update_or_create(number=phone.number, defaults={"written": phone.written, "position": position})


def save_company(
    *, fields: CompanyFields, company: Company | None = None, user: User | None = None
) -> tuple[Company, Changes]:
    """Make or change a company. Raises ValidationError by field (name, domains)."""
    with _taken_meanwhile("domains"), transaction.atomic():
        domains = _check_company(fields, company)
        company = company or Company(created_by=user)
        company.name = clean_line(fields.name, 200)
        company.website = clean_line(fields.website, 300)
        company.notes = fields.notes.replace("\x00", "")[:MAX_NOTES]
        company.save()
        has = set(company.domains.values_list("domain", flat=True))
        removed = tuple(sorted(has - set(domains)))
        added = tuple(domain for domain in domains if domain not in has)
        company.domains.filter(domain__in=removed).delete()
        CompanyDomain.objects.bulk_create(CompanyDomain(company=company, domain=domain) for domain in added)
    return company, Changes(added_domains=added, removed_domains=removed)


def _check_company(fields: CompanyFields, company: Company | None) -> list[str]:
    mistakes = _Mistakes()
    if not clean_line(fields.name, 200):
        mistakes.add("name", _("Give the company a name."))
    domains: dict[str, None] = {}
    for written in _given(fields.domains):
        domain = read_domain(written)
        if domain:
            domains[domain] = None
        else:
            mistakes.add("domains", _("“%s” is not a mail domain.") % clean_line(written, 100))
    for domain in sorted(public_mail_domains(domains)):
        mistakes.add("domains", _("%s is a public mail service: its users do not work for one company.") % domain)
    for taken in (
        CompanyDomain.objects.filter(domain__in=list(domains)).exclude(company=company).select_related("company")
    ):
        mistakes.add(
            "domains", _("%(domain)s already belongs to %(name)s.") % {"domain": taken.domain, "name": taken.company}
        )
    website = clean_line(fields.website, 300)
    if website:
        try:
            URLValidator(schemes=["http", "https"])(website)
        except ValidationError:
            mistakes.add("website", _("“%s” is not a web address; it begins with https://.") % website[:100])
    mistakes.raise_any()
    return list(domains)


def merge_contacts(*, kept: Contact, merged: Contact) -> None:
    """Move everything of `merged` to `kept` and delete it: addresses, phones, notes, and facts that `kept` lacks.

    Links are moved by linking.people.merge_contacts, which calls this last. Raises ValueError for one and the same.
    """
    if kept.pk == merged.pk:
        raise ValueError("a contact cannot be merged into itself")
    with transaction.atomic():
        for name in ("first_name", "last_name", "job_title", "company_id", "created_by_id"):
            if not getattr(kept, name):
                setattr(kept, name, getattr(merged, name))
        kept.notes = _both(kept.notes, merged.notes)
        kept.save()
        start = kept.addresses.count()
        for position, address in enumerate(merged.addresses.all(), start):
            ContactAddress.objects.filter(pk=address.pk).update(contact=kept, position=position)
        has = set(kept.phones.values_list("number", flat=True))
        for position, phone in enumerate(merged.phones.exclude(number__in=has), len(has)):
            ContactPhone.objects.filter(pk=phone.pk).update(contact=kept, position=position)
        Contact.objects.get(pk=merged.pk).delete()


def merge_companies(*, kept: Company, merged: Company) -> None:
    """Move people, domains, notes and the website of `merged` to `kept` and delete it. Raises ValueError for the same."""
    if kept.pk == merged.pk:
        raise ValueError("a company cannot be merged into itself")
    with transaction.atomic():
        kept.website = kept.website or merged.website
        kept.notes = _both(kept.notes, merged.notes)
        kept.save()
        Contact.objects.filter(company=merged).update(company=kept)
        CompanyDomain.objects.filter(company=merged).update(company=kept)
        Company.objects.get(pk=merged.pk).delete()


def _both(kept: str, merged: str) -> str:
    return f"{kept}\n\n{merged}" if kept and merged and merged not in kept else kept or merged


def delete_contact(*, contact: Contact) -> None:
    """Delete a contact, its addresses, phones and links. Mail stays."""
    contact.delete()


def delete_company(*, company: Company) -> None:
    """Delete a company, its domains and links. Its people stay, without a company; mail stays."""
    company.delete()
