"""Templates: personal or shared, filled by a tiny field syntax (outbox.templating), never by a template engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from contacts.models import Contact
from outbox.errors import NotAllowed
from outbox.letter_html import clean_written
from outbox.models import Template
from outbox.templating import Filled, fields_of, fill


@dataclass(frozen=True, slots=True)
class TemplateFields:
    """What a person writes into a template."""

    name: str
    subject: str = ""
    html: str = ""
    is_shared: bool = False


def _require_owner(user: Any, template: Template) -> None:
    if template.owner_id != user.pk and not (template.owner_id is None and user.is_staff):
        raise NotAllowed(_("This template is not yours to change."))


@transaction.atomic
def save_template(*, user: Any, fields: TemplateFields, template: Template | None = None) -> Template:
    """Make or change a template. Shared ones (no owner) are an administrator's. Raises NotAllowed."""
    if fields.is_shared and not user.is_staff:
        raise NotAllowed(_("Only an administrator may share a template with everybody."))
    if template is not None:
        _require_owner(user, template)
    row = template or Template()
    row.owner = None if fields.is_shared else user
    row.name, row.subject, row.html = fields.name.strip()[:120], fields.subject[:300], clean_written(fields.html)
    row.save()
    return row


def delete_template(*, user: Any, template: Template) -> None:
    """Delete a template of one's own (a shared one: an administrator). Raises NotAllowed."""
    _require_owner(user, template)
    template.delete()


def fill_template(*, user: Any, template: Template, contact: Contact | None = None, sender: str = "") -> Filled:
    """Subject and HTML with the fields filled in, and the names of those that had no value. `sender` is an address."""
    if template.owner_id not in (None, user.pk):
        raise NotAllowed(_("This template is not yours."))
    return fill(template.subject, template.html, fields_of(user, contact, sender))
