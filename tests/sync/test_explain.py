"""Why isn't this email here? From the ledger, from the server, and one click to import it anyway."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drivers.errors import MessageGone
from mail.models import Copy, CopyState, Folder, Message
from sync import explain
from tests.sync.conftest import NOW, World, mail


def _ask(world: World, question: str) -> list[tuple[str, str]]:
    return [(found.kind, found.subject) for found in explain.from_server(world.account, question)]


def test_an_email_that_is_here_is_found_by_address_subject_and_message_id(world: World) -> None:
    world.deliver(2)
    world.sync()
    for question in ("Ida@Customer.example", "mail 2", "<m2@customer.example>"):
        found = explain.from_ledger(world.account, question)
        assert "Mail 2" in [one.subject for one in found], question
        assert {one.kind for one in found} == {"here"}


def test_mail_in_a_folder_that_is_not_followed_is_said_and_imported_by_one_click(world: World) -> None:
    world.server.folders["Junk"].add(mail(5, subject="Offer lost in junk"))
    world.sync()
    assert explain.from_ledger(world.account, "lost in junk") == []
    found = explain.from_server(world.account, "lost in junk")
    assert [(one.kind, one.folder, one.can_be_imported) for one in found] == [("folder_not_followed", "Junk", True)]
    junk = Folder.objects.get(pk=found[0].folder_id)
    message = explain.import_anyway(world.account, junk, found[0].remote_key)
    assert message is not None and message.subject == "Offer lost in junk"
    assert _ask(world, "lost in junk") == [("here", "Offer lost in junk")]
    world.sync(compare_all=True)
    assert Message.objects.filter(pk=message.pk, gone_at=None).exists(), "the next run leaves it alone"
    assert world.ledger().unaccounted == 0


def test_mail_before_the_period_is_said_and_imported(world: World) -> None:
    world.account.since = (NOW - timedelta(days=7)).date()
    world.account.save()
    world.server.folders["INBOX"].add(mail(1), received_at=NOW - timedelta(days=50))
    world.sync()
    (found,) = explain.from_server(world.account, "<m1@customer.example>")
    assert found.kind == "out_of_period"
    inbox = Folder.objects.get(pk=found.folder_id)
    assert explain.import_anyway(world.account, inbox, found.remote_key) is not None
    world.sync(compare_all=True)
    assert world.subjects() == ["Mail 1"]
    assert (world.ledger().out_of_scope, world.ledger().unaccounted) == (1, 0)


def test_a_failed_email_is_listed_with_its_reason_and_tried_again(world: World) -> None:
    world.deliver(2)
    world.sync()
    Message.objects.filter(subject="Mail 1").delete()
    Copy.objects.filter(remote_key="1").update(state=CopyState.FAILED, reason="takes too long", message=None)
    (failed,) = explain.unread_copies(world.account)
    assert (failed.kind, failed.reason, failed.folder) == ("failed", "takes too long", "INBOX")
    assert explain.try_again(world.account, [failed.copy_id]) == 1
    world.sync()
    assert sorted(world.subjects()) == ["Mail 1", "Mail 2"]
    assert explain.unread_copies(world.account) == []


def test_what_is_gone_says_so(world: World) -> None:
    world.deliver(1)
    world.sync()
    inbox = Folder.objects.get(remote_id="INBOX")
    with pytest.raises(MessageGone):
        explain.import_anyway(world.account, inbox, "999")
    assert explain.from_server(world.account, "no such subject") == []
    assert explain.from_ledger(world.account, "  ") == []


def test_another_mailboxs_mail_is_never_found(make_world) -> None:
    one, other = make_world("a@example.com"), make_world("b@example.com")
    one.deliver(1)
    one.sync()
    other.sync()
    assert explain.from_ledger(other.account, "Mail 1") == []
    assert explain.from_server(other.account, "Mail 1") == []
