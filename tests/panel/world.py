"""The objects that the addresses of the matrix name, and a client for every role."""

from __future__ import annotations

import datetime
import io
import time
import uuid
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone
from PIL import Image

from accounts.models import EmailAccount, Invitation, MailboxSetup
from linking.models import MessageLink, Reason
from mail.models import Part
from notifications.services import notify
from outbox import services
from outbox.models import SendingStop
from outbox.services.templates import TemplateFields
from outbox.types import DraftFields, NewFile
from panel.views.bodies import PART_SALT, PART_STEP
from providers.models import DomainProposal, OAuthApplication
from tests.factories import (
    CompanyFactory,
    ContactFactory,
    EmailAccountFactory,
    EmailAccountServerFactory,
    FolderFactory,
    MessageFactory,
    PartFactory,
    ProviderDomainFactory,
    ProviderFactory,
    ShareFactory,
    UserFactory,
)
from tests.panel.matrix import ROLES

SECRET = "seventeen copper lanterns"  # stands in every text of the mailbox: a stranger must never be shown it


@dataclass
class World:
    """One mailbox with mail, what is around it, and who knocks."""

    account: EmailAccount
    clients: dict[str, Client]
    users: dict[str, Any]
    names: dict[str, Any]  # what fills the patterns


def make_world() -> World:
    """Everything once, in the owner's name."""
    owner = UserFactory()
    account = EmailAccountFactory(owner=owner, address="maren@nordlys.example")
    EmailAccountServerFactory(email_account=account)
    folder = FolderFactory(email_account=account)
    message = MessageFactory(
        email_account=account, folder=folder, subject=SECRET, text=SECRET, html=f"<p>{SECRET}</p>", has_attachments=True
    )
    part = PartFactory(message=message, file_name=f"{SECRET}.pdf")
    picture = PartFactory(message=message, content_type="image/png", file_name="a.png", content_id="a@b", size=3)
    _keep(part, b"%PDF-1.4 " + SECRET.encode())
    _keep(picture, _png())
    contact, company = ContactFactory(address="ida@customer.example"), CompanyFactory()
    MessageLink.objects.create(
        message=message, contact=contact, reason=Reason.CONTACT_ADDRESS, evidence={"quote": SECRET}
    )
    users = {"owner": owner, "stranger": UserFactory()}
    shares = {level: ShareFactory(email_account=account, level=level) for level in ("see", "send", "set_up")}
    users |= {level: share.user for level, share in shares.items()}
    users["mail_administrator"] = UserFactory(is_mail_administrator=True)
    users["administrator"] = UserFactory(is_staff=True, is_superuser=True)
    notice = notify(user=owner, kind="download_done", key="k", email_account=account, data={"stored": 3})
    setup = MailboxSetup.objects.create(
        user=owner, address="new@nordlys.example", expires_at=timezone.now() + datetime.timedelta(days=1)
    )
    _administered(UserFactory())
    names = {
        "thread_id": message.thread_id, "message_id": message.pk, "part_id": part.pk, "email_account_id": account.pk,
        "contact_id": contact.pk, "company_id": company.pk, "notification_id": notice.pk, "share_id": shares["see"].pk,
        "setup_id": setup.pk, "invitation_id": 1, "unknown_id": 999_999,
        "unknown_uuid": uuid.uuid4(), "picture_token": _token(picture, owner),
        "picture_id": picture.pk, **_written(owner, account),
    }  # fmt: skip
    SendingStop.objects.create(reason="A test")  # the last: nothing could be queued after it
    clients = {role: Client() for role in ROLES}
    for role, user in users.items():
        clients[role].force_login(user)
    return World(account, clients, users, names)


def _administered(colleague: Any) -> None:
    """One object of each model of the administration."""
    provider = ProviderFactory()
    ProviderDomainFactory(domain="post.example", provider=provider)
    DomainProposal.objects.create(domain="learnt.example", provider=provider, proposed_by=colleague)
    OAuthApplication.objects.create(name="Our post", key="post", kind="oidc", client_id="x", issuer="https://127.0.0.1")
    Group.objects.create(name="Night shift")
    EmailAddress.objects.create(user=colleague, email=colleague.email, primary=True, verified=True)
    Authenticator.objects.create(user=colleague, type=Authenticator.Type.TOTP, data={"secret": "kept elsewhere"})
    later = timezone.now() + datetime.timedelta(days=1)
    Invitation.objects.create(email="new@nordlys.example", token_hash="0" * 64, expires_at=later)


def _written(owner: Any, account: EmailAccount) -> dict[str, int]:
    """A draft of the owner with a picture, an email that waits to leave, a template."""
    draft = services.start_draft(user=owner, email_account=account)
    fields = DraftFields(to=(("Ida", "ida@customer.example"),), subject=SECRET, html=f"<p>{SECRET}</p>")
    draft = services.save_draft(user=owner, draft=draft, version=draft.version, fields=fields)
    file = services.attach(user=owner, draft=draft, file=NewFile("a.png", "image/png", io.BytesIO(_png()), inline=True))
    queued = services.start_draft(user=owner, email_account=account)
    queued = services.save_draft(user=owner, draft=queued, version=queued.version, fields=fields)
    services.queue(user=owner, draft=queued)
    template = services.save_template(user=owner, fields=TemplateFields("Offer", "", f"<p>{SECRET}</p>"))
    return {"draft_id": draft.pk, "file_id": file.pk, "queued_id": queued.pk, "template_id": template.pk}


def _keep(part: Part, data: bytes) -> None:
    """As if it had been fetched from the server before."""
    part.stored = storages["mail"].save(f"house/{part.pk}", ContentFile(data))
    part.save()


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), "teal").save(out, "PNG")
    return out.getvalue()


def _token(part: Part, user: Any) -> str:
    expires = (int(time.time()) // PART_STEP + 2) * PART_STEP
    return signing.Signer(salt=PART_SALT).sign_object([part.pk, part.message_id, user.pk, expires])
