"""Rows for tests, each believable by itself. Others may add small factories at the end.

Names and addresses are invented; domains are reserved ones.
"""

from __future__ import annotations

import datetime
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import AccountState, EmailAccount, EmailAccountServer, EmailAccountShare, ShareLevel
from contacts.models import Company, CompanyDomain, Contact, ContactAddress
from mail.models import Copy, CopyState, Folder, Message, MessageContent, Part, Thread
from providers.models import LoginFormat, Protocol, Provider, ProviderDomain, ProviderServer, SecurityMode

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory):
    """A user who signs in with PASSWORD. `is_staff=True`: an administrator."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@crm.example")
    name = factory.Sequence(lambda n: f"User Number {n}")

    @factory.post_generation
    def password(self, create: bool, extracted: str | None, **kwargs: Any) -> None:
        self.set_password(extracted or PASSWORD)  # type: ignore[attr-defined]
        if create:
            self.save()  # type: ignore[attr-defined]


class ProviderFactory(DjangoModelFactory):
    """A provider with no servers; see ProviderServerFactory."""

    class Meta:
        model = Provider

    key = factory.Sequence(lambda n: f"provider-{n}")
    name = factory.Sequence(lambda n: f"Provider {n}")


class ProviderServerFactory(DjangoModelFactory):
    """An IMAP server of a provider."""

    class Meta:
        model = ProviderServer

    provider = factory.SubFactory(ProviderFactory)
    protocol = Protocol.IMAP
    host = factory.LazyAttribute(lambda server: f"{server.protocol}.example.org")
    port = 993
    security = SecurityMode.SSL
    login_format = LoginFormat.ADDRESS


class ProviderDomainFactory(DjangoModelFactory):
    """A row of the lookup, exact."""

    class Meta:
        model = ProviderDomain

    domain = factory.Sequence(lambda n: f"domain{n}.example")
    provider = factory.SubFactory(ProviderFactory)


class EmailAccountFactory(DjangoModelFactory):
    """An active mailbox without a server row; see EmailAccountServerFactory."""

    class Meta:
        model = EmailAccount

    owner = factory.SubFactory(UserFactory)
    address = factory.Sequence(lambda n: f"mailbox{n}@mail.example")
    address_key = factory.LazyAttribute(lambda account: account.address.lower())
    state = AccountState.ACTIVE
    period = "everything"
    answered_at = factory.LazyFunction(timezone.now)


class EmailAccountServerFactory(DjangoModelFactory):
    """The chosen IMAP server of a mailbox."""

    class Meta:
        model = EmailAccountServer

    email_account = factory.SubFactory(EmailAccountFactory)
    protocol = Protocol.IMAP
    host = "imap.mail.example"
    port = 993
    security = SecurityMode.SSL
    user_name = factory.LazyAttribute(lambda server: server.email_account.address)


class ShareFactory(DjangoModelFactory):
    """A mailbox shared with another user who may see it."""

    class Meta:
        model = EmailAccountShare

    email_account = factory.SubFactory(EmailAccountFactory)
    user = factory.SubFactory(UserFactory)
    level = ShareLevel.SEE


class FolderFactory(DjangoModelFactory):
    """A followed folder: the inbox unless said otherwise."""

    class Meta:
        model = Folder
        django_get_or_create = ("email_account", "remote_id")

    email_account = factory.SubFactory(EmailAccountFactory)
    remote_id = "INBOX"
    path = factory.LazyAttribute(lambda folder: folder.remote_id.split("/"))
    role = factory.LazyAttribute(lambda folder: "inbox" if folder.remote_id == "INBOX" else "")
    is_followed = True
    epoch = 1


class ThreadFactory(DjangoModelFactory):
    """A thread's row; MessageFactory makes one that fits its message."""

    class Meta:
        model = Thread

    email_account = factory.SubFactory(EmailAccountFactory)
    subject = factory.Sequence(lambda n: f"Subject {n}")
    last_received_at = factory.LazyFunction(timezone.now)
    message_count = 1
    unread_count = 1
    open_count = 1


def _participants(message: Any) -> list[list[Any]]:
    return [[message.from_name, message.from_address, message.is_outgoing]]


class MessageFactory(DjangoModelFactory):
    """A received, unread message with text content.

    `text=`, `html=`, `to=[(name, address)]` fill the content; `folder=` also makes its copy in the ledger.
    Without `thread=` a thread row with the right counters is made.
    """

    class Meta:
        model = Message
        exclude = ("text", "html", "to")
        skip_postgeneration_save = True

    text = "Hello,\n\nplease find the offer below.\n"
    html = ""
    to = factory.LazyAttribute(lambda message: [("", message.email_account.address)])

    email_account = factory.SubFactory(EmailAccountFactory)
    subject = factory.Sequence(lambda n: f"Subject {n}")
    snippet = factory.LazyAttribute(lambda message: " ".join(message.text.split())[:250])
    from_name = "Ida Lindqvist"
    from_address = "ida@customer.example"
    received_at = factory.Sequence(
        lambda n: timezone.now() - datetime.timedelta(minutes=1) + datetime.timedelta(milliseconds=n)
    )
    sent_at = factory.SelfAttribute("received_at")
    message_id = factory.Sequence(lambda n: f"message{n}@customer.example")
    size = 2048
    thread = factory.LazyAttribute(
        lambda message: ThreadFactory(
            email_account=message.email_account,
            subject=message.subject,
            snippet=message.snippet,
            participants=_participants(message),
            last_received_at=message.received_at,
            unread_count=0 if getattr(message, "is_read", False) or getattr(message, "is_outgoing", False) else 1,
            open_count=0 if getattr(message, "is_outgoing", False) or getattr(message, "processed_at", None) else 1,
            sent_count=1 if getattr(message, "is_outgoing", False) else 0,
            has_attachments=getattr(message, "has_attachments", False),
            is_flagged=getattr(message, "is_flagged", False),
        )
    )

    is_read = False
    is_outgoing = False
    is_flagged = False
    has_attachments = False
    processed_at = None

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Message:
        folder = kwargs.pop("folder", None)
        content = {name: kwargs.pop(f"content_{name}") for name in ("text", "html", "to")}
        message: Message = super()._create(model_class, *args, **kwargs)
        MessageContent.objects.create(
            message=message,
            text=content["text"],
            html=content["html"],
            recipients={
                "from": [[message.from_name, message.from_address]],
                "to": [list(pair) for pair in content["to"]],
            },
        )
        if folder is not None:
            CopyFactory(folder=folder, message=message, received_at=message.received_at, size=message.size)
        return message

    content_text = factory.SelfAttribute("text")
    content_html = factory.SelfAttribute("html")
    content_to = factory.SelfAttribute("to")


class CopyFactory(DjangoModelFactory):
    """A stored row of the ledger."""

    class Meta:
        model = Copy

    folder = factory.SubFactory(FolderFactory)
    email_account = factory.SelfAttribute("folder.email_account")
    epoch = factory.SelfAttribute("folder.epoch")
    uid = factory.Sequence(lambda n: n + 1)
    remote_key = factory.LazyAttribute(lambda copy: str(copy.uid))
    state = CopyState.STORED


class PartFactory(DjangoModelFactory):
    """An attachment that is still on the server."""

    class Meta:
        model = Part

    message = factory.SubFactory(MessageFactory, has_attachments=True)
    section = "2"
    content_type = "application/pdf"
    file_name = "offer.pdf"
    size = 34_000


class CompanyFactory(DjangoModelFactory):
    """A company; `domain=` gives it a mail domain."""

    class Meta:
        model = Company
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Company {n} AS")

    @factory.post_generation
    def domain(self, create: bool, extracted: str | None, **kwargs: Any) -> None:
        if create and extracted:
            CompanyDomain.objects.create(company=self, domain=extracted)


class ContactFactory(DjangoModelFactory):
    """A person; `address=` gives an email address."""

    class Meta:
        model = Contact
        skip_postgeneration_save = True

    first_name = "Ida"
    last_name = factory.Sequence(lambda n: f"Lindqvist {n}")

    @factory.post_generation
    def address(self, create: bool, extracted: str | None, **kwargs: Any) -> None:
        if create and extracted:
            ContactAddress.objects.create(contact=self, address=extracted)
