"""Reads contacts and companies. Every user of the installation sees all of them (mail is another matter: mail.queries)."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from base.addresses import domain_of, normalise_address, registrable_domain
from contacts.models import Company, CompanyDomain, Contact, ContactAddress
from providers.lookup import public_among

IN_ONE_QUERY = 5000  # values in one IN list
WORDS = 5  # words of a search that count


def public_mail_domains(domains: Iterable[str]) -> set[str]:
    """Return those of `domains` that are a public mail service's, or lie below one. One query per 5,000."""
    registered = {domain: registrable_domain(domain) or domain for domain in domains}
    every = sorted(set(registered) | set(registered.values()))
    public: set[str] = set()
    for start in range(0, len(every), IN_ONE_QUERY):
        public |= public_among(every[start : start + IN_ONE_QUERY])
    return {domain for domain, above in registered.items() if domain in public or above in public}


def contacts(search: str = "", *, without_company: bool = False) -> QuerySet[Contact]:
    """Return the contacts whose name, address, title or company holds every word of `search`, by name."""
    found = Contact.objects.select_related("company").prefetch_related("addresses")
    if without_company:
        found = found.filter(company=None)
    for word in _words(search):
        has_address = Exists(ContactAddress.objects.filter(contact=OuterRef("pk"), address__icontains=word))
        found = found.filter(
            Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
            | Q(job_title__icontains=word)
            | Q(company__name__icontains=word)
            | has_address
        )
    return found


def companies(search: str = "") -> QuerySet[Company]:
    """Return the companies whose name or domain holds every word of `search`, by name, with `people` counted."""
    found = Company.objects.prefetch_related("domains")
    for word in _words(search):
        has_domain = Exists(CompanyDomain.objects.filter(company=OuterRef("pk"), domain__icontains=word))
        found = found.filter(Q(name__icontains=word) | has_domain)
    return found.annotate(people=Count("contacts"))


def _words(search: str) -> list[str]:
    return search.replace("\x00", "")[:200].split()[:WORDS]


def contact_page(contact_id: int) -> Contact | None:
    """Return a contact with its company, addresses and phones, None if there is none."""
    found = Contact.objects.select_related("company", "created_by").prefetch_related("addresses", "phones")
    return found.filter(pk=contact_id).first()


def company_page(company_id: int) -> Company | None:
    """Return a company with its domains and people, None if there is none."""
    people = Prefetch("contacts", Contact.objects.prefetch_related("addresses"))
    return (
        Company.objects.select_related("created_by").prefetch_related("domains", people).filter(pk=company_id).first()
    )


def contact_of(address: str) -> Contact | None:
    """Return whose address this is."""
    row = ContactAddress.objects.filter(address=normalise_address(address)).select_related("contact__company").first()
    return row.contact if row else None


def company_of(address: str) -> Company | None:
    """Return the company whose domain (the longest one) this address lies in; None for public mail domains."""
    labels = domain_of(address).split(".")
    above = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    rows = CompanyDomain.objects.filter(domain__in=above).select_related("company")
    best = max(rows, key=lambda row: len(row.domain), default=None)
    return best.company if best and not public_mail_domains([best.domain]) else None


def suggest(search: str, *, limit: int = 8) -> tuple[list[Contact], list[Company]]:
    """Return the first contacts and companies for an autocomplete; nothing for an empty search."""
    if not search.strip():
        return [], []
    return list(contacts(search)[:limit]), list(companies(search)[:limit])


def free_domain(address: str) -> str:
    """Return the registered domain of an address that a new company could take, "" if public, taken or none."""
    domain = registrable_domain(domain_of(address))
    if not domain or public_mail_domains([domain]) or CompanyDomain.objects.filter(domain=domain).exists():
        return ""
    return domain
