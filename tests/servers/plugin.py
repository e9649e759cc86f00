"""Fixtures of the mail servers for any test: `dovecot` (one per module, fresh users), `gmail_server`, `poor_server`.

Real servers are skipped where they are not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.ews import EwsServer
from tests.servers.gmail import GmailServer
from tests.servers.oidc_server import OidcServer
from tests.servers.poor import PoorServer

USERS = tuple(f"user{number}@example.com" for number in range(150))


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """A Dovecot with sixty users, SSL, STARTTLS and plain (loopback)."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with Dovecot(DovecotOptions(users=USERS)) as server:
        yield server


@pytest.fixture(scope="module")
def plain_dovecot() -> Iterator[Dovecot]:
    """A Dovecot that announces nothing but UIDPLUS: a client works as with an old server."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with Dovecot(DovecotOptions(users=USERS, capability="IMAP4rev1 SASL-IR UIDPLUS", special_use=True)) as server:
        yield server


@pytest.fixture
def dovecot_with() -> Iterator[Callable[[DovecotOptions], Dovecot]]:
    """Start Dovecots of any kind; all end with the test."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    running: list[Dovecot] = []

    def start(options: DovecotOptions) -> Dovecot:
        running.append(Dovecot(options).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def _next_user() -> Iterator[str]:
    return iter(USERS)


@pytest.fixture
def dovecot_user(_next_user: Iterator[str]) -> str:
    """A user of the module's Dovecot whom no other test has."""
    return next(_next_user)


@pytest.fixture
def gmail_server() -> Iterator[GmailServer]:
    """A scripted Gmail."""
    with GmailServer() as server:
        yield server


@pytest.fixture
def poor_server() -> Iterator[PoorServer]:
    """A server with nothing but RFC 3501."""
    with PoorServer() as server:
        yield server


@pytest.fixture
def ews_server() -> Iterator[EwsServer]:
    """An Exchange Server in memory; nothing that a test's client said may break the schema."""
    with EwsServer() as server:
        yield server
        assert server.violations == []


@pytest.fixture(scope="session")
def oidc() -> Iterator[OidcServer]:
    """The authorization server of the sign-in tests; a failing installation fails the test with npm's words."""
    with OidcServer() as server:
        yield server


@pytest.fixture
def oidc_ca(oidc: OidcServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the authority that its certificate comes from."""
    file = tmp_path_factory.mktemp("oidc") / "ca.pem"
    file.write_text(oidc.authority.pem)
    return str(file)
