"""Mail in and out with tokens: Dovecot and Postfix ask the authorization server; tokens end, rotate and are found nowhere."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.db import connection
from django.utils import timezone

from accounts.connections import mailbox
from accounts.models import AccountState, Credential, EmailAccount, MailboxSetup, OAuthGrant
from accounts.tokens import access_token, keep_tokens
from accounts.vault import move_candidate, read_secret
from drivers.errors import AuthenticationFailed, DriverError
from drivers.imap.driver import ImapDriver
from drivers.oauth.services import sign_in_service
from drivers.types import AuthKind, Login, Security
from mail.models import Message
from outbox import delivery, services
from outbox.models import OutgoingMessage, SendState
from outbox.types import DraftFields
from providers.applications import set_secret
from providers.models import OAuthApplication
from sync import pipeline
from tests.factories import EmailAccountFactory, EmailAccountServerFactory
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_mail import PASSDB, oauth_dovecot, open_folder, write_oauth
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import CLIENTS, OidcServer
from tests.servers.postfix import DOMAIN, Postfix, why_not
from tests.servers.postgres import dumped

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
MAREN = f"maren@{DOMAIN}"
BACK = "http://localhost:8000/oauth/post/callback/"


@dataclass
class World:
    """Both mail servers, the authorization server and its authority's file."""

    oidc: OidcServer
    dovecot: Dovecot
    postfix: Postfix
    ca_file: str

    def connect(self) -> EmailAccount:
        """Maren's mailbox, signed in to without a password."""
        account = EmailAccountFactory(address=MAREN, address_key=MAREN, state=AccountState.ACTIVE)
        _server(account, "imap", self.dovecot.ssl_port, self.dovecot.authority.pem, "localhost")
        postfix = self.postfix.address(Security.SSL)
        _server(account, "smtp", postfix.port, postfix.ca_bundle, postfix.host)
        application = OAuthApplication(
            key=f"post-{account.pk}", name="Ours", kind="oidc", client_id=CLIENTS["post"], mail_scopes="mail",
            issuer=self.oidc.issuer("post"), ca_bundle=self.oidc.authority.pem,
        )  # fmt: skip
        set_secret(application, f"{CLIENTS['post']}-secret-6c1f")
        application.save()
        service = sign_in_service(self.oidc.application("post"))
        begun = service.begin(BACK, login_hint=MAREN)
        tokens = service.finish(begun.kept, walk(begun.url, MAREN, ca_file=self.ca_file), BACK)
        later = timezone.now() + timedelta(days=1)
        setup = MailboxSetup.objects.create(user=account.owner, address=MAREN, expires_at=later)
        keep_tokens(tokens, application=application, setup=setup)
        move_candidate(setup, account)
        return EmailAccount.objects.get(pk=account.pk)


def _server(account: EmailAccount, protocol: str, port: int, ca_bundle: str, host: str) -> None:
    EmailAccountServerFactory(
        email_account=account, protocol=protocol, host=host, port=port, security="ssl", ca_bundle=ca_bundle,
        user_name=MAREN,
    )  # fmt: skip


@pytest.fixture(scope="module")
def machines(oidc: OidcServer) -> Iterator[tuple[Dovecot, Postfix]]:
    if why := why_not():
        pytest.skip(why)
    with open_folder() as folder:
        extra = PASSDB.format(file=write_oauth(folder, oidc, "post"))
        with oauth_dovecot(oidc, "post", (MAREN,)) as dovecot, Postfix(dovecot_extra=extra) as postfix:
            yield dovecot, postfix


@pytest.fixture
def world(machines: tuple[Dovecot, Postfix], oidc: OidcServer, oidc_ca: str, settings: Any) -> Iterator[World]:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    yield World(oidc, *machines, oidc_ca)
    oidc.control(ttl=3600)


def secrets_of(account: EmailAccount) -> dict[str, str]:
    return dict(json.loads(read_secret(Credential.objects.get(email_account=account))))


def send(account: EmailAccount, subject: str) -> OutgoingMessage:
    """Written, queued, its ten seconds over, delivered."""
    draft = services.start_draft(user=account.owner, email_account=account)
    fields = DraftFields(to=(("", f"sales@{DOMAIN}"),), subject=subject, html="<p>Good morning</p>")
    draft = services.save_draft(user=account.owner, draft=draft, version=1, fields=fields)
    row = services.queue(user=account.owner, draft=draft, confirmed=True)
    past = timezone.now() - timedelta(seconds=1)
    OutgoingMessage.objects.filter(pk=row.pk).update(due_at=past, send_at=past)
    delivery.advance(row.pk)
    row.refresh_from_db()
    return row


def receive(account: EmailAccount) -> None:
    """One whole run."""
    for _each in range(20):
        if pipeline.run_once(account.pk):
            return


def test_mail_comes_in_and_goes_out_with_a_token_that_is_found_nowhere(
    world: World, caplog: pytest.LogCaptureFixture, doorbell: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    account = world.connect()
    first = secrets_of(account)
    world.dovecot.add_messages(MAREN, "INBOX", [b"From: ines@azulejos.example\r\nSubject: Lot 3\r\n\r\nHello\r\n"])
    receive(account)
    assert Message.objects.filter(email_account=account, subject="Lot 3").exists()
    OAuthGrant.objects.update(expires_at=timezone.now())  # both tokens go into the search below
    sent = send(account, "Lanterns")
    assert sent.state in (SendState.SENT, SendState.FILED), sent.last_error_said
    assert any(b"Lanterns" in raw for raw in world.postfix.mails("sales", wait=60))
    second = secrets_of(account)
    assert second["refresh"] != first["refresh"] and second["access"] != first["access"]
    _search([*first.values(), *second.values()], caplog.text + repr(doorbell.rung))


def _search(secrets: list[str], told: str) -> None:
    """Neither as they are nor in base64, at any of its three offsets, in rows, logs, queue or the database's own file."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    place = str(told) + serializers.serialize("json", rows)
    raw = place.encode()
    if connection.vendor == "sqlite":
        for name in (connection.settings_dict["NAME"], f"{connection.settings_dict['NAME']}-wal"):
            raw += Path(name).read_bytes() if Path(name).exists() else b""
    else:
        raw += dumped(connection.settings_dict, known=b"Lanterns")
    for secret in secrets:
        assert secret.encode() not in raw
        assert secret.encode().hex().encode() not in raw  # how pg_dump writes bytes
        for offset in range(3):
            spelled = base64.b64encode(b"x" * offset + secret.encode())[4:-4]
            assert spelled not in raw
    assert b"Bearer" not in raw


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.long)])
def test_a_token_that_has_ended_is_renewed_before_anybody_notices(world: World, seconds: int) -> None:
    world.oidc.control(ttl=seconds)
    account = world.connect()
    old = secrets_of(account)
    server = world.dovecot.address(Security.SSL, host="localhost")
    deadline = time.monotonic() + 90
    while True:  # Dovecot asks about each token: it ends on the server's clock
        try:
            ImapDriver(server, Login(MAREN, old["access"], AuthKind.OAUTH2)).check()
        except AuthenticationFailed:
            break
        assert time.monotonic() < deadline
        time.sleep(0.3)
    before = world.oidc.count("refresh_token")
    with mailbox(account) as driver:
        assert driver.list_folders()
    assert world.oidc.count("refresh_token") == before + 1
    assert secrets_of(account)["refresh"] != old["refresh"]


def test_eight_workers_with_one_ended_token_ask_the_service_once(world: World) -> None:
    account = world.connect()
    old = secrets_of(account)
    OAuthGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    before = world.oidc.count("refresh_token")
    gate = threading.Barrier(8)

    def work() -> str:
        try:
            gate.wait(60)
            return access_token(Credential.objects.get(email_account=account))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        got = [one.result(120) for one in [pool.submit(work) for _each in range(8)]]
    assert len(set(got)) == 1 and got[0] != old["access"]
    assert world.oidc.count("refresh_token") == before + 1
    with mailbox(account) as driver:
        assert driver.list_folders()


def test_a_sign_in_service_that_is_down_is_no_wrong_password(world: World) -> None:
    account = world.connect()
    world.oidc.control(down=1)  # Dovecot says UNAVAILABLE, Postfix says 535
    try:
        waiting = send(account, "After the night")
        with pytest.raises(DriverError):
            pipeline.run_once(account.pk)
    finally:
        world.oidc.control(down=0)
    account.refresh_from_db()
    assert account.state == AccountState.ACTIVE
    assert waiting.state == SendState.QUEUED and waiting.next_try_at is not None
    receive(account)
    OutgoingMessage.objects.filter(pk=waiting.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    delivery.advance(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.state in (SendState.SENT, SendState.FILED), waiting.last_error_said
