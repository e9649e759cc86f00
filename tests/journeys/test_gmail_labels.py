"""Gmail's labels: one mail under several labels is one message with a copy for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.journeys.conftest import Installation
from tests.journeys.letters import letters
from tests.servers.gmail import ALL_MAIL, GmailServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
ANNA = "anna@example.com"


def test_one_mail_under_three_labels_is_one_message_with_three_copies(
    install: Callable[[], Installation], gmail_server: GmailServer
) -> None:
    labelled, archived, plain = letters(3, seed=3)
    gmail_server.add_labelled(labelled, "INBOX", "Projects")  # and All Mail: three
    gmail_server.add_labelled(archived, ALL_MAIL)
    gmail_server.add_labelled(plain, "INBOX")
    here = install()
    here.connect(gmail_server.address(), gmail_server.login(), ANNA)
    figures = here.json("sync_account", ANNA)
    assert figures["unaccounted"] == figures["pending"] == figures["failed"] == 0
    copies = here.rows(
        "SELECT m.message_id, count(*), count(DISTINCT c.folder_id) FROM mail_message m"
        " JOIN mail_copy c ON c.message_id = m.id GROUP BY m.id ORDER BY 1"
    )
    assert copies == [("3.0@firm.example", 3, 3), ("3.1@firm.example", 1, 1), ("3.2@firm.example", 2, 2)]


def test_taking_a_label_away_keeps_the_message(install: Callable[[], Installation], gmail_server: GmailServer) -> None:
    (raw,) = letters(1, seed=4)
    gmail_server.add_labelled(raw, "INBOX", "Projects")
    here = install()
    here.connect(gmail_server.address(), gmail_server.login(), ANNA)
    here.json("sync_account", ANNA)
    gmail_server.remove_message("Projects", "1")
    figures = here.json("sync_account", ANNA)
    assert figures["unaccounted"] == 0
    assert here.rows("SELECT count(*), count(gone_at) FROM mail_message") == [(1, 0)]
    assert here.rows("SELECT count(*) FROM mail_copy") == [(2,)]
