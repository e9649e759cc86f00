"""Where the Exchange service of an address is, asked without a secret (drivers.ews.autodiscover has the rules)."""

from __future__ import annotations

from django.conf import settings

from drivers.ews.autodiscover import Found, find_service
from drivers.types import Security, ServerAddress

TIMEOUT = 4.0  # seconds for each step: a person waits
PORT = 443


def find_exchange(address: str, *, ca_bundle: str = "") -> Found | None:
    """The service that Autodiscover names for this address; None where nobody does."""
    door = ServerAddress("", PORT, Security.SSL, ca_bundle, settings.PRIVATE_NETWORKS, TIMEOUT)
    return find_service(address, door)
