"""The listener's rows: who watches what, shared evenly, taken over at once, polled less while a line stands."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import AccountState, ConnectionSlot, EmailAccount
from accounts.vault import store_secret
from drivers.errors import AuthenticationFailed, PushUnavailable, ServerUnreachable
from mail.models import Copy
from notifications.models import Kind, Notification
from sync import listener_keeper, listener_rows, outcome, schedule
from sync.listener_keeper import Drop, Keeper, Lost, News, Open, Opened, Probe
from sync.models import Heartbeat, Lease, Listening
from tests.factories import EmailAccountFactory, EmailAccountServerFactory, FolderFactory, MessageFactory

pytestmark = pytest.mark.django_db


class Desk:
    """A keeper with its orders and rings recorded; `step` makes everything due."""

    def __init__(self, holder: str) -> None:
        self.orders: list[object] = []
        self.rung: list[int] = []
        self.keeper = Keeper(holder, self.rung.append, self.orders.append)

    def step(self) -> None:
        self.keeper._scan_at = self.keeper._renew_at = self.keeper._silence_at = 0.0
        self.keeper.step()

    def opened(self) -> list[int]:
        return [order.where.email_account_id for order in self.orders if isinstance(order, Open)]

    def open_all(self) -> None:
        """Take a share and let all its lines stand."""
        self.step()
        while any(since is None for since in self.keeper.held.values()):
            for pk in [pk for pk, since in self.keeper.held.items() if since is None]:
                self.keeper.events.put(Opened(pk))
            self.step()

    @property
    def held(self) -> set[int]:
        return set(self.keeper.held)


def accounts(count: int, **fields: object) -> list[EmailAccount]:
    made = []
    for _ in range(count):
        account = EmailAccountFactory(**fields)
        EmailAccountServerFactory(email_account=account)
        store_secret("s3cret", email_account=account)
        made.append(account)
    return made


def desk(name: str) -> Desk:
    return Desk(f"elsewhere:{name}:1")  # of another host: only the end of a lease shows that it died


def test_every_healthy_mailbox_is_taken_once_with_a_place_in_its_budget():
    ids = {account.pk for account in accounts(3)}
    one = desk("a")
    one.step()
    assert one.held == ids == set(one.opened())
    one.step()
    assert len(one.opened()) == 3
    slots = ConnectionSlot.objects.filter(purpose="listen")
    assert {slot.email_account_id for slot in slots} == ids and len(slots) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"state": AccountState.PAUSED},
        {"state": AccountState.NEEDS_SIGN_IN},
        {"auto_download": False},
        {"can_receive": False},
        {"failures": 1},
    ],
)
def test_others_are_left_alone(fields):
    accounts(1, **fields)
    one = desk("a")
    one.step()
    assert not one.held


def test_a_mailbox_that_is_paused_or_erased_is_dropped_and_a_new_one_taken():
    first, second = accounts(2)
    one = desk("a")
    one.open_all()
    EmailAccount.objects.filter(pk=first.pk).update(state=AccountState.PAUSED)
    (third,) = accounts(1)
    one.step()
    assert one.held == {second.pk, third.pk}
    assert Drop(first.pk) in one.orders
    assert not ConnectionSlot.objects.filter(email_account=first).exists()
    second.delete()
    one.step()
    assert one.held == {third.pk}


def test_two_listeners_share_evenly_and_never_watch_the_same():
    accounts(9)
    one, two = desk("a"), desk("b")
    one.open_all()
    assert len(one.held) == 9
    for _ in range(3):
        two.step()
        one.step()
        assert not one.held & two.held
    two.open_all()
    assert sorted((len(one.held), len(two.held))) in ([4, 5], [3, 6])
    assert len(one.held | two.held) == 9


def test_what_a_dead_listener_held_is_taken_over_when_its_lease_ends():
    ids = {account.pk for account in accounts(4)}
    one, two = desk("a"), desk("b")
    one.open_all()
    two.step()
    assert not two.held
    past = timezone.now() - timedelta(seconds=60)
    Lease.objects.update(expires_at=past)
    Heartbeat.objects.filter(name__contains=":a:").update(at=past)
    two.step()
    assert two.held == ids
    one.step()
    assert not one.held, "who was only slow finds out and closes its lines"
    assert {order.email_account_id for order in one.orders if isinstance(order, Drop)} == ids


def test_a_killed_listener_of_this_host_is_known_at_once(monkeypatch):
    ids = {account.pk for account in accounts(2)}
    one, two = desk("a"), desk("b")
    one.open_all()
    monkeypatch.setattr(listener_rows, "is_dead", lambda holder: ":a:" in holder)
    two.step()
    assert two.held == ids


def test_news_ask_in_the_row_and_ring_and_a_burst_rings_once():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    one.keeper._rung.clear()
    one.rung.clear()
    for _ in range(5):
        one.keeper.events.put(News(account.pk))
    one.keeper.step()
    assert one.rung == [account.pk]
    account.refresh_from_db()
    assert account.sync_requested_at is not None
    assert Listening.objects.get(email_account=account).last_news_at is not None
    one.keeper.events.put(News(account.pk))
    one.keeper.step()
    assert one.rung == [account.pk], "too soon: it is rung a little later"
    one.keeper._rung[account.pk] -= listener_keeper.COALESCE
    one.keeper.step()
    assert one.rung == [account.pk] * 2


def test_an_opened_line_asks_for_what_came_before_it():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    assert one.rung == [account.pk]
    assert Listening.objects.get().last_news_at is None


def test_a_lost_doorbell_is_rung_again_by_the_tick():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()

    def broken(pk: int) -> None:
        raise OperationalError("no queue")

    one.keeper.ring, one.keeper._rung = broken, {}
    one.keeper.events.put(News(account.pk))
    one.keeper.step()
    later = timezone.now() - timedelta(seconds=11)
    EmailAccount.objects.update(sync_requested_at=later, next_sync_at=timezone.now() + timedelta(minutes=5))
    assert schedule.due_email_accounts() == [account.pk]


def test_a_server_without_idle_is_polled_for_a_day_and_then_tried_again():
    (account,) = accounts(1)
    one = desk("a")
    one.step()
    one.keeper.events.put(Lost(account.pk, PushUnavailable("no")))
    one.step()
    one.step()
    assert not one.held and len(one.opened()) == 1
    Listening.objects.update(polled_until=timezone.now())
    one.keeper._failures.clear()
    one.step()
    assert one.held == {account.pk}


def test_a_line_that_ends_is_opened_again_and_one_that_fails_rests():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    one.keeper.events.put(Lost(account.pk, ServerUnreachable("cut")))
    one.step()
    assert one.held == {account.pk}, "a line that stood is opened again at once"
    one.keeper.events.put(Lost(account.pk, ServerUnreachable("refused")))
    one.step()
    assert not one.held
    assert not Lease.objects.exclude(holder="").exists() and not ConnectionSlot.objects.exists()
    count, _until = one.keeper._failures[account.pk]
    one.keeper._failures[account.pk] = (count, 0.0)
    one.step()
    assert one.held == {account.pk}


def test_a_wrong_password_is_left_to_the_poll_that_tells_the_person():
    (account,) = accounts(1)
    one = desk("a")
    one.step()
    one.keeper.events.put(Lost(account.pk, AuthenticationFailed("no")))
    one.step()
    assert not one.held and not Notification.objects.exists()


def test_a_mailbox_with_a_line_is_polled_seldom_and_often_again_without():
    (account,) = accounts(1)
    assert outcome.poll_interval(account).total_seconds() == settings.MAIL_POLL_SECONDS
    one = desk("a")
    one.step()
    assert outcome.poll_interval(account).total_seconds() == settings.MAIL_POLL_SECONDS, "it does not stand yet"
    one.open_all()
    assert outcome.poll_interval(account).total_seconds() == settings.MAIL_LISTENED_POLL_SECONDS
    outcome.succeeded(account, new_messages=0)
    account.refresh_from_db()
    assert account.next_sync_at > timezone.now() + timedelta(seconds=settings.MAIL_LISTENED_POLL_SECONDS - 60)
    one.keeper.give_all_back()
    account.refresh_from_db()
    assert account.next_sync_at <= timezone.now()
    assert outcome.poll_interval(account).total_seconds() == settings.MAIL_POLL_SECONDS


def test_the_tick_frees_what_a_dead_listener_held_when_no_other_lives():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    outcome.succeeded(account, new_messages=0)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    rung: list[int] = []
    schedule.ring_due(rung.append, rung.append)
    assert rung == [account.pk]


def test_a_full_budget_keeps_the_listener_out():
    (account,) = accounts(1)
    for _ in range(settings.MAIL_CONNECTIONS_PER_ACCOUNT - 1):
        ConnectionSlot.objects.create(
            email_account=account, holder="x:1:y", expires_at=timezone.now() + timedelta(seconds=20)
        )
    one = desk("a")
    one.step()
    assert not one.held


def test_renewing_costs_the_same_number_of_queries_for_many_mailboxes(django_assert_num_queries):
    accounts(12)
    one = desk("a")
    one.open_all()
    with django_assert_num_queries(2):
        assert listener_rows.renew("elsewhere:a:1", one.held) == one.held


def _mail_that_came(account: EmailAccount, minutes: int, *, stored: int) -> None:
    message = MessageFactory(email_account=account, received_at=timezone.now() - timedelta(minutes=minutes))
    type(message).objects.filter(pk=message.pk).update(created_at=timezone.now() - timedelta(minutes=stored))
    folder = FolderFactory(email_account=account, role="inbox")
    Copy.objects.create(
        email_account=account, folder=folder, remote_key="1", uid=1, state="stored", message=message,
        received_at=message.received_at,
    )  # fmt: skip


def test_mail_that_a_poll_found_and_the_line_never_announced_ends_the_trust_in_it():
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    Listening.objects.update(opened_at=timezone.now() - timedelta(hours=3))
    _mail_that_came(account, 9, stored=2)
    one.step()
    assert not one.held and Drop(account.pk) in one.orders
    notice = Notification.objects.get()
    assert notice.kind == Kind.PUSH_UNRELIABLE and notice.user == account.owner
    assert Listening.objects.get().reason == "unreliable"
    one.step()
    assert not one.held and Notification.objects.count() == 1


@pytest.mark.parametrize(
    ("opened", "heard", "came", "stored"),
    [
        (180, 8, 9, 2),  # it rang, the worker was late
        (180, None, 9, 0),  # found just now: the line may still say it
        (5, None, 9, 2),  # older than the line
        (180, None, 300, 2),  # old mail of a first download
    ],
)
def test_late_workers_and_old_mail_are_not_held_against_a_line(opened, heard, came, stored):
    (account,) = accounts(1)
    one = desk("a")
    one.open_all()
    now = timezone.now()
    Listening.objects.update(
        opened_at=now - timedelta(minutes=opened),
        last_news_at=None if heard is None else now - timedelta(minutes=heard),
    )
    _mail_that_came(account, came, stored=stored)
    one.step()
    assert one.held == {account.pk} and not Notification.objects.exists()


def test_a_busy_mailbox_that_falls_silent_is_looked_at_by_a_run_and_its_line_is_tried():
    (account,) = accounts(1)
    now = timezone.now()
    for week in range(1, 4):
        for minute in range(-60, 180, 4):  # whole hours around the silence, whatever the minute of the hour is now
            MessageFactory(email_account=account, received_at=now - timedelta(weeks=week, minutes=minute))
    one = desk("a")
    one.open_all()
    one.rung.clear()
    Listening.objects.update(opened_at=now - timedelta(hours=2), last_news_at=now - timedelta(minutes=50))
    one.step()
    one.keeper._rung.clear()
    one.keeper.step()
    assert one.rung == [account.pk] and Probe(account.pk) in one.orders
    assert not Notification.objects.exists(), "silence alone is reported to nobody"
    one.step()
    assert one.orders.count(Probe(account.pk)) == 1, "not again and again"


def test_folders_that_no_line_watches_are_looked_at_more_often():
    (account,) = accounts(1)
    desk("a").open_all()
    folder = FolderFactory(email_account=account, is_followed=True, role="", on_server=0)
    assert outcome.poll_interval(account).total_seconds() == settings.MAIL_LISTENED_POLL_SECONDS, "it is empty"
    folder.on_server = 3
    folder.save()
    assert outcome.poll_interval(account).total_seconds() == outcome.OTHER_FOLDERS_SECONDS
