"""Links between a message and a contact, a company or another record, each with its reason.

Invariant: a link that a person rejected is kept (`is_rejected`), so the machine does not make it again.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Company, Contact
from mail.models import Message


class Reason(models.TextChoices):
    """Why a link was made."""

    CONTACT_ADDRESS = "contact_address", _("The address is in this contact’s card")
    COMPANY_DOMAIN = "company_domain", _("The domain belongs to this company")
    CONTACT_COMPANY = "contact_company", _("The contact works there")
    THREAD = "thread", _("An earlier mail of this thread is linked")
    BY_HAND = "by_hand", _("Linked by hand")


class MessageLink(models.Model):
    """message ↔ contact xor company. `evidence`: {"role": "from", "address": …} and the like, shown with the reason."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, db_index=False, related_name="links")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.CASCADE, db_index=False, related_name="links"
    )
    company = models.ForeignKey(
        Company, null=True, blank=True, on_delete=models.CASCADE, db_index=False, related_name="links"
    )
    reason = models.CharField(max_length=20, choices=Reason.choices)
    evidence = models.JSONField(default=dict)
    is_rejected = models.BooleanField(default=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(contact__isnull=True) ^ models.Q(company__isnull=True),
                name="link_to_exactly_one_record",
            ),
            models.UniqueConstraint(fields=["message", "contact"], name="one_link_per_contact"),
            models.UniqueConstraint(fields=["message", "company"], name="one_link_per_company"),
        ]
        indexes = [
            models.Index(
                fields=["contact", "-message"], name="links_of_a_contact", condition=models.Q(contact__isnull=False)
            ),
            models.Index(
                fields=["company", "-message"], name="links_of_a_company", condition=models.Q(company__isnull=False)
            ),
            models.Index(fields=["made_by"], name="links_made_by", condition=models.Q(made_by__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} ↔ {self.contact or self.company}"


class PastMail(models.Model):
    """Addresses and domains whose mail of the past is still to be linked, newest first; deleted when it is done."""

    addresses = models.JSONField(default=list)  # normalised, at most linking.past.IN_ONE_ROW
    domains = models.JSONField(default=list)
    below = models.BigIntegerField(null=True)  # mails with a lower id remain; None: all
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{len(self.addresses)} addresses, {len(self.domains)} domains below {self.below}"
