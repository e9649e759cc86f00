"""Tokens are renewed once, however many ask; a service that is away is no refusal; nothing of a token is told."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection
from django.utils import timezone

from accounts import tokens as room
from accounts.connections import login_of
from accounts.models import Credential, EmailAccount, MailboxSetup, OAuthGrant
from accounts.tokens import access_token, distrust, keep_tokens, login_with
from accounts.vault import move_candidate, read_secret, rotate
from crm_mail.logs import redact
from drivers.errors import AuthenticationFailed, ServerBusy, ServerUnreachable
from drivers.oauth.errors import ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked
from drivers.oauth.flow import Tokens
from drivers.types import AuthKind
from providers.models import OAuthApplication
from tests import environment
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.servers.postgres import dumped

pytestmark = pytest.mark.django_db
FIRST = "seeded-access-token-8c1d"
REFRESH = "seeded-refresh-token-77ab"


@dataclass
class FakeService:
    """A sign-in service: each refresh rotates; `error` is raised instead."""

    error: Exception | None = None
    delay: float = 0.0
    expires_in: float = 3600.0
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self, refresh_token: str) -> Tokens:
        with self.lock:
            self.seen.append(refresh_token)
            number = len(self.seen)
        time.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return Tokens(f"access-{number}", f"refresh-{number}", self.expires_in)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    made = FakeService()
    monkeypatch.setattr(room, "service_of", lambda application: made)
    return made


@pytest.fixture
def account() -> EmailAccount:
    made = EmailAccountFactory()
    EmailAccountServerFactory(email_account=made)
    return made


def keep(account: EmailAccount, *, lives: float = 3600.0, refresh: str = REFRESH) -> Credential:
    """The account's credential, as the wizard leaves it."""
    application = OAuthApplication.objects.create(key=f"k{account.pk}", name="Ours", kind="google", client_id="id")
    later = timezone.now() + timedelta(days=1)
    setup = MailboxSetup.objects.create(user=account.owner, address=account.address, expires_at=later)
    given = Tokens(FIRST, refresh, lives, identity=account.address)
    keep_tokens(given, application=application, setup=setup)
    move_candidate(setup, account)
    return Credential.objects.get(email_account=account)


def age(credential: Credential, **left: float) -> None:
    """The access token ends in so long."""
    OAuthGrant.objects.filter(credential=credential).update(expires_at=timezone.now() + timedelta(**left))


def test_a_fresh_token_is_used_as_it_is(account: EmailAccount, service: FakeService) -> None:
    keep(account)
    login = login_of(EmailAccount.objects.get(pk=account.pk), account.servers.get())
    assert login.secret == FIRST and login.kind is AuthKind.OAUTH2 and FIRST not in repr(login)
    assert service.seen == []


def test_a_token_is_renewed_shortly_before_its_end_and_the_rotated_one_is_kept(
    account: EmailAccount, service: FakeService
) -> None:
    credential = keep(account)
    age(credential, minutes=4)
    assert access_token(credential) == "access-1"
    age(credential, minutes=4)
    assert access_token(credential) == "access-2"
    assert service.seen == [REFRESH, "refresh-1"]
    assert json.loads(read_secret(Credential.objects.get(pk=credential.pk)))["refresh"] == "refresh-2"


def test_a_token_of_twenty_seconds_is_used_for_three_quarters_of_its_life(
    account: EmailAccount, service: FakeService
) -> None:
    credential = keep(account, lives=20)
    age(credential, seconds=18)
    assert access_token(credential) == FIRST
    age(credential, seconds=4)
    assert access_token(credential) == "access-1"


def test_while_the_service_is_away_a_living_token_goes_on_and_a_dead_one_is_no_wrong_password(
    account: EmailAccount, service: FakeService
) -> None:
    credential = keep(account)
    service.error = ServerUnreachable("away", kind="timeout")
    age(credential, minutes=2)
    assert access_token(credential) == FIRST
    age(credential, seconds=-1)
    for _each in range(4):
        with pytest.raises(ServerUnreachable) as told:
            access_token(credential)
        assert not isinstance(told.value, AuthenticationFailed)
    assert len(service.seen) == 1  # the back-off stands in the row: nobody hammers
    OAuthGrant.objects.update(retry_at=timezone.now())
    service.error = None
    assert access_token(credential).startswith("access-")
    assert OAuthGrant.objects.get().failures == 0


def test_a_refused_application_is_asked_seldom_and_a_revoked_grant_never_again(
    account: EmailAccount, service: FakeService
) -> None:
    credential = keep(account)
    age(credential, seconds=-1)
    service.error = ApplicationRefused("secret over")
    for _each in range(3):
        with pytest.raises(ApplicationRefused):
            access_token(credential)
    OAuthGrant.objects.update(retry_at=timezone.now())
    service.error = SignInRevoked("over")
    for _each in range(3):
        with pytest.raises(SignInRevoked):
            access_token(credential)
    assert len(service.seen) == 2


@pytest.mark.parametrize("error", [ConsentRefused("second factor"), ScopeMissing("narrowed")])
def test_a_service_that_wants_the_person_again_is_asked_once(
    account: EmailAccount, service: FakeService, error: Exception
) -> None:
    credential = keep(account)
    age(credential, minutes=1)
    service.error = error
    for _each in range(3):
        with pytest.raises(SignInRevoked):
            access_token(credential)
    assert len(service.seen) == 1


def test_a_token_that_the_mail_server_refuses_is_renewed_once_a_minute_at_most(
    account: EmailAccount, service: FakeService
) -> None:
    credential = keep(account)
    distrust(credential)
    assert access_token(credential) == FIRST  # it came this minute
    OAuthGrant.objects.update(refreshed_at=timezone.now() - timedelta(minutes=2))
    distrust(credential)
    assert access_token(credential) == "access-1"


def test_a_dead_workers_claim_is_taken_over_and_a_late_one_stores_nothing(
    account: EmailAccount, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = keep(account)
    age(credential, seconds=-1)
    OAuthGrant.objects.update(claimed_by="elsewhere:1:x", claimed_until=timezone.now() + timedelta(minutes=1))
    monkeypatch.setattr(room, "WAIT", 0.3)
    with pytest.raises(ServerBusy):
        access_token(credential)
    OAuthGrant.objects.update(claimed_until=timezone.now())
    assert access_token(credential) == "access-1"
    stale = OAuthGrant.objects.get()
    with pytest.raises(ServerBusy):
        room._store(stale, "elsewhere:1:x", room._Secret("a", "b"), Tokens("late", "late"))
    assert "late" not in read_secret(Credential.objects.get(pk=credential.pk))


def test_the_key_ring_turns_tokens_too(account: EmailAccount, service: FakeService, settings: Any) -> None:
    credential = keep(account)
    before = credential.ciphertext
    assert rotate() == 0
    assert Credential.objects.get(pk=credential.pk).ciphertext == before


@pytest.mark.django_db(transaction=True)
def test_eight_workers_with_one_ended_token_renew_it_once(account: EmailAccount, service: FakeService) -> None:
    credential = keep(account)
    age(credential, seconds=-1)
    service.delay = 0.3
    got: list[str] = []
    gate = threading.Barrier(8)

    def work() -> None:
        try:
            gate.wait(60)
            got.append(access_token(Credential.objects.get(pk=credential.pk)))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert got == ["access-1"] * 8 and service.seen == [REFRESH]
    assert OAuthGrant.objects.get().generation == 2


@pytest.mark.skipif(not environment.IS_POSTGRES, reason="pg_dump reads PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_token_is_in_a_backup_by_pg_dump(account: EmailAccount, service: FakeService) -> None:
    credential = keep(account)
    age(credential, seconds=-1)
    assert access_token(credential) == "access-1"
    backup = dumped(connection.settings_dict, known=account.address.encode())
    for secret in (FIRST, REFRESH, "access-1", "refresh-1"):
        raw = secret.encode()
        spelled = [base64.b64encode(b"x" * offset + raw)[4:-4] for offset in range(3)]
        assert not any(one in backup for one in (raw, raw.hex().encode(), *spelled))


def test_nothing_of_a_token_is_in_a_dump_or_a_log(
    account: EmailAccount, service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = keep(account)
    age(credential, seconds=-1)
    service.error = SignInRevoked("over", server_said="invalid_grant")
    with pytest.raises(SignInRevoked) as told:
        login_with(credential, account.address)
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    shown = serializers.serialize("json", rows) + caplog.text + repr(told.value) + str(rows)
    sasl = base64.b64encode(f"user={account.address}\x01auth=Bearer {FIRST}\x01\x01".encode()).decode()
    for secret in (FIRST, REFRESH, base64.b64encode(FIRST.encode()).decode(), sasl[:60]):
        assert secret not in shown
    line = redact(
        None, "info", {"event": f"AUTHENTICATE XOAUTH2 {sasl}", "refresh_token": REFRESH, "url": f"/x?code={FIRST}"}
    )
    assert sasl not in str(line) and REFRESH not in str(line) and FIRST not in str(line)
