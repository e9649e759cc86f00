"""No test of this room asks a real name server."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command

from providers.discovery import mx
from tests.servers.dns import DnsServer


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    """A name server that knows nothing; tests fill `zones`."""
    with DnsServer({}) as server:
        monkeypatch.setattr(mx, "NAME_SERVERS", (server.address,))
        yield server


@pytest.fixture
def catalogue(db: None) -> None:
    """The bundled catalogue in the database."""
    call_command("load_providers", verbosity=0, stdout=StringIO())
