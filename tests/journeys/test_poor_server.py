"""A server with nothing but RFC 3501 gives the same mailbox as a rich one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.journeys.conftest import Installation
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.poor import PoorServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
ANNA = "anna@example.com"
MAILBOX = (
    "SELECT m.message_id, m.subject, m.from_address, m.is_read, m.snippet, c.text, f.remote_id FROM mail_message m"
    " JOIN mail_messagecontent c ON c.message_id = m.id JOIN mail_copy k ON k.message_id = m.id"
    " JOIN mail_folder f ON f.id = k.folder_id ORDER BY 1"
)


def test_poor_and_rich_give_the_same_mailbox(
    install: Callable[[], Installation],
    dovecot_with: Callable[[DovecotOptions], Dovecot],
    poor_server: PoorServer,
) -> None:
    mails = list(letters(150, seed=5))
    rich = dovecot_with(DovecotOptions())
    rich.add_messages(ANNA, "INBOX", mails)
    for raw in mails:
        poor_server.add_message("INBOX", raw)
    one, other = install(), install()
    one.connect(rich.address(), rich.login(ANNA), ANNA)
    other.connect(poor_server.address(), poor_server.login(), ANNA)
    assert one.json("sync_account", ANNA)["stored"] == 150
    assert other.json("sync_account", ANNA)["stored"] == 150
    assert one.rows(MAILBOX) == other.rows(MAILBOX)
    assert other.json("sync_account", ANNA)["unaccounted"] == 0
