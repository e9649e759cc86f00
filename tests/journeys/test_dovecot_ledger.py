"""Against a real Dovecot on PostgreSQL: the ledger's sets are the server's, seen by an independent client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from imapclient import imap_utf7

from drivers.types import Security
from tests.journeys.conftest import Installation, independent_uids
from tests.journeys.letters import letters
from tests.servers.dovecot import Dovecot, DovecotOptions

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
ANNA = "anna@example.com"
FIGURES = ("on_server", "stored", "filtered", "failed", "pending")


def _fill(server: Dovecot, folders: dict[str, int]) -> None:
    for number, (folder, count) in enumerate(folders.items()):
        server.add_messages(ANNA, folder, letters(count, seed=number + 1))


def _wire(folders: dict[str, int]) -> dict[str, bytes]:
    return {name: imap_utf7.encode(name) for name in folders}


def test_ten_thousand_messages_over_tls_are_all_accounted_for(
    install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    folders = {"INBOX": 7000, "Sent": 1500, "Projects/Überraschung 日本": 1000, "Projects/Porto 2027": 500}
    server = dovecot_with(DovecotOptions())
    _fill(server, folders)
    server.add_messages(ANNA, "Junk", letters(5, seed=99))
    here = install()
    login = server.login(ANNA)
    here.connect(server.address(Security.SSL), login, ANNA)
    figures = here.json("sync_account", ANNA)
    assert {name: figures[name] for name in FIGURES} == {
        "on_server": 10_000, "stored": 10_000, "filtered": 0, "failed": 0, "pending": 0,
    }  # fmt: skip
    assert here.uids() == independent_uids(server.port, login, _wire(folders))
    stored = here.rows("SELECT count(*), count(DISTINCT message_id) FROM mail_message")
    assert stored == [(10_000, 10_000)]
    bodies = here.rows("SELECT count(*) FROM mail_messagecontent WHERE length(text) < 20")
    assert bodies == [(0,)], "each message has its text"

    again = here.json("sync_account", ANNA)
    assert again["stored"] == 10_000
    here.rows("DELETE FROM mail_copy WHERE uid = 17 AND folder_id = (SELECT id FROM mail_folder WHERE role = 'inbox')")
    assert here.json("mailbox_status", ANNA)["unaccounted"] == 1
    assert here.json("sync_account", ANNA)["unaccounted"] == 0
    assert here.uids() == independent_uids(server.port, login, _wire(folders))
    assert here.rows("SELECT count(*) FROM mail_message") == [(10_000,)]


@pytest.mark.parametrize("separator", [".", "/", "^"])
def test_starttls_odd_separators_and_no_special_use(
    separator: str, install: Callable[[], Installation], dovecot_with: Callable[[DovecotOptions], Dovecot]
) -> None:
    server = dovecot_with(DovecotOptions(special_use=False, separator=separator))
    nested = f"Angebote{separator}Köln & Böhn"
    folders = {"INBOX": 40, "Gesendet": 7, nested: 9}
    _fill(server, folders)
    server.add_messages(ANNA, "Papierkorb", letters(3, seed=77))
    here = install()
    login = server.login(ANNA)
    here.connect(server.address(Security.STARTTLS), login, ANNA)
    figures = here.json("sync_account", ANNA)
    assert (figures["on_server"], figures["stored"], figures["unaccounted"]) == (56, 56, 0)
    assert here.uids() == independent_uids(server.port, login, _wire(folders))
    paths = {tuple(folder["path"]) for folder in figures["folders"]}
    assert ("Angebote", "Köln & Böhn") in paths
    roles = {folder["path"][-1]: folder["role"] for folder in figures["folders"]}
    assert roles["Gesendet"] == "sent", "the role is found by the name where the server does not tell it"
    assert "Papierkorb" not in roles
