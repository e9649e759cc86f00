"""Who runs the mail of the address of a set-up row: asked of the room *providers*, kept in the row."""

from __future__ import annotations

from accounts.models import MailboxSetup
from accounts.services.setups import choose_provider
from providers.lookup import find_provider


def identify(setup: MailboxSetup) -> bool:
    """Take the provider that the lookup names; returns False when nobody knows it (choose by hand)."""
    found = find_provider(setup.address, user=setup.user)
    if found is None:
        return False
    choose_provider(setup, found.provider, evidence=found.because)
    return True
