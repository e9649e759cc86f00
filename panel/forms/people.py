"""Forms of contacts and companies: they read what was typed; the rules are in contacts.services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from contacts.models import Company, Contact
from contacts.reading import show_phone
from contacts.services import CompanyFields, ContactFields
from contacts.table import MAX_BYTES

MAX_LINES = 50


class Lines(forms.CharField):
    """One value per line; a comma or semicolon separates too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=20_000, required=False, widget=forms.Textarea, **kwargs)

    def clean(self, value: Any) -> list[str]:
        """Return the values, blank lines left out."""
        text = super().clean(value)
        for separator in ",;":
            text = text.replace(separator, "\n")
        found = [line.strip() for line in text.splitlines() if line.strip()]
        if len(found) > MAX_LINES:
            raise ValidationError(_("At most %d lines fit here.") % MAX_LINES)
        return found


class PeopleForm(forms.Form):
    """Errors of a service, by field, become errors of the form."""

    def add_mistakes(self, error: ValidationError) -> None:
        """Take over what contacts.services refused."""
        for name, texts in error.message_dict.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)


class ContactForm(PeopleForm):
    """A contact's card. `company` is a name; one that is not there yet becomes a company."""

    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    job_title = forms.CharField(max_length=200, required=False)
    company = forms.CharField(max_length=200, required=False)
    company_domain = forms.CharField(max_length=253, required=False)  # given when a new company is offered its domain
    takes_domain = forms.BooleanField(required=False)
    addresses = Lines()
    phones = Lines()
    notes = forms.CharField(max_length=20_000, required=False, widget=forms.Textarea)

    def read(self) -> ContactFields:
        """What was typed, for the service."""
        data = self.cleaned_data
        names = ("first_name", "last_name", "job_title", "notes", "addresses", "phones")
        return ContactFields(**{name: data[name] for name in names})

    def new_domain(self) -> str:
        """The domain that a new company takes, "" for none."""
        return self.cleaned_data["company_domain"] if self.cleaned_data["takes_domain"] else ""


class CompanyForm(PeopleForm):
    """A company's card."""

    name = forms.CharField(max_length=200, required=False)
    website = forms.CharField(max_length=300, required=False)
    domains = Lines()
    notes = forms.CharField(max_length=20_000, required=False, widget=forms.Textarea)

    def read(self) -> CompanyFields:
        """What was typed, for the service."""
        return CompanyFields(**{name: self.cleaned_data[name] for name in ("name", "website", "domains", "notes")})


class ImportForm(forms.Form):
    """A CSV file."""

    file = forms.FileField()

    def clean_file(self) -> Any:
        """Return the file, refused above the cap."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise ValidationError(_("The file is larger than %d MB. Nothing was imported.") % (MAX_BYTES // 1024**2))
        return file


def contact_initial(contact: Contact) -> dict[str, str]:
    """What the form shows of a contact."""
    return {
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "job_title": contact.job_title,
        "company": contact.company.name if contact.company else "",
        "addresses": _lines(address.address for address in contact.addresses.all()),
        "phones": _lines(show_phone(phone.number) for phone in contact.phones.all()),
        "notes": contact.notes,
    }


def company_initial(company: Company) -> dict[str, str]:
    """What the form shows of a company."""
    return {
        "name": company.name,
        "website": company.website,
        "domains": _lines(row.domain for row in company.domains.all()),
        "notes": company.notes,
    }


def _lines(values: Iterable[str]) -> str:
    return "\n".join(values)
