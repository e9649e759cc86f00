"""The contract of mailbox drivers, kept by the fake, by IMAP on a real Dovecot, on a poor server and on Gmail."""

import pytest

from drivers.types import Security
from tests.drivers.contract import MailboxContract
from tests.drivers.worlds import DovecotWorld, EwsWorld, FakeWorld, MiniWorld
from tests.servers.ews import poor


class TestFake(MailboxContract):
    @pytest.fixture
    def world(self):
        return FakeWorld()


class TestPoorServer(MailboxContract):
    @pytest.fixture
    def world(self, poor_server):
        return MiniWorld(poor_server)


class TestGmail(MailboxContract):
    @pytest.fixture
    def world(self, gmail_server):
        return MiniWorld(gmail_server)


class TestExchange(MailboxContract):
    @pytest.fixture
    def world(self, ews_server):
        return EwsWorld(ews_server)


class TestAnotherExchange(MailboxContract):
    """Its sources are made anew, its times carry nine decimals."""

    @pytest.fixture
    def world(self, ews_server):
        ews_server.regenerates, ews_server.decimals = True, 9
        return EwsWorld(ews_server)


class TestAPoorExchange(MailboxContract):
    """It lacks all that a client can do without: named properties, ChangeKeys, counts, streams, some times."""

    @pytest.fixture
    def world(self, ews_server):
        poor.poor(ews_server)
        return EwsWorld(ews_server)


@pytest.mark.servers
class TestDovecot(MailboxContract):
    @pytest.fixture
    def world(self, dovecot, dovecot_user):
        return DovecotWorld(dovecot, dovecot_user, Security.STARTTLS)


@pytest.mark.servers
class TestDovecotWithoutExtensions(MailboxContract):
    """The real server spoken to as an old one: flags and absence are found by comparing."""

    @pytest.fixture
    def world(self, plain_dovecot, dovecot_user):
        return DovecotWorld(plain_dovecot, dovecot_user, Security.SSL)
