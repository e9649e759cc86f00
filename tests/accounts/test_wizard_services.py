"""The wizard's rows: from an address to a connected email account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts import services
from accounts.lookup import identify
from accounts.models import AccountState, Credential, EmailAccount, MailboxSetup, SetupCheck
from accounts.services.finish import connected_already
from accounts.setup import ChosenServer, Stage
from accounts.vault import read_secret, store_secret
from drivers.errors import AuthenticationFailed, ServerUnreachable
from providers.models import DomainProposal, Provider
from tests.accounts.fake_servers import RIGHT, FakeServers
from tests.factories import EmailAccountFactory, EmailAccountServerFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(setup: MailboxSetup, password: str = RIGHT) -> MailboxSetup:
    for check_id in services.give_password(setup, password=password):
        services.run_check(check_id)
    setup.refresh_from_db()
    return setup


def begin(user=None, address: str = "maren@nordlys.example") -> MailboxSetup:
    setup = services.start_setup(user=user or UserFactory(), address=address)
    identify(setup)
    setup.refresh_from_db()
    return setup


def test_a_known_address_is_connected_with_the_defaults(servers: FakeServers, provider: Provider) -> None:
    setup = run(begin())
    account = setup.email_account
    assert setup.stage == Stage.DONE and account is not None
    assert (account.state, account.period, account.auto_download) == (AccountState.CONNECTED, "week", True)
    assert account.can_send and account.is_default_sender
    assert account.provider == provider and account.answered_at is None
    assert {(s.protocol, s.host) for s in account.servers.all()} == {
        ("imap", "imap.nordlys.example"),
        ("smtp", "smtp.nordlys.example"),
    }
    assert read_secret(account.credential) == RIGHT
    assert not Credential.objects.filter(setup=setup).exists()
    assert setup.checks.get(kind="folders").detail == {"count": 24}


def test_only_the_first_mailbox_is_the_default_sender(servers: FakeServers, provider: Provider) -> None:
    user = UserFactory()
    first = run(begin(user)).email_account
    second = run(begin(user, "kim@nordlys.example")).email_account
    assert first and second
    assert first.is_default_sender and not second.is_default_sender


def test_an_unknown_domain_is_chosen_by_hand_and_proposed_after_success_only(
    servers: FakeServers, provider: Provider
) -> None:
    setup = begin(address="kim@azulejos.test-company.com")
    assert setup.stage == Stage.SERVICE
    services.choose_provider(setup, provider, by_hand=True)
    run(setup, "wrong")
    assert not DomainProposal.objects.exists()
    run(setup)
    assert DomainProposal.objects.get().domain == "azulejos.test-company.com"


def test_a_wrong_password_keeps_nothing_but_the_row(servers: FakeServers, provider: Provider) -> None:
    setup = run(begin(), "wrong")
    assert setup.stage == Stage.FAILED
    assert setup.checks.get(kind="receive").error_kind == "password"
    assert not EmailAccount.objects.exists()


def test_sending_refused_goes_on_receiving_only(servers: FakeServers, provider: Provider) -> None:
    servers.send_error = AuthenticationFailed()
    setup = run(begin())
    assert setup.stage == Stage.FAILED
    account = services.receive_only(setup)
    assert account is not None
    assert not account.can_send and not account.is_default_sender
    assert [server.protocol for server in account.servers.all()] == ["imap"]


def test_receive_only_is_no_way_around_a_failed_sign_in(servers: FakeServers, provider: Provider) -> None:
    setup = run(begin(), "wrong")
    assert services.receive_only(setup) is None
    assert not EmailAccount.objects.exists()


def test_a_connected_address_is_told_only_after_a_successful_sign_in(servers: FakeServers, provider: Provider) -> None:
    there = run(begin()).email_account
    setup = begin(UserFactory())
    assert connected_already(setup) is None
    run(setup, "wrong")
    assert connected_already(setup) is None
    run(setup)
    assert setup.stage == Stage.FAILED
    assert connected_already(setup) == there
    assert EmailAccount.objects.count() == 1


def test_signing_in_again_replaces_the_password_only_after_success(servers: FakeServers, provider: Provider) -> None:
    account = run(begin()).email_account
    assert account is not None
    services.answer_download(account, yes=True)
    EmailAccount.objects.update(state=AccountState.NEEDS_SIGN_IN, failures=4, last_error_kind="password")
    servers.password = "a-new-One-88"  # noqa: S105
    setup = services.start_again(user=account.owner, email_account=account)
    run(setup, "wrong")
    account.refresh_from_db()
    assert account.state == AccountState.NEEDS_SIGN_IN and read_secret(account.credential) == RIGHT
    run(setup, "a-new-One-88")
    account = EmailAccount.objects.get()
    assert (account.state, account.failures, account.last_error_kind) == (AccountState.ACTIVE, 0, "")
    assert read_secret(account.credential) == "a-new-One-88"
    assert account.sync_requested_at is not None


def test_adding_a_server_needs_the_right(servers: FakeServers) -> None:
    typed = (ChosenServer("imap", "mail.own.example", 993),)
    with pytest.raises(PermissionDenied):
        services.add_server(begin(address="kim@own.example"), name="Own", servers=typed)
    setup = begin(UserFactory(is_mail_administrator=True), "kim@own.example")
    services.add_server(setup, name="Own server", servers=typed)
    assert not Provider.objects.filter(name="Own server").exists()
    run(setup)
    made = Provider.objects.get(name="Own server")
    assert setup.email_account and setup.email_account.provider == made
    assert made.servers.get().host == "mail.own.example" and not made.can_send


def test_choosing_another_server_forgets_the_password_typed_for_the_first(
    servers: FakeServers, provider: Provider
) -> None:
    setup = begin(UserFactory(is_mail_administrator=True))
    run(setup, "wrong")
    assert Credential.objects.filter(setup=setup).exists()
    services.add_server(setup, name="Elsewhere", servers=(ChosenServer("imap", "evil.example", 993),))
    assert not Credential.objects.filter(setup=setup).exists()


def test_a_check_runs_once_though_it_is_rung_twice(servers: FakeServers, provider: Provider) -> None:
    setup = begin()
    receive, send = services.give_password(setup, password=RIGHT)
    for check_id in (receive, receive, send, send):
        services.run_check(check_id)
    assert len(servers.seen) == 2


def test_a_check_of_an_earlier_attempt_writes_nothing(servers: FakeServers, provider: Provider) -> None:
    setup = begin()
    old = services.give_password(setup, password="wrong")
    services.give_password(setup, password=RIGHT)
    for check_id in old:
        services.run_check(check_id)
    assert servers.seen == []
    assert set(setup.checks.values_list("state", flat=True)) == {"waiting"}


def test_a_check_whose_worker_died_is_due_again(servers: FakeServers, provider: Provider) -> None:
    setup = begin()
    ids = services.give_password(setup, password=RIGHT)
    assert services.due_checks() == []
    SetupCheck.objects.filter(pk=ids[0]).update(state="running", started_at=timezone.now() - timedelta(seconds=91))
    SetupCheck.objects.filter(pk=ids[1]).update(started_at=timezone.now() - timedelta(seconds=6))
    assert services.requeue_stuck_checks() == ids
    assert services.requeue_stuck_checks() == []  # rung a moment ago
    for check_id in ids:
        services.run_check(check_id)
    setup.refresh_from_db()
    assert setup.stage == Stage.DONE


def test_an_abandoned_run_is_forgotten_with_its_secret(servers: FakeServers, provider: Provider) -> None:
    setup = begin()
    services.give_password(setup, password=RIGHT)
    MailboxSetup.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert services.forget_abandoned_setups() == 1
    assert not Credential.objects.exists()


def test_a_finished_run_leaves_without_its_email_account(servers: FakeServers, provider: Provider) -> None:
    run(begin())
    MailboxSetup.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    services.forget_abandoned_setups()
    assert EmailAccount.objects.get().credential


def test_passwords_cannot_be_guessed_without_end(servers: FakeServers, provider: Provider) -> None:
    setup = begin()
    MailboxSetup.objects.filter(pk=setup.pk).update(attempt=20)
    with pytest.raises(services.WizardError):
        services.give_password(setup, password=RIGHT)


@pytest.mark.parametrize("address", ["", "maren", "maren@", "a@b@c", "maren@nordlys.example\r\nBcc: x@y.example"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(services.WizardError):
        services.start_setup(user=UserFactory(), address=address)


def test_an_unreachable_server_says_so(servers: FakeServers, provider: Provider) -> None:
    servers.receive_error = ServerUnreachable(kind="unknown_host")
    setup = run(begin())
    assert setup.checks.get(kind="receive").error_kind == "unknown_host"
    assert setup.checks.get(kind="folders").error_kind == "not_reached"


def test_a_stopped_mailbox_comes_back_to_its_owner(servers: FakeServers, provider: Provider) -> None:
    setup = run(begin())
    account = setup.email_account
    assert account is not None
    services.remove_email_account(account, erase=False)
    assert not Credential.objects.exists()
    other = run(begin(UserFactory()))
    assert other.stage == Stage.FAILED
    again = run(begin(account.owner)).email_account
    assert again == account and again.state == AccountState.CONNECTED


def test_a_user_name_typed_by_hand_is_used() -> None:
    account = EmailAccountFactory(address="maren@nordlys.example")
    EmailAccountServerFactory(email_account=account, user_name="msolheim")
    store_secret("x", email_account=account)
    setup = services.start_again(user=account.owner, email_account=account)
    assert setup.user_name == "msolheim"


def test_what_a_hostile_server_says_can_be_kept(servers: FakeServers, provider: Provider) -> None:
    servers.receive_error = AuthenticationFailed(server_said="NO \x00\ud800 <b>\r\nA1 OK")
    setup = run(begin())
    said = setup.checks.get(kind="receive").server_said
    assert "\x00" not in said and "\r" not in said and "<b>" in said
