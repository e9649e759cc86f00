"""Aliases: other addresses of a mailbox.

Invariants: nothing here tells whether an address is connected by somebody else; what an alias changes stays inside its
mailbox (direction, sender). Whether the server lets mail leave from it is the server's word at sending.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Alias, EmailAccount
from base.addresses import clean_line, is_valid, normalise_address

ALIASES_MOST = 50  # of one mailbox


class AliasRefused(Exception):
    """The address cannot be an alias of this mailbox; the text says why, for the person."""


@transaction.atomic
def add_alias(email_account: EmailAccount, *, address: str, display_name: str = "") -> Alias:
    """Let mail be sent from `address` with this mailbox, and count it as its own. Raises AliasRefused."""
    address = clean_line(address, 320).strip()
    key = normalise_address(address)
    if not key or not is_valid(address):
        raise AliasRefused(_("This is not an email address. Nothing was added."))
    EmailAccount.objects.select_for_update().get(pk=email_account.pk)
    if key == email_account.address_key or email_account.aliases.filter(address_key=key).exists():
        raise AliasRefused(_("This mailbox has that address already."))
    if email_account.aliases.count() >= ALIASES_MOST:
        raise AliasRefused(_("A mailbox takes %(count)s aliases at most.") % {"count": ALIASES_MOST})
    return Alias.objects.create(
        email_account=email_account, address=address, address_key=key, display_name=clean_line(display_name, 200)
    )


def remove_alias(email_account: EmailAccount, *, alias_id: int) -> None:
    """Take an alias away. Mail that was sent from it stays what it is."""
    email_account.aliases.filter(pk=alias_id).delete()
