"""Whom a person may want to write to: contacts and correspondents of visible mailboxes, by frequency and recency.

Invariant: only addresses of contacts (shared by all users) and of mail that the person may see are ever suggested.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from accounts.queries import addresses_of
from accounts.shares import visible_accounts
from contacts.models import ContactAddress
from mail.models import MessageAddress
from outbox.models import OutgoingRecipient

CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An address to offer. `is_invalid`: mail to it came back for good."""

    name: str
    address: str
    contact_id: int | None = None
    company: str = ""
    uses: int = 0
    last_used_at: datetime | None = None
    is_invalid: bool = False


def suggest(user: Any, text: str, *, limit: int = 8) -> list[Suggestion]:
    """Suggestions for what was typed (two characters at least), best first.

    It may be the beginning of an address, of its domain, of a contact's names or of the company's name.
    """
    text = text.strip().lower()[:100]
    if len(text) < 2:
        return []
    found = {one.address: one for one in _written_to(user, text)}
    for row in _contacts(text):
        known = found.get(row.address)
        found[row.address] = Suggestion(
            str(row.contact),
            row.address,
            row.contact_id,
            row.contact.company.name if row.contact.company else "",
            known.uses if known else 0,
            known.last_used_at if known else None,
            row.invalid_since is not None,
        )
    return sorted(found.values(), key=_rank)[:limit]


def _rank(one: Suggestion) -> tuple[bool, float, bool, str]:
    age = (timezone.now() - one.last_used_at).days if one.last_used_at else 3650
    return one.is_invalid, -one.uses / (1 + age / 30), one.contact_id is None, one.address


def _contacts(text: str) -> list[ContactAddress]:
    wanted = Q(address__startswith=text) | Q(address__contains=f"@{text}") | Q(contact__company__name__istartswith=text)
    for word in text.split()[:3]:
        wanted |= Q(contact__first_name__istartswith=word) | Q(contact__last_name__istartswith=word)
    rows = ContactAddress.objects.filter(wanted).select_related("contact__company")
    words = text.split()
    if len(words) > 1:  # "ida li": every word must fit a name
        rows = [row for row in rows[:500] if all(w in f"{row.contact} {row.address}".lower() for w in words)]  # type: ignore[assignment]
    return list(rows[:CANDIDATES])


def _written_to(user: Any, text: str) -> list[Suggestion]:
    """Correspondents: those one wrote to from here count most, then those who wrote or were written to in visible mail."""
    names = {
        row["address_key"]: row["name"]
        for row in OutgoingRecipient.objects.filter(
            Q(address_key__startswith=text) | Q(name__istartswith=text), message__author=user
        )
        .order_by("pk")
        .values("address_key", "name")[:CANDIDATES]
    }
    fits = Q(correspondent__address__startswith=text) | Q(correspondent__domain__startswith=text)
    fits |= Q(correspondent__address__in=names)
    visible = visible_accounts(user)
    own = sorted(addresses_of(visible))[:500]
    rows = (
        MessageAddress.objects.filter(fits, message__email_account__in=visible)
        .exclude(correspondent__address__in=own)
        .values("correspondent__address")
        .annotate(uses=Count("pk"), last=Max("message__received_at"))
        .order_by("-last")[:CANDIDATES]
    )
    found = [
        Suggestion(
            names.get(row["correspondent__address"], ""),
            row["correspondent__address"],
            None,
            "",
            row["uses"],
            row["last"],
        )
        for row in rows
    ]
    seen = {one.address for one in found}
    return found + [Suggestion(name, address, uses=1) for address, name in names.items() if address not in seen]
