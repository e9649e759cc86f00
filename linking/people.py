"""Writes people together with what their mail's links need: save, merge, delete, import.

Invariant: a card and its links change in one transaction; merging moves every link, refusals too.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from contacts import services
from contacts.imports import ImportResult, import_table
from contacts.models import Company, Contact
from contacts.services import CompanyFields, ContactFields
from contacts.table import Table
from linking import past
from linking.models import MessageLink, Reason


def save_contact(*, fields: ContactFields, contact: Contact | None = None, user: User | None = None) -> Contact:
    """Make or change a contact and keep its links in step. Raises ValidationError by field.

    The mail of the past is noted only: call `past.link_past_mail` after the commit.
    """
    with transaction.atomic():
        contact, changes = services.save_contact(fields=fields, contact=contact, user=user)
        past.follow(changes, contact_id=contact.pk)
    return contact


def save_company(*, fields: CompanyFields, company: Company | None = None, user: User | None = None) -> Company:
    """Make or change a company and keep its links in step. Raises ValidationError by field; see save_contact."""
    with transaction.atomic():
        company, changes = services.save_company(fields=fields, company=company, user=user)
        past.follow(changes, company_id=company.pk)
    return company


def merge_contacts(*, kept: Contact, merged: Contact) -> None:
    """Merge two contacts: addresses, phones, facts and links of `merged` go to `kept`. Cannot be undone."""
    with transaction.atomic():
        _move(MessageLink.objects.filter(contact=merged), MessageLink.objects.filter(contact=kept), contact=kept)
        for link in MessageLink.objects.filter(reason=Reason.CONTACT_COMPANY, evidence__contact=merged.pk).iterator():
            link.evidence["contact"] = kept.pk
            link.save(update_fields=["evidence"])
        services.merge_contacts(kept=kept, merged=merged)
        if kept.company_id is not None:  # mail of the other card is now mail of this company, or the other way round
            past.note_contact(kept.pk)


def merge_companies(*, kept: Company, merged: Company) -> None:
    """Merge two companies: people, domains, facts and links of `merged` go to `kept`. Cannot be undone."""
    with transaction.atomic():
        _move(MessageLink.objects.filter(company=merged), MessageLink.objects.filter(company=kept), company=kept)
        services.merge_companies(kept=kept, merged=merged)


def _move(links: QuerySet[MessageLink], existing: QuerySet[MessageLink], **target: Contact | Company) -> None:
    """Move links to another record. Where both are linked, one link stays; it stands if either stood."""
    both = existing.filter(message__in=links.values("message"))
    both.filter(is_rejected=True, message__in=links.filter(is_rejected=False).values("message")).update(
        is_rejected=False
    )
    links.filter(message__in=list(both.values_list("message_id", flat=True))).delete()
    links.update(**target)


def delete_contact(*, contact: Contact) -> None:
    """Delete a contact and the links that rest on it; mail that another reason links to its company stays linked."""
    contact_id, company_id = contact.pk, contact.company_id
    with transaction.atomic():
        services.delete_contact(contact=contact)
        if company_id is not None:
            past.unlink_employer(contact_id=contact_id, company_id=company_id)


def import_people(table: Table, *, user: User | None = None) -> ImportResult:
    """Import a table of people; the mail of the past is noted, see save_contact. One transaction."""
    with transaction.atomic():
        result = import_table(table, user=user)
        past.note_past_mail(addresses=result.added_addresses, domains=result.added_domains)
        past.note_contact(*result.joined_companies)
    return result


def save_card(
    *, fields: ContactFields, company_name: str, new_domain: str, contact: Contact | None, user: User | None
) -> Contact:
    """Make or change a contact whose company is given by name; one that is not there yet is made, with `new_domain`.

    Raises ValidationError by field. See save_contact.
    """
    with transaction.atomic():
        company = _company_named(company_name.strip(), new_domain, contact, user)
        return save_contact(
            fields=replace(fields, company_id=company.pk if company else None), contact=contact, user=user
        )


def _company_named(name: str, new_domain: str, contact: Contact | None, user: User | None) -> Company | None:
    if not name:
        return None
    if contact and contact.company and contact.company.name.casefold() == name.casefold():
        return contact.company
    company = Company.objects.filter(name__iexact=name).order_by("id").first()
    if company is None:
        domains = [new_domain] if new_domain else []
        company = save_company(fields=CompanyFields(name=name, domains=domains), user=user)
    return company
