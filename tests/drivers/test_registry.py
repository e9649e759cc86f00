"""The one visible list of drivers opens what it names."""

import pytest

from drivers import errors, registry
from drivers.fake.driver import FakeServer
from tests.drivers.contract import mail


def test_a_mailbox_is_opened_by_its_protocol(poor_server):
    poor_server.add_message("INBOX", mail(1))
    driver = registry.open_mailbox("imap", poor_server.address(), poor_server.login())
    assert driver.fetch_changes("INBOX", None, since=None, limit=5).total == 1
    driver.close()
    assert registry.sending_driver("smtp", poor_server.address(), None)


def test_an_unknown_protocol_is_a_key_error(poor_server):
    with pytest.raises(KeyError):
        registry.open_mailbox("uucp", poor_server.address(), poor_server.login())


def test_the_fake_fails_on_demand_and_remembers_its_calls():
    server = FakeServer()
    server.fail_next.append(errors.ServerBusy("later", retry_after=5))
    with pytest.raises(errors.ServerBusy):
        server.driver().open()
    with server.driver() as driver:
        driver.list_folders()
    assert server.calls == ["open", "open", "list_folders"]
