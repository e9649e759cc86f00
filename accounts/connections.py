"""From a row to an open driver. Invariant: connections per email account stay within a budget kept in rows.

A click (open an attachment) never waits for a download: one slot is reserved for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts import kept_connections
from accounts.heart import Heart
from accounts.models import ConnectionSlot, Credential, EmailAccount, EmailAccountServer
from accounts.tokens import distrust, login_with
from base.persistence import persist
from base.process import holder_name, is_dead
from drivers.base import MailboxDriver
from drivers.errors import AuthenticationFailed, ServerBusy
from drivers.registry import mailbox_driver
from drivers.types import AuthKind, Login, Security, ServerAddress

SLOT_LIFE = timedelta(seconds=20)  # renewed by a heartbeat; a crashed holder's slot comes back after this
CLICK_WAIT = 5.0  # seconds


def server_address(server: EmailAccountServer) -> ServerAddress:
    """Where this mailbox's server is."""
    return ServerAddress(
        host=server.host,
        port=server.port or 0,
        security=Security(server.security),
        ca_bundle=server.ca_bundle,
        private_networks=settings.PRIVATE_NETWORKS,
        timeout=settings.MAIL_TIMEOUT,
        url=server.url,
        mailbox=server.email_account.address_key,
        impersonate=server.impersonates,
    )


def login_of(email_account: EmailAccount, server: EmailAccountServer) -> Login:
    """Who signs in, with the password or a fresh token.

    Raises AuthenticationFailed (no usable secret, or revoked), ServerUnreachable, ServerBusy, ApplicationRefused.
    """
    try:
        credential = email_account.credential
    except Credential.DoesNotExist as error:
        raise AuthenticationFailed("no usable credential is kept") from error
    return login_with(credential, server.user_name)


def receiving_server(email_account: EmailAccount) -> EmailAccountServer:
    """The server that mail is read from."""
    return email_account.servers.exclude(protocol="smtp").select_related("email_account__credential").get()


def opened_with(server: EmailAccountServer) -> kept_connections.Key:
    """What a connection is opened with now: the server and who signs in. Raises as `login_of`."""
    return server_address(server), login_of(server.email_account, server)


def _take_slot(email_account: EmailAccount, purpose: str) -> ConnectionSlot | None:
    budget = settings.MAIL_CONNECTIONS_PER_ACCOUNT - (0 if purpose == "click" else 1)
    with transaction.atomic():
        _lock_budget(email_account)
        slots = ConnectionSlot.objects.filter(email_account=email_account)
        slots.filter(expires_at__lt=Now()).delete()
        living = [held for held in slots if not is_dead(held.holder)]
        if len(living) >= budget:
            return None
        slots.exclude(pk__in=[held.pk for held in living]).delete()
        return ConnectionSlot.objects.create(
            email_account=email_account, holder=holder_name(), purpose=purpose, expires_at=Now() + SLOT_LIFE
        )


def _lock_budget(email_account: EmailAccount) -> None:
    """Others who want a connection of this mailbox wait. Not by its own row: writers of mail hold that one for long."""
    servers = EmailAccountServer.objects.select_for_update().filter(email_account=email_account)
    list(servers.order_by("pk").values_list("pk", flat=True))


def _wait_for_slot(email_account: EmailAccount, purpose: str) -> ConnectionSlot:
    """A place in the budget. Raises ServerBusy when none is free (a click waits up to 5 s)."""
    deadline = time.monotonic() + (CLICK_WAIT if purpose == "click" else 0)
    while (taken := _take_slot(email_account, purpose)) is None:
        if time.monotonic() >= deadline:
            raise ServerBusy("all connections of this mailbox are in use", retry_after=5)
        time.sleep(0.2)
    return taken


@contextmanager
def slot(email_account: EmailAccount, *, purpose: str) -> Iterator[ConnectionSlot]:
    """A place in the budget while the block runs. Raises ServerBusy when none is free (a click waits up to 5 s)."""
    taken = _wait_for_slot(email_account, purpose)
    try:
        with Heart(lambda: _renew(taken)):
            yield taken
    finally:
        _give_back(taken)


def _renew(taken: ConnectionSlot) -> None:
    ConnectionSlot.objects.filter(pk=taken.pk).update(expires_at=Now() + SLOT_LIFE)


def _give_back(taken: ConnectionSlot) -> None:
    persist(lambda: ConnectionSlot.objects.filter(pk=taken.pk).delete())


@contextmanager
def mailbox(email_account: EmailAccount, *, purpose: str = "sync") -> Iterator[MailboxDriver]:
    """The mailbox, signed in, within the budget; a worker's run finds the connection of the run before, if it still
    stands (`driver.is_reused`). Raises drivers.errors."""
    server = receiving_server(email_account)
    key = opened_with(server)
    kept = kept_connections.take(email_account.pk, key) if purpose == "sync" else None
    driver = kept.driver if kept else mailbox_driver(server.protocol, *key)
    place = kept.slot if kept else _wait_for_slot(email_account, purpose)
    driver.is_reused = kept is not None
    is_kept = False
    try:
        with Heart(lambda: _renew(place)):
            if not kept:
                _open(email_account, driver, key[1])
            yield driver
        if purpose == "sync":
            is_kept = kept_connections.keep(email_account.pk, kept_connections.Kept(driver, key, place))
    finally:
        if not is_kept:
            driver.close()
            _give_back(place)


def _open(email_account: EmailAccount, driver: MailboxDriver, login: Login) -> None:
    try:
        driver.open()
    except AuthenticationFailed:
        if login.kind is AuthKind.OAUTH2:
            distrust(email_account.credential)
        raise
