"""The demo's rows: its people, its provider on the ports of this machine, a connected mailbox, contacts.

Invariant: may run at any time, any number of times; a restart with other ports only changes the ports. Everything goes
through the same services as a person's clicks, the mailbox through the wizard's checks.
"""

from __future__ import annotations

import socket
import time

from django.db import transaction

from accounts import services
from accounts.lookup import identify
from accounts.models import EmailAccount, EmailAccountServer, MailboxSetup, User
from accounts.services.users import create_user
from accounts.setup import Stage
from demo.users import DEMO_USERS, DOMAIN
from providers.models import (
    DomainSource,
    LoginFormat,
    Protocol,
    Provider,
    ProviderDomain,
    ProviderKind,
    ProviderServer,
    SecurityMode,
)

PASSWORD = "nordlys-demo"  # noqa: S105  of the demo's users, printed at each start; the demo listens on loopback only
PEOPLE = (
    ("maren", "Maren Solheim", False),
    ("ravi", "Ravi Chandrasekaran", False),
    ("admin", "Demo Administrator", True),
)
HOST = "127.0.0.1"
SERVER_WAIT = 30.0  # seconds for the demo mail server to answer


class DemoError(Exception):
    """The demo could not be set up; the text says why."""


def seed_people() -> User:
    """Two users and an administrator who reads nobody's mail; returns the one who owns the connected mailbox."""
    for username, name, is_administrator in PEOPLE:
        if User.objects.filter(username=username).exists():
            continue
        user = create_user(login=username, name=name, password=PASSWORD)
        user.email = f"{username}@crm.{DOMAIN}"
        user.is_staff = user.is_superuser = user.is_mail_administrator = is_administrator
        user.save()
    return User.objects.get(username=PEOPLE[0][0])


@transaction.atomic
def seed_provider(*, imap_port: int, smtp_port: int) -> Provider:
    """The provider of the demo's domain, and the ports of mailboxes that are connected to it already."""
    provider, _created = Provider.objects.get_or_create(
        key="nordlys-demo",
        defaults={"name": "Nordlys Mail (demo)", "kind": ProviderKind.CORPORATE, "position": 1},
    )
    for protocol, port in ((Protocol.IMAP, imap_port), (Protocol.SMTP, smtp_port)):
        where = {"host": HOST, "port": port, "security": SecurityMode.NONE, "login_format": LoginFormat.ADDRESS}
        ProviderServer.objects.update_or_create(provider=provider, protocol=protocol, defaults=where)
        EmailAccountServer.objects.filter(email_account__provider=provider, protocol=protocol, host=HOST).update(
            port=port
        )
    ProviderDomain.objects.get_or_create(
        domain=DOMAIN, match="exact", defaults={"provider": provider, "source": DomainSource.ADMINISTRATOR}
    )
    return provider


def wait_for_server(port: int) -> None:
    """Returns when the demo mail server greets. Raises DemoError after SERVER_WAIT seconds."""
    deadline = time.monotonic() + SERVER_WAIT
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((HOST, port), timeout=2) as connection:
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise DemoError("The demo mail server does not answer.")


def connect_mailbox(owner: User, *, period: str = "everything") -> EmailAccount | None:
    """Connects the first demo mailbox as its owner would; None when it is connected already. Raises DemoError."""
    mailbox = DEMO_USERS[0]
    if EmailAccount.objects.filter(address_key=mailbox.address).exists():
        return None
    setup = services.start_setup(user=owner, address=mailbox.address)
    try:
        if not identify(setup):
            raise DemoError("The demo's domain is not in the lookup any more.")
        for check_id in services.give_password(setup, password=mailbox.password):
            services.run_check(check_id)
        setup.refresh_from_db()
        if setup.stage != Stage.DONE or setup.email_account is None:
            said = ", ".join(f"{check.kind} {check.state} {check.error_kind}" for check in setup.checks.all())
            raise DemoError(f"The demo mailbox could not be connected: {said}")
        account = setup.email_account
    finally:
        MailboxSetup.objects.filter(pk=setup.pk).delete()
    services.change_download(account, period=period, auto_download=True)
    return services.answer_download(account, yes=True)


def what_to_try() -> str:
    """Lines that script/start prints below the login."""
    lines = [f"  also: ravi (a colleague) and admin (the administrator), with the same password {PASSWORD}"]
    lines.append("Mailboxes to connect in the wizard (New email account):")
    lines += [f"  {each.address}   password {each.password}" for each in DEMO_USERS[1:]]
    return "\n".join(lines) + "\n"
