"""Archive, move, delete and flag from the panel: who may, what is answered, how it is taken back."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import EmailAccount, ShareLevel, User
from mail.models import Change, Copy
from notifications.models import Kind
from notifications.services import notify
from tests.conftest import Doorbell
from tests.factories import (
    EmailAccountFactory,
    EmailAccountServerFactory,
    FolderFactory,
    MessageFactory,
    ShareFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


class Office:
    """A mailbox with a mail in the inbox, an archive and a trash."""

    def __init__(self) -> None:
        self.account = EmailAccountFactory()
        EmailAccountServerFactory(email_account=self.account)
        self.inbox, self.archive, self.trash, self.projects = (
            FolderFactory(email_account=self.account, remote_id=name, path=[name], role=role, epoch=1)
            for name, role in (("INBOX", "inbox"), ("Archive", "archive"), ("Trash", "trash"), ("Projects", ""))
        )
        self.message = MessageFactory(email_account=self.account, folder=self.inbox, subject="Lanterns")
        Copy.objects.filter(message=self.message).update(epoch=1)
        self.thread = self.message.thread

    def share(self, level: str) -> User:
        return ShareFactory(email_account=self.account, level=level).user

    def act(self, user: User, wish: str, *, htmx: bool = True, query: str = "", **fields: object):
        client = Client()
        client.force_login(user)
        url = reverse("panel:act", args=[self.thread.pk]) + query
        return client.post(url, {"act": wish, **fields}, headers={"HX-Request": "true"} if htmx else {})

    def undo(self, user: User, changes: str, htmx: bool = True):
        client = Client()
        client.force_login(user)
        headers = {"HX-Request": "true"} if htmx else {}
        return client.post(reverse("panel:undo_moves"), {"changes": changes}, headers=headers)

    def list(self, user: User, query: str = "") -> str:
        client = Client()
        client.force_login(user)
        return client.get(reverse("panel:inbox") + query).content.decode()


@pytest.fixture
def office() -> Office:
    return Office()


def changes_in(response) -> str:
    found = re.search(r'"changes": "([\d,]+)"', response.content.decode())
    assert found, response.content.decode()
    return found.group(1)


@pytest.mark.parametrize("level", ["owner", ShareLevel.SEND, ShareLevel.SET_UP])
def test_whoever_may_send_may_archive_and_delete(office: Office, level: str) -> None:
    user = office.account.owner if level == "owner" else office.share(level)
    assert office.act(user, "archive").status_code == 200
    assert Change.objects.get().target == office.archive
    assert office.act(user, "delete").status_code == 200
    assert Change.objects.get().user == user


def test_a_colleague_who_may_only_see_flags_but_neither_moves_nor_deletes(office: Office) -> None:
    user = office.share(ShareLevel.SEE)
    assert office.act(user, "flag").status_code == 200
    for wish in ("archive", "delete"):
        assert office.act(user, wish).status_code == 403
    assert office.act(user, "move", folder=office.projects.pk).status_code == 403
    assert Change.objects.exclude(kind="flags").count() == 0
    done = changes_in(office.act(office.account.owner, "delete"))
    assert office.undo(user, done).status_code == 404
    page = Client()
    page.force_login(user)
    assert 'data-act="delete"' not in page.get(reverse("panel:inbox")).content.decode()


@pytest.mark.parametrize("kind", [{}, {"is_mail_administrator": True}, {"is_staff": True, "is_superuser": True}])
def test_a_stranger_cannot_act_or_take_back(office: Office, kind: dict[str, bool]) -> None:
    stranger = UserFactory(**kind)
    for wish in ("archive", "delete", "flag", "unflag", "move"):
        assert office.act(stranger, wish, folder=office.projects.pk).status_code == 404
    assert not Change.objects.exists()
    done = changes_in(office.act(office.account.owner, "archive"))
    assert office.undo(stranger, done).status_code == 404
    assert Change.objects.count() == 1


def test_a_folder_of_another_mailbox_is_no_target(office: Office) -> None:
    other = FolderFactory(email_account=EmailAccountFactory(owner=office.account.owner), remote_id="X", path=["X"])
    for folder in (other.pk, office.trash.pk, 999_999, "x", ""):
        assert office.act(office.account.owner, "move", folder=folder).status_code == 404
    assert not Change.objects.exists()


def test_deleting_leaves_the_list_at_once_and_undo_brings_it_back(office: Office) -> None:
    owner = office.account.owner
    answer = office.act(owner, "delete")
    text = answer.content.decode()
    assert f'id="row-{office.thread.pk}" hx-swap-oob="delete"' in text and "Moved to the trash" in text
    assert "Lanterns" not in office.list(owner)
    done = office.undo(owner, changes_in(answer))
    assert done.status_code == 200 and "data-refresh" in done.content.decode()
    assert "Lanterns" in office.list(owner)
    assert not Change.objects.exists()


def test_archiving_leaves_the_inbox_and_stays_in_all(office: Office) -> None:
    owner = office.account.owner
    place = f"?account={office.account.pk}&folder={office.inbox.pk}"
    assert "Lanterns" in office.list(owner, place)
    answer = office.act(owner, "archive", query=place)
    assert 'hx-swap-oob="delete"' in answer.content.decode()
    assert "Lanterns" not in office.list(owner, place)
    assert "Lanterns" in office.list(owner)
    assert "Lanterns" in office.list(owner, f"?account={office.account.pk}&folder={office.archive.pk}")


def test_the_server_is_told_after_the_commit(
    office: Office, doorbell: Doorbell, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        office.act(office.account.owner, "archive")
        assert doorbell.rung == []
    assert [(one.name, one.args) for one in doorbell.rung] == [("sync.tasks.push_changes", (office.account.pk,))]


def test_without_scripts_it_goes_back_to_the_list_and_says_so(office: Office) -> None:
    answer = office.act(office.account.owner, "archive", htmx=False)
    assert answer.status_code == 302 and answer["Location"] == reverse("panel:inbox")
    change = str(Change.objects.get().pk)
    assert office.undo(office.account.owner, change, htmx=False).status_code == 302


def test_flag_and_its_opposite(office: Office) -> None:
    owner = office.account.owner
    assert '"act": "unflag"' in office.act(owner, "flag").content.decode()
    office.thread.refresh_from_db()
    assert office.thread.is_flagged
    office.act(owner, "unflag")
    office.thread.refresh_from_db()
    assert not office.thread.is_flagged


@pytest.mark.parametrize("text", ["", "x", "1;2", "99999999999999999999", ",,", "-1"])
def test_odd_wishes_are_not_found(office: Office, text: str) -> None:
    assert office.undo(office.account.owner, text).status_code == 404
    assert office.act(office.account.owner, text).status_code == 404


def test_the_letter_offers_what_may_be_done(office: Office) -> None:
    client = Client()
    client.force_login(office.account.owner)
    page = client.get(reverse("panel:thread", args=[office.thread.pk])).content.decode()
    for word in ("Archive", "Delete", "Flag", "Move to", "Projects"):
        assert word in page
    assert f'value="{office.trash.pk}"' not in page.partition('id="move-to"')[2].partition("</select>")[0]


def test_a_hostile_folder_name_is_escaped(office: Office) -> None:
    office.projects.path = ["<script>alert(1)</script>"]
    office.projects.save()
    answer = office.act(office.account.owner, "move", folder=office.projects.pk)
    assert b"<script>alert" not in answer.content and b"&lt;script&gt;" in answer.content


def test_refusals_and_late_mail_are_told_in_words(office: Office) -> None:
    owner = office.account.owner
    refused = {"change": "delete", "count": 2, "subject": "<b>x</b>", "said": "NO <i>no</i>"}
    notify(user=owner, kind=Kind.CHANGE_REFUSED, key="a", email_account=office.account, data=refused)
    notify(user=owner, kind=Kind.PUSH_UNRELIABLE, key="b", email_account=office.account, data={"poll_seconds": 30})
    client = Client()
    client.force_login(owner)
    page = client.get(reverse("panel:notifications")).content.decode()
    assert "refused to delete" in page and "&lt;b&gt;" in page and "<i>no" not in page
    assert "Nothing was lost; we look every 30 seconds" in page


def test_the_switch_never_touch_my_mailbox_is_kept(office: Office) -> None:
    client = Client()
    client.force_login(office.account.owner)
    url = reverse("panel:email_account", args=[office.account.pk])
    assert "Never touch my mailbox" in client.get(url).content.decode()
    client.post(url, {"period": "week", "is_read_only": "on"})
    assert EmailAccount.objects.get().is_read_only
    client.post(url, {"period": "week"})
    assert not EmailAccount.objects.get().is_read_only
