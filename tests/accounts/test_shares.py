"""Who may use which mailbox: owner, each level of sharing by user and by group, and those who may not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group

from accounts.models import AccountState, EmailAccountShare, ShareLevel
from accounts.shares import may, visible_accounts, visible_and_sendable
from tests.factories import EmailAccountFactory, ShareFactory, UserFactory

pytestmark = pytest.mark.django_db
RIGHTS = ("see", "send", "set_up", "own")


def _rights(user: object, account: object) -> list[str]:
    return [right for right in RIGHTS if may(user, account, right)]


def test_the_owner_has_every_right() -> None:
    account = EmailAccountFactory()
    assert _rights(account.owner, account) == list(RIGHTS)


@pytest.mark.parametrize(
    ("level", "rights"), [("see", ["see"]), ("send", ["see", "send"]), ("set_up", ["see", "send", "set_up"])]
)
def test_each_level_includes_those_before_it(level: str, rights: list[str]) -> None:
    share = ShareFactory(level=level)
    assert _rights(share.user, share.email_account) == rights


def test_a_group_shares_with_its_members_only() -> None:
    account, member, other = EmailAccountFactory(), UserFactory(), UserFactory()
    group = Group.objects.create(name="Sales")
    member.groups.add(group)
    EmailAccountShare.objects.create(email_account=account, group=group, level=ShareLevel.SEND)
    assert _rights(member, account) == ["see", "send"]
    assert _rights(other, account) == []


def test_strangers_administrators_and_anonymous_see_nothing() -> None:
    account = EmailAccountFactory()
    for user in (UserFactory(), UserFactory(is_staff=True, is_superuser=True), AnonymousUser()):
        assert _rights(user, account) == []
        assert not visible_accounts(user).exists()


def test_a_mail_administrator_manages_shared_mailboxes_and_reads_none() -> None:
    share, private = ShareFactory(), EmailAccountFactory()
    administrator = UserFactory(is_mail_administrator=True)
    assert _rights(administrator, share.email_account) == ["set_up"]
    assert _rights(administrator, private) == []
    assert not visible_accounts(administrator).exists()


def test_a_user_who_was_switched_off_has_no_right() -> None:
    account = EmailAccountFactory()
    account.owner.is_active = False
    assert _rights(account.owner, account) == []


def test_a_mailbox_that_is_being_erased_is_seen_by_nobody() -> None:
    account = EmailAccountFactory(state=AccountState.ERASING)
    assert _rights(account.owner, account) == []


def test_each_visible_mailbox_says_whether_one_may_send_from_it() -> None:
    mine = EmailAccountFactory(owner=UserFactory())
    for level in ("see", "send", "set_up"):
        ShareFactory(level=level, user=mine.owner)
    EmailAccountFactory()
    found = {one.pk: one.may_send for one in visible_and_sendable(mine.owner)}
    assert found == {one.pk: may(mine.owner, one, "send") for one in visible_accounts(mine.owner)}
    assert sorted(found.values()) == [False, True, True, True]
    assert list(visible_and_sendable(AnonymousUser())) == []
    assert list(visible_and_sendable(UserFactory())) == []
