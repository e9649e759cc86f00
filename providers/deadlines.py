"""Dates on which big providers switch something off that mailboxes here may use. Data, as known on 2026-11-23.

Pure. Each says which mailboxes it concerns; `notifications.radar` tells who can act, 30, 7 and 1 days before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Deadline:
    """`kinds`: Provider.oauth_kind of the providers concerned; `protocol` and `secret` ("password", "oauth2", "" for any)
    narrow it to mailboxes that use them. `title` and `mend` are lazy sentences, `link` a page of the provider."""

    key: str
    on: date
    kinds: tuple[str, ...]
    protocol: str
    secret: str
    title: object
    mend: object
    link: str


DEADLINES = (
    Deadline(
        key="microsoft-smtp-password",
        on=date(2026, 12, 31),
        kinds=("microsoft",),
        protocol="smtp",
        secret="password",  # noqa: S106 - the name of a kind
        title=_("Microsoft 365 switches sending with a password off by default."),
        mend=_("Sign in with Microsoft instead, or have the mail administrator allow SMTP AUTH for this mailbox."),
        link="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission",
    ),
    Deadline(
        key="microsoft-ews",
        on=date(2027, 4, 1),
        kinds=("microsoft",),
        protocol="ews",
        secret="",
        title=_("Microsoft 365 ends Exchange Web Services for good."),
        mend=_("Connect this mailbox by IMAP and SMTP: sign in with Microsoft."),
        link="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-ews-exchange-online",
    ),
)
