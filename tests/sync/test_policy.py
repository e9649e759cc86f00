"""Errors of the server: what is noted, when we try again, whom we ask."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.models import AccountState
from drivers import errors
from notifications.models import Kind, Notification
from sync.policy import decide
from tests.sync.conftest import World


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.AuthenticationFailed("x"), "sign_in"),
        (errors.ProtocolDisabled("x"), "protocol_disabled"),
        (errors.PermissionMissing("x"), "permission"),
        (errors.ServerUnreachable("x", kind="timeout"), "timeout"),
        (errors.ServerUnreachable("x", kind="unknown_host"), "unknown_host"),
        (errors.CertificateInvalid("x", host="h"), "certificate"),
        (errors.TlsUnavailable("x"), "no_starttls"),
        (errors.ServerBusy("x"), "busy"),
        (errors.ProtocolError("x"), "protocol"),
        (errors.DriverError("x"), "trouble"),
    ],
)
def test_each_kind_of_error_has_its_action(error: errors.DriverError, kind: str) -> None:
    first, tenth = decide(error, 1), decide(error, 10)
    assert first.kind == kind
    assert 0 < first.delay <= tenth.delay <= 3600


def test_a_server_that_says_when_is_asked_then() -> None:
    assert decide(errors.ServerBusy("x", retry_after=42), 1).delay == 42
    assert decide(errors.ServerBusy("x", retry_after=1e9), 1).delay == 3600


def test_one_refusal_does_not_end_a_mailbox_three_do(world: World) -> None:
    world.server.password = "changed on the server"
    world.sync()
    assert world.account.state == AccountState.ACTIVE
    assert world.account.last_error_kind == "sign_in"
    assert world.account.next_sync_at > timezone.now()
    world.sync()
    world.sync()
    assert world.account.state == AccountState.NEEDS_SIGN_IN
    notice = Notification.objects.get(closed_at__isnull=True)
    assert (notice.kind, notice.user, notice.needs_answer) == (Kind.SIGN_IN_AGAIN, world.account.owner, True)
    calls = len(world.server.calls)
    world.sync()
    assert len(world.server.calls) == calls, "a mailbox that asks for a sign-in is not hammered"


def test_trouble_is_told_once_and_closed_when_it_is_over(world: World) -> None:
    for _ in range(6):
        world.server.fail_next.append(errors.ServerUnreachable("away", kind="timeout"))
        world.sync()
    assert Notification.objects.filter(kind=Kind.SYNC_TROUBLE, closed_at__isnull=True).count() == 1
    assert world.account.failures == 6
    world.deliver(1)
    assert world.sync() is True
    assert not Notification.objects.filter(closed_at__isnull=True).exists()
    assert (world.account.failures, world.account.last_error_kind) == (0, "")


def test_nothing_is_lost_when_the_server_breaks_in_the_middle(world: World) -> None:
    world.deliver(30)
    for _ in range(3):
        world.server.fail_next.append(errors.ServerUnreachable("cut"))
        world.sync()
    assert world.sync() is True
    assert sorted(world.keys(), key=int) == [str(n) for n in range(1, 31)]
    assert len(world.subjects()) == 30
