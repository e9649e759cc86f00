"""Archive, move and delete, both ways: here at once, pushed until done, taken back, and the ledger follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import EmailAccount
from drivers.errors import FolderGone, PermissionMissing, ProtocolError, ServerBusy, ServerUnreachable
from drivers.fake.driver import FakeDriver
from drivers.types import FolderRole
from mail import moves
from mail.changes import set_flagged
from mail.models import Change, Copy, Folder, Message, Thread
from mail.queries import ThreadFilter, thread_page, visible_threads
from notifications.models import Kind, Notification
from sync import absences, schedule
from tests.sync.conftest import World


@pytest.fixture
def office(world: World) -> World:
    """Three mails in the inbox, an archive on the server, everything downloaded."""
    world.server.add_folder("Archive", FolderRole.ARCHIVE)
    world.deliver(3)
    world.sync()
    return world


def message(number: int) -> Message:
    return Message.objects.get(subject=f"Mail {number}")


def folder(name: str) -> Folder:
    return Folder.objects.get(remote_id=name)


def listed(world: World, name: str | None = None) -> set[str]:
    """Subjects in the list of a folder, or of everything."""
    filters = ThreadFilter(folder_id=folder(name).pk) if name else ThreadFilter()
    return {thread.subject for thread in thread_page(world.account.owner, filters).threads}


def there(world: World, name: str) -> set[str]:
    """Subjects on the server."""
    copies = world.server.folders[name].copies.values()
    return {line.decode()[9:] for copy in copies for line in copy.raw.split(b"\r\n") if line.startswith(b"Subject: ")}


def away(world: World, times: int = 1) -> None:
    world.server.fail_next += [ServerUnreachable("away")] * times


def archive(number: int) -> moves.Moved:
    return moves.move([message(number).pk], target=folder("Archive"), source=folder("INBOX"))


def delete(number: int) -> moves.Moved:
    return moves.delete([message(number).pk], trash=folder("Trash"))


def waiting() -> int:
    return Change.objects.filter(done_at__isnull=True).count()


def test_archiving_shows_at_once_and_reaches_the_server(office: World) -> None:
    archive(2)
    assert listed(office, "INBOX") == {"Mail 1", "Mail 3"}
    assert listed(office, "Archive") == {"Mail 2"}
    assert listed(office) == {"Mail 1", "Mail 2", "Mail 3"}
    assert there(office, "Archive") == set()
    office.sync()
    assert there(office, "Archive") == {"Mail 2"} and "Mail 2" not in there(office, "INBOX")
    assert waiting() == 0
    assert listed(office, "INBOX") == {"Mail 1", "Mail 3"} and listed(office, "Archive") == {"Mail 2"}


def test_the_copy_follows_so_nothing_is_fetched_again_and_the_ledger_adds_up(office: World) -> None:
    before = message(2).pk
    archive(2)
    schedule.push_now(office.account.pk)
    assert office.ledger().adds_up
    office.server.calls.clear()
    office.sync()
    assert "fetch_messages" not in office.server.calls
    assert message(2).pk == before and Copy.objects.get(message=before).folder.remote_id == "Archive"
    ledger = office.ledger()
    assert ledger.adds_up and ledger.stored == 3


def test_without_the_new_key_the_message_is_known_again(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FakeDriver.move

    def silent(self: FakeDriver, *args: object) -> dict[str, str]:
        original(self, *args)  # type: ignore[arg-type]
        return {}

    monkeypatch.setattr(FakeDriver, "move", silent)
    before = message(2).pk
    archive(2)
    office.sync()
    office.sync()
    assert message(2).pk == before and Copy.objects.get(message=before).folder.remote_id == "Archive"
    assert listed(office, "Archive") == {"Mail 2"} and office.ledger().adds_up


def test_deleting_hides_it_everywhere_and_moves_it_to_the_trash(office: World) -> None:
    delete(2)
    assert listed(office) == {"Mail 1", "Mail 3"} == listed(office, "INBOX")
    assert not visible_threads(office.account.owner).filter(subject="Mail 2").exists()
    office.sync()
    assert there(office, "Trash") == {"Mail 2"}
    office.sync()
    assert listed(office) == {"Mail 1", "Mail 3"} and office.ledger().adds_up


def test_a_deleted_message_is_erased_after_thirty_days_not_before(office: World) -> None:
    delete(2)
    office.sync()
    assert absences.erase_trash() == 0
    Message.objects.filter(subject="Mail 2").update(trashed_at=timezone.now() - timedelta(days=31))
    assert absences.erase_trash() == 1
    assert not Message.objects.filter(subject="Mail 2").exists()
    office.sync()
    assert office.ledger().adds_up


def test_a_delete_that_waits_for_its_server_is_not_erased(office: World) -> None:
    delete(2)
    Message.objects.filter(subject="Mail 2").update(trashed_at=timezone.now() - timedelta(days=31))
    assert absences.erase_trash() == 0


def test_undo_before_the_push_removes_the_row(office: World) -> None:
    for act in (archive, delete):
        done = act(2)
        assert moves.take_back(done.change_ids).change_ids == ()
        assert waiting() == 0
        assert listed(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}
    office.sync()
    assert there(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}


@pytest.mark.parametrize("act", [archive, delete])
def test_undo_after_the_push_leads_back(office: World, act: Callable[[int], moves.Moved]) -> None:
    done = act(2)
    schedule.push_now(office.account.pk)
    assert there(office, "INBOX") == {"Mail 1", "Mail 3"}
    assert moves.take_back(done.change_ids)
    assert listed(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}, "at once"
    office.sync()
    assert there(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"} == listed(office, "INBOX")
    assert waiting() == 0 and office.ledger().adds_up
    assert Message.objects.filter(subject="Mail 2").count() == 1


def test_undo_after_the_trash_forgot_the_key_finds_the_message(office: World) -> None:
    done = delete(2)
    schedule.push_now(office.account.pk)
    Copy.objects.filter(folder__remote_id="Trash").delete()
    moves.take_back(done.change_ids)
    schedule.push_now(office.account.pk)
    assert there(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}


def test_undo_of_what_may_have_been_done_leads_back(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server moved it, its answer was lost; then the person took it back."""
    original = FakeDriver.move

    def cut(self: FakeDriver, *args: object) -> dict[str, str]:
        original(self, *args)  # type: ignore[arg-type]
        raise ServerUnreachable("cut")

    done = archive(2)
    with monkeypatch.context() as patch:
        patch.setattr(FakeDriver, "move", cut)
        schedule.push_now(office.account.pk)
    assert there(office, "Archive") == {"Mail 2"} and waiting() == 1
    moves.take_back(done.change_ids)
    for _ in range(4):
        Change.objects.update(next_try_at=None)
        office.sync()
    assert there(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"} == listed(office, "INBOX")
    assert waiting() == 0 and office.ledger().adds_up


def test_a_lost_answer_is_no_second_move(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FakeDriver.move

    def cut(self: FakeDriver, *args: object) -> dict[str, str]:
        original(self, *args)  # type: ignore[arg-type]
        raise ServerUnreachable("cut")

    archive(2)
    with monkeypatch.context() as patch:
        patch.setattr(FakeDriver, "move", cut)
        schedule.push_now(office.account.pk)
    for _ in range(3):
        Change.objects.update(next_try_at=None)
        office.sync()
    assert there(office, "Archive") == {"Mail 2"} == listed(office, "Archive") and waiting() == 0


def test_a_change_survives_many_days_without_the_server(office: World) -> None:
    archive(1)
    delete(2)
    set_flagged([message(3).pk], is_flagged=True)
    for _ in range(70):
        away(office)
        Change.objects.update(next_try_at=None)
        schedule.push_now(office.account.pk)
    office.server.fail_next.clear()
    assert waiting() == 3
    assert listed(office, "INBOX") == {"Mail 3"}
    Change.objects.update(next_try_at=None)
    office.sync()
    assert waiting() == 0
    assert there(office, "Archive") == {"Mail 1"} and there(office, "Trash") == {"Mail 2"}
    assert not Notification.objects.filter(kind=Kind.CHANGE_REFUSED).exists()


def test_a_server_that_is_away_is_not_asked_every_two_seconds(office: World) -> None:
    archive(1)
    Change.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert schedule.accounts_to_push() == [office.account.pk]
    away(office)
    schedule.push_now(office.account.pk)
    assert schedule.accounts_to_push() == []


@pytest.mark.parametrize("error", [PermissionMissing("no", server_said="NO [NOPERM] not yours"), FolderGone("gone")])
def test_a_refusal_for_good_puts_it_back_and_tells_the_person(office: World, error: Exception) -> None:
    thread = message(2).thread_id
    delete(2)
    office.server.fail_next += []
    original = FakeDriver.move

    def refuse(self: FakeDriver, *args: object) -> dict[str, str]:
        raise error

    FakeDriver.move = refuse  # type: ignore[method-assign]
    try:
        assert office.sync(), "receiving goes on"
    finally:
        FakeDriver.move = original  # type: ignore[method-assign]
    assert waiting() == 0 and listed(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}
    assert Thread.objects.get(pk=thread).message_count == 1
    notice = Notification.objects.get(kind=Kind.CHANGE_REFUSED)
    assert notice.user == office.account.owner and notice.data["change"] == "delete" and notice.data["count"] == 1


def test_a_refused_flag_goes_back_to_what_the_server_has(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FakeDriver, *args: object, **kwargs: object) -> None:
        raise PermissionMissing("no")

    monkeypatch.setattr(FakeDriver, "set_flags", refuse)
    set_flagged([message(1).pk], is_flagged=True)
    office.sync()
    assert not message(1).is_flagged and not message(1).thread.is_flagged
    assert Notification.objects.filter(kind=Kind.CHANGE_REFUSED).count() == 1


@pytest.mark.parametrize("error", [ProtocolError("what?"), ServerBusy("later")])
def test_an_odd_refusal_is_tried_again_and_never_stops_receiving(
    office: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    archive(2)

    def refuse(self: FakeDriver, *args: object) -> dict[str, str]:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(FakeDriver, "move", refuse)
        office.deliver(1, start=9)
        assert office.sync()
    assert "Mail 9" in office.subjects() and waiting() == 1
    Change.objects.update(next_try_at=None)
    office.sync()
    assert waiting() == 0 and there(office, "Archive") == {"Mail 2"}


def test_a_protocol_refusal_that_repeats_is_believed(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(2)

    def refuse(self: FakeDriver, *args: object) -> dict[str, str]:
        raise ProtocolError("what?")

    monkeypatch.setattr(FakeDriver, "move", refuse)
    for _ in range(6):
        Change.objects.update(next_try_at=None)
        office.sync()
    assert waiting() == 0 and Notification.objects.filter(kind=Kind.CHANGE_REFUSED).exists()


def test_what_another_client_moved_meanwhile_stays_where_it_is(office: World) -> None:
    archive(2)
    with office.server.driver() as driver:
        driver.move("INBOX", [Copy.objects.get(message=message(2)).remote_key], "Junk")
    for _ in range(5):
        Change.objects.update(next_try_at=None)
        office.sync()
    assert waiting() == 0
    assert there(office, "Junk") == {"Mail 2"} and there(office, "Archive") == set()
    assert not Notification.objects.filter(kind=Kind.CHANGE_REFUSED).exists()


def test_a_second_wish_replaces_one_that_waits(office: World) -> None:
    office.server.add_folder("Projects")
    office.sync()
    archive(2)
    moves.move([message(2).pk], target=folder("Projects"))
    assert [(c.source.remote_id, c.target.remote_id) for c in Change.objects.filter(done_at=None)] == [
        ("INBOX", "Projects")
    ]
    moves.move([message(2).pk], target=folder("INBOX"))
    assert waiting() == 0
    assert listed(office, "INBOX") == {"Mail 1", "Mail 2", "Mail 3"}


def test_a_folder_that_was_numbered_anew_meanwhile_is_read_first(office: World) -> None:
    archive(2)
    office.server.folders["INBOX"].renumber()
    for _ in range(3):
        Change.objects.update(next_try_at=None)
        office.sync()
    assert waiting() == 0 and there(office, "Archive") == {"Mail 2"} == listed(office, "Archive")
    assert Message.objects.count() == 3


def test_a_conversations_own_mail_stays_in_sent_when_it_is_archived(office: World) -> None:
    office.server.folders["Sent"].add(
        b"From: anna@example.com\r\nSubject: Re: Mail 2\r\nMessage-ID: <r@x>\r\nIn-Reply-To: <m2@customer.example>\r\n\r\nYes\r\n"
    )
    office.sync()
    ids = list(Message.objects.filter(thread=message(2).thread).values_list("pk", flat=True))
    assert len(ids) == 2
    moves.move(ids, target=folder("Archive"))
    office.sync()
    assert there(office, "Archive") == {"Mail 2"} and there(office, "Sent") == {"Re: Mail 2"}


def test_another_mailboxs_messages_are_never_moved(office: World, make_world: Callable[..., World]) -> None:
    other = make_world("ben@example.com")
    other.deliver(1, start=50)
    other.sync()
    foreign = Message.objects.get(subject="Mail 50")
    assert not moves.move([foreign.pk], target=folder_of(office, "Archive"))
    assert not moves.delete([foreign.pk], trash=folder_of(office, "Trash"))
    assert waiting() == 0


def folder_of(world: World, name: str) -> Folder:
    return Folder.objects.get(email_account=world.account, remote_id=name)


def test_a_mailbox_that_is_never_touched_keeps_its_changes_here(office: World) -> None:
    EmailAccount.objects.update(is_read_only=True)
    archive(1)
    delete(2)
    set_flagged([message(3).pk], is_flagged=True)
    Change.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert schedule.accounts_to_push() == []
    schedule.push_now(office.account.pk)
    office.server.calls.clear()
    office.sync()
    assert not {"move", "set_flags", "delete", "append"} & set(office.server.calls)
    assert listed(office, "INBOX") == {"Mail 3"} and message(3).is_flagged and waiting() == 3
    EmailAccount.objects.update(is_read_only=False)
    office.sync()
    assert there(office, "Archive") == {"Mail 1"} and there(office, "Trash") == {"Mail 2"} and waiting() == 0
