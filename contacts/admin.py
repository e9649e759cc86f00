"""Contacts and companies for administrators: found, looked at, deleted. They are written in the panel, where addresses
are normalised and links kept in step; no mail is shown here.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from contacts.models import Company, CompanyDomain, Contact, ContactAddress, ContactPhone


class LookOnly:
    """Neither added nor changed here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: made in the panel."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: changed in the panel."""
        return False


class AddressInline(LookOnly, admin.TabularInline):
    """Addresses of a contact."""

    model = ContactAddress
    extra = 0


class PhoneInline(LookOnly, admin.TabularInline):
    """Phones of a contact."""

    model = ContactPhone
    extra = 0


class DomainInline(LookOnly, admin.TabularInline):
    """Domains of a company."""

    model = CompanyDomain
    extra = 0


@admin.register(Contact)
class ContactAdmin(LookOnly, admin.ModelAdmin):
    """People."""

    list_display = ["__str__", "job_title", "company", "created_at"]
    list_select_related = ["company"]
    search_fields = ["first_name", "last_name", "addresses__address", "company__name"]
    inlines = [AddressInline, PhoneInline]


@admin.register(Company)
class CompanyAdmin(LookOnly, admin.ModelAdmin):
    """Organisations."""

    list_display = ["name", "website", "created_at"]
    search_fields = ["name", "domains__domain"]
    inlines = [DomainInline]
