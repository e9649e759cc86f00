"""A look that finds nothing costs one question to the server and no message row; whatever else is found is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import kept_connections
from accounts.models import AccountState, EmailAccount
from drivers.errors import ServerUnreachable
from mail.changes import set_read
from mail.models import Copy, Folder, Message
from sync import glance, schedule, tasks
from sync.glance import nothing_happened
from sync.models import Pace
from tests.sync.conftest import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def read(make_world: Callable[..., World]) -> Iterator[World]:
    """A mailbox that was read to its end by this worker."""
    kept_connections.begin()
    world = make_world()
    world.deliver(5)
    world.sync(compare_all=True)
    world.sync()
    world.server.calls.clear()
    yield world
    kept_connections.end()


def test_a_look_that_finds_nothing_asks_the_server_once(read: World) -> None:
    before = EmailAccount.objects.get(pk=read.account.pk).last_sync_at
    with CaptureQueriesContext(connection) as captured:
        tasks.sync_email_account(read.account.pk)
    assert read.server.calls == ["list_folders"]
    after = EmailAccount.objects.get(pk=read.account.pk)
    assert before is not None and after.last_sync_at is not None and after.last_sync_at > before
    assert after.next_sync_at is not None and after.next_sync_at > timezone.now()
    writes = [
        one["sql"] for one in captured if not one["sql"].lstrip().upper().startswith(("SELECT", "BEGIN", "COMMIT"))
    ]
    assert not any("mail_message" in sql or "mail_copy" in sql or "mail_thread" in sql for sql in writes)


def test_the_ledger_says_when_it_was_counted(read: World) -> None:
    old = timezone.now() - timedelta(hours=2)
    Folder.objects.filter(email_account=read.account).update(on_server_at=old)
    assert nothing_happened(read.account.pk)
    inbox = Folder.objects.get(email_account=read.account, role="inbox")
    assert inbox.on_server_at is not None and inbox.on_server_at > old


def test_what_was_asked_for_is_answered(read: World) -> None:
    EmailAccount.objects.filter(pk=read.account.pk).update(sync_requested_at=timezone.now())
    assert nothing_happened(read.account.pk)
    read.account.refresh_from_db()
    assert read.account.sync_requested_at is None


def test_new_mail_is_brought_by_the_same_run(read: World) -> None:
    read.deliver(1, start=77)
    tasks.sync_email_account(read.account.pk)
    assert "Mail 77" in read.subjects()
    assert "open" not in read.server.calls, "over the connection that was kept"


def test_only_the_folder_with_news_is_read(read: World) -> None:
    read.deliver(1, folder="Sent", start=78)
    read.server.calls.clear()
    tasks.sync_email_account(read.account.pk)
    assert "Mail 78" in read.subjects()
    assert read.server.calls.count("fetch_changes") == 1


def test_a_new_folder_is_found(read: World) -> None:
    read.server.add_folder("Projects").add(b"From: ida@customer.example\r\nSubject: In a new folder\r\n\r\nHi\r\n")
    assert not nothing_happened(read.account.pk)
    tasks.sync_email_account(read.account.pk)
    assert "In a new folder" in read.subjects()


def test_a_deleted_folder_is_noticed(read: World) -> None:
    del read.server.folders["Junk"]
    assert not nothing_happened(read.account.pk)
    tasks.sync_email_account(read.account.pk)
    assert Folder.objects.get(email_account=read.account, remote_id="Junk").gone_at is not None


def test_a_folder_that_went_without_mail_costs_no_run(read: World) -> None:
    del read.server.folders["Junk"]
    tasks.sync_email_account(read.account.pk)
    assert nothing_happened(read.account.pk)


def _a_copy_in_a_folder_that_went(world: World) -> None:
    trash = Folder.objects.get(email_account=world.account, remote_id="Trash")
    Copy.objects.create(email_account=world.account, folder=trash, remote_key="1", state="stored")
    Folder.objects.filter(pk=trash.pk).update(gone_at=timezone.now())
    del world.server.folders["Trash"]


def _something_to_push(world: World) -> None:
    set_read(list(Message.objects.values_list("pk", flat=True)[:1]), is_read=True)


def _a_day_later(world: World) -> None:
    Folder.objects.filter(email_account=world.account).update(compared_at=timezone.now() - timedelta(hours=25))


def _a_copy_missing(world: World) -> None:
    Folder.objects.get(email_account=world.account, role="inbox").copies.update(missing_since=timezone.now())


def _attachments_wanted(world: World) -> None:
    Pace.objects.update_or_create(email_account=world.account, defaults={"attachments": "afterwards"})


def _trouble_before(world: World) -> None:
    EmailAccount.objects.filter(pk=world.account.pk).update(failures=1)


def _paused(world: World) -> None:
    EmailAccount.objects.filter(pk=world.account.pk).update(state=AccountState.PAUSED)


def _another_period(world: World) -> None:
    EmailAccount.objects.filter(pk=world.account.pk).update(since=timezone.now().date())


def _another_server(world: World) -> None:
    world.account.servers.update(host="imap.elsewhere.example")


@pytest.mark.parametrize(
    "happens",
    [
        _something_to_push, _a_day_later, _a_copy_in_a_folder_that_went, _a_copy_missing, _attachments_wanted,
        _trouble_before, _paused, _another_period, _another_server,
    ],
)  # fmt: skip
def test_whatever_else_is_to_be_done_is_left_to_the_run(read: World, happens: Callable[[World], None]) -> None:
    assert nothing_happened(read.account.pk), "else the test proves nothing"
    happens(read)
    assert not nothing_happened(read.account.pk)


def test_a_line_that_died_while_it_was_kept_is_no_failure(read: World) -> None:
    read.deliver(1, start=79)
    read.server.fail_next = [ServerUnreachable("reset", kind="dropped")]
    tasks.sync_email_account(read.account.pk)
    read.account.refresh_from_db()
    assert read.account.failures == 0
    assert "Mail 79" in read.subjects() and "open" in read.server.calls


def test_a_run_on_a_dead_line_begins_again_once(read: World) -> None:
    read.deliver(1, start=80)
    read.server.fail_next = [ServerUnreachable("reset", kind="dropped")]
    assert read.sync()
    assert "Mail 80" in read.subjects() and read.account.failures == 0


def test_a_server_that_is_away_is_a_failure_all_the_same(read: World) -> None:
    read.server.fail_next = [ServerUnreachable("reset", kind="dropped") for _ in range(9)]
    assert not read.sync()
    assert read.account.failures == 1


def test_a_database_that_goes_away_during_a_look_ends_it_in_good_order(
    read: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database is restarting")

    before = timezone.now()
    with monkeypatch.context() as patch:
        patch.setattr(glance, "_is_quiet", away)
        tasks.sync_email_account(read.account.pk)
    read.account.refresh_from_db()
    assert read.account.next_sync_at is not None
    assert before < read.account.next_sync_at <= timezone.now() + schedule.BROKEN
    read.deliver(1, start=81)
    tasks.sync_email_account(read.account.pk)
    assert "Mail 81" in read.subjects()
