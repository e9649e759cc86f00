"""People and companies, their addresses, domains and phones.

Invariants: an address belongs to one contact, a domain to one company; a public mail domain to none.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.reading import show_phone


class Company(models.Model):
    """An organisation: the CRM account."""

    name = models.CharField(_("name"), max_length=200)
    website = models.URLField(_("website"), max_length=300, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["name"], name="companies_by_name")]

    def __str__(self) -> str:
        return self.name


class CompanyDomain(models.Model):
    """A domain whose mail is about this company (and subdomains of it)."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="domains")
    domain = models.CharField(_("domain"), max_length=253, unique=True)

    def __str__(self) -> str:
        return self.domain


class Contact(models.Model):
    """A person."""

    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    job_title = models.CharField(_("job title"), max_length=200, blank=True)
    company = models.ForeignKey(
        Company, verbose_name=_("company"), null=True, blank=True, on_delete=models.SET_NULL, related_name="contacts"
    )
    notes = models.TextField(_("notes"), blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["last_name", "first_name", "id"]
        indexes = [models.Index(fields=["last_name", "first_name"], name="contacts_by_name")]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or str(_("Unnamed contact"))


class ContactAddress(models.Model):
    """An email address of a contact, normalised; at most one contact has it."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(_("email address"), max_length=320, unique=True)
    position = models.PositiveSmallIntegerField(default=0)
    invalid_since = models.DateTimeField(null=True, blank=True, editable=False)  # mail to it came back for good
    invalid_reason = models.CharField(max_length=300, blank=True, editable=False)  # what a server said: hostile

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.address


class ContactPhone(models.Model):
    """A phone number: `number` as E.164 where it could be understood, `written` as given."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="phones")
    number = models.CharField(_("phone"), max_length=40)
    written = models.CharField(max_length=60, blank=True)
    kind = models.CharField(max_length=12, blank=True)  # mobile | work | ""
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["contact", "number"], name="one_row_per_phone")]

    def __str__(self) -> str:
        return self.shown

    @property
    def shown(self) -> str:
        """The number as people write it, internationally."""
        return show_phone(self.number)
