"""Fixtures of the room: fake servers and a provider that they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers.models import Provider
from tests.accounts.fake_servers import FakeServers, fake_servers
from tests.factories import ProviderDomainFactory, ProviderFactory, ProviderServerFactory


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServers]:
    """IMAP and SMTP without a network."""
    with fake_servers(monkeypatch) as found:
        yield found


@pytest.fixture
def provider(db: Any) -> Provider:
    """Nordlys Post runs nordlys.example."""
    made = ProviderFactory(key="nordlys-post", name="Nordlys Post")
    ProviderServerFactory(provider=made, protocol="imap", host="imap.nordlys.example", port=993)
    ProviderServerFactory(provider=made, protocol="smtp", host="smtp.nordlys.example", port=465)
    ProviderDomainFactory(domain="nordlys.example", provider=made)
    return made
