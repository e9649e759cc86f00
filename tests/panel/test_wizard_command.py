"""`add_email_account` and `create_administrator`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Credential, EmailAccount, MailboxSetup, User
from drivers.errors import AuthenticationFailed, CertificateInvalid
from tests.accounts.fake_servers import RIGHT, FakeServers, fake_servers
from tests.factories import ProviderDomainFactory, UserFactory
from tests.panel.wizard_roles import nordlys_post

pytestmark = pytest.mark.django_db


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServers]:
    with fake_servers(monkeypatch) as found:
        yield found


def add(
    monkeypatch: Any, *arguments: str, password: str = RIGHT, user: str = "maren@crm.example"
) -> tuple[dict[str, Any], int]:
    """Run it with --json; returns (what it printed, exit code)."""
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    out = io.StringIO()
    base = ["--user", user, "--address", "maren@nordlys.example", "--password-stdin", "--json"]
    code = 0
    try:
        call_command("add_email_account", *base, *arguments, stdout=out)
    except SystemExit as error:
        code = int(error.code or 0)
    return json.loads(out.getvalue()), code


def test_the_lookup_decides_without_server_options(servers: FakeServers, monkeypatch: Any) -> None:
    ProviderDomainFactory(domain="nordlys.example", provider=nordlys_post())
    result, code = add(monkeypatch, "--create-user", "--period", "month")
    account = EmailAccount.objects.get()
    assert code == 0 and result["state"] == account.state == "active"
    assert (account.period, account.can_send) == ("month", True)
    assert account.since is not None and result["since"] == account.since.isoformat()
    assert account.owner.email == "maren@crm.example" and not account.owner.has_usable_password()
    assert not MailboxSetup.objects.exists() and Credential.objects.count() == 1


def test_imap_alone_is_receive_only(servers: FakeServers, monkeypatch: Any) -> None:
    UserFactory(username="maren", email="maren@crm.example")
    result, code = add(monkeypatch, "--imap", "[::1]:1143:none", "--username", "msolheim", user="maren")
    assert code == 0 and result["can_send"] is False
    server = EmailAccount.objects.get().servers.get()
    assert (server.host, server.port, server.security, server.user_name) == ("::1", 1143, "none", "msolheim")


def test_only_the_named_folders_are_followed(servers: FakeServers, monkeypatch: Any) -> None:
    _result, code = add(monkeypatch, "--create-user", "--imap", "h.example:993:ssl", "--folder", "inbox")
    assert code == 0
    assert [folder.remote_id for folder in EmailAccount.objects.get().folders.filter(is_followed=True)] == ["INBOX"]


def test_an_unknown_folder_leaves_nothing_behind(servers: FakeServers, monkeypatch: Any) -> None:
    result, code = add(monkeypatch, "--create-user", "--imap", "h.example:993:ssl", "--folder", "Nope")
    assert (result["error"], code) == ("folder", 2)
    assert not EmailAccount.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--imap", "h.example"], "servers"),
        (["--smtp", "h.example:465:ssl"], "servers"),
        (["--ews", "ftp://mail.example/EWS/Exchange.asmx"], "servers"),
        (["--ews", "mail.example", "--imap", "h.example:993:ssl"], "servers"),
        ([], "lookup"),
        (["--imap", "h.example:993:ssl", "--ca-file", "/nonexistent.pem"], "servers"),
    ],
)
def test_wrong_options_say_so(servers: FakeServers, monkeypatch: Any, arguments: list[str], error: str) -> None:
    result, code = add(monkeypatch, "--create-user", *arguments)
    assert (result["error"], code) == (error, 2) and result["message"]
    assert servers.seen == []


def test_a_failure_is_told_by_kind_without_the_password(servers: FakeServers, monkeypatch: Any) -> None:
    for error, kind in ((AuthenticationFailed(), "password"), (CertificateInvalid(host="h.example"), "certificate")):
        servers.receive_error = error
        result, code = add(monkeypatch, "--create-user", "--imap", "h.example:993:ssl")
        assert (result["error"], code) == (kind, 1)
        assert RIGHT not in json.dumps(result)
    assert not Credential.objects.exists() and not EmailAccount.objects.exists()


def test_the_same_address_twice_is_a_duplicate(servers: FakeServers, monkeypatch: Any) -> None:
    add(monkeypatch, "--create-user", "--imap", "h.example:993:ssl")
    result, code = add(monkeypatch, "--create-user", "--imap", "h.example:993:ssl")
    assert (result["error"], code) == ("duplicate", 1)


def test_an_unknown_user_is_an_error(servers: FakeServers, monkeypatch: Any) -> None:
    assert add(monkeypatch, "--imap", "h.example:993:ssl")[0]["error"] == "user"


def test_without_json_the_error_goes_to_the_terminal(servers: FakeServers, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    options = [
        "--user",
        "kim",
        "--create-user",
        "--address",
        "kim@x.example",
        "--imap",
        "h.example:993:ssl",
        "--password-stdin",
    ]
    with pytest.raises(CommandError, match="does not accept this user name and password"):
        call_command("add_email_account", *options)


def test_the_first_administrator_is_made_by_one_command(monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a-good-Long-one-42\n"))
    call_command("create_administrator", "--email", "boss@crm.example", "--name", "Boss Example", "--password-stdin")
    boss = User.objects.get()
    assert boss.is_staff and boss.is_superuser and boss.check_password("a-good-Long-one-42")
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    with pytest.raises(CommandError, match="too short"):
        call_command("create_administrator", "--email", "other@crm.example", "--password-stdin")
