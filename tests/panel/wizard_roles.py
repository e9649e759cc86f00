"""Everybody who may knock at a door of the wizard or the settings, and the doors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import Client

from accounts.models import EmailAccount
from tests.factories import (
    EmailAccountFactory,
    EmailAccountServerFactory,
    FolderFactory,
    ProviderFactory,
    ProviderServerFactory,
    ShareFactory,
    UserFactory,
)

ROLES = ("owner", "see", "send", "set_up", "stranger", "mail_administrator", "administrator", "anonymous")


@dataclass
class House:
    """One mailbox and a client for each role."""

    account: EmailAccount
    clients: dict[str, Client]
    users: dict[str, Any]


def build_house() -> House:
    """A mailbox with servers and folders, its owner, the three levels of sharing, and strangers of all ranks."""
    owner = UserFactory()
    account = EmailAccountFactory(owner=owner, address="maren@nordlys.example", period="week")
    EmailAccountServerFactory(email_account=account)
    EmailAccountServerFactory(email_account=account, protocol="smtp", host="smtp.mail.example", port=465)
    FolderFactory(email_account=account)
    users = {"owner": owner, "stranger": UserFactory()}
    for level in ("see", "send", "set_up"):
        users[level] = ShareFactory(email_account=account, level=level).user
    users["mail_administrator"] = UserFactory(is_mail_administrator=True)
    users["administrator"] = UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True)
    clients = {role: Client() for role in ROLES}
    for role, user in users.items():
        clients[role].force_login(user)
    return House(account, clients, users)


def nordlys_post() -> Any:
    """A provider with both directions."""
    provider = ProviderFactory(key="nordlys-post", name="Nordlys Post")
    ProviderServerFactory(provider=provider, protocol="imap", host="imap.nordlys.example", port=993)
    ProviderServerFactory(provider=provider, protocol="smtp", host="smtp.nordlys.example", port=465)
    return provider
