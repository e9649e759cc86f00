"""Outgoing messages with their recipients and attachments, templates, and the administrator's stop.

Invariants: a row in state *sending* with `left_at` set may have reached the server and is never sent again by itself;
each recipient has a row of its own from the moment of *Send*, so what became of each can be told; texts that a server
said (`said`, `last_error_said`) are hostile.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import EmailAccount
from base.models import LongText
from mail.models import Message, Part


class SendState(models.TextChoices):
    """Where an outgoing message stands; the diagram is in `outbox/__init__.py`."""

    DRAFT = "draft", _("Draft")
    QUEUED = "queued", _("Waiting to be sent")
    SENDING = "sending", _("Being sent")
    SENT = "sent", _("Sent")
    FILED = "filed", _("Sent")
    FAILED = "failed", _("Not sent")
    UNCERTAIN = "uncertain", _("Perhaps sent")
    DISCARDED = "discarded", _("Discarded")  # a draft whose copy on the server is still to be removed


class ReplyKind(models.TextChoices):
    """What a message was begun as."""

    NEW = "new", _("New")
    REPLY = "reply", _("Reply")
    REPLY_ALL = "reply_all", _("Reply to all")
    FORWARD = "forward", _("Forward")


class SentCopy(models.TextChoices):
    """The copy in the mailbox's Sent folder."""

    NONE = "none", _("None yet")
    WAITING = "waiting", _("Waiting to be filed")
    FILED = "filed", _("Filed")
    UNAVAILABLE = "unavailable", _("Not filed")  # send-only mailbox, no Sent folder, or given up: see copy_error


class OutgoingMessage(models.Model):
    """One message that a person writes or has written. Addresses are JSON lists of [name, address] as typed."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="outgoing_messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    message_id = models.CharField(max_length=300, unique=True)  # without <>, given when the draft begins
    state = models.CharField(max_length=10, choices=SendState.choices, default=SendState.DRAFT)
    version = models.PositiveIntegerField(default=1)  # counts saves: a second tab never overwrites silently

    # What is written
    from_address = models.CharField(max_length=320, blank=True)  # an alias of the mailbox; "": its own address
    subject = models.CharField(max_length=1000, blank=True)
    to = models.JSONField(default=list)
    cc = models.JSONField(default=list)
    bcc = models.JSONField(default=list)
    html = LongText(blank=True)  # cleaned; inline pictures as cid:
    text = LongText(blank=True)  # plain-text mode, or made from html when built
    is_plain = models.BooleanField(default=False)
    quoted_html = LongText(blank=True)  # the original, folded away in the composer; cleaned
    quoted_text = LongText(blank=True)
    keeps_quote = models.BooleanField(default=True)
    reply_kind = models.CharField(max_length=10, choices=ReplyKind.choices, default=ReplyKind.NEW)
    original = models.ForeignKey(Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="answers")
    in_reply_to = models.CharField(max_length=1000, blank=True)  # without <>
    references = models.JSONField(default=list)  # oldest first, without <>
    needs_reply_to_check = models.BooleanField(
        default=False
    )  # replies go to a Reply-To that differs, sender unverified
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Sending
    queued_at = models.DateTimeField(null=True, blank=True)  # when the person pressed Send
    send_at = models.DateTimeField(null=True, blank=True)  # not before: ten seconds of undo, or Send later
    is_scheduled = models.BooleanField(default=False)  # Send later
    due_at = models.DateTimeField(null=True, blank=True)  # when the machine looks at it next; None: nothing to do
    rung_at = models.DateTimeField(null=True, blank=True)  # last doorbell of the tick
    attempts = models.PositiveIntegerField(default=0)  # tries of this sending
    lookups = models.PositiveIntegerField(default=0)  # looks into Sent while uncertain
    holder = models.CharField(max_length=60, blank=True)  # who sends it now
    held_until = models.DateTimeField(null=True, blank=True)
    left_at = models.DateTimeField(null=True, blank=True)  # recorded before the first command of the dialogue
    sent_at = models.DateTimeField(null=True, blank=True)  # the server accepted it for at least one recipient
    raw = models.CharField(max_length=200, blank=True)  # file in the storage "mail": exactly the bytes that leave
    size = models.BigIntegerField(default=0)  # bytes of it
    last_error_kind = models.CharField(max_length=40, blank=True)  # outbox.policy.Trouble
    last_error_said = models.CharField(max_length=500, blank=True)  # hostile
    server_said = models.CharField(max_length=500, blank=True)  # the receipt; hostile

    # The mailbox server: draft, sent copy, marks on the original
    server_due_at = models.DateTimeField(null=True, blank=True)
    server_holder = models.CharField(max_length=60, blank=True)
    server_until = models.DateTimeField(null=True, blank=True)
    server_attempts = models.PositiveIntegerField(default=0)
    draft_key = models.CharField(max_length=255, blank=True)  # its copy in the server's Drafts
    draft_epoch = models.BigIntegerField(default=0)  # the key is good in this epoch of the folder only
    draft_version = models.PositiveIntegerField(default=0)  # the version that lies there
    is_from_server = models.BooleanField(default=False)  # begun in another program
    sent_copy = models.CharField(max_length=12, choices=SentCopy.choices, default=SentCopy.NONE)
    copy_error = models.CharField(max_length=300, blank=True)
    is_marked = models.BooleanField(default=False)  # \Answered or $Forwarded set on the original
    stored_message = models.ForeignKey(  # what intake made of the sent mail
        Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="outgoing"
    )

    class Meta:
        verbose_name = _("outgoing message")
        verbose_name_plural = _("outgoing messages")
        ordering = ["-updated_at", "-id"]
        indexes = [
            models.Index(fields=["due_at"], name="outgoing_due", condition=models.Q(due_at__isnull=False)),
            models.Index(
                fields=["server_due_at"], name="outgoing_server_due", condition=models.Q(server_due_at__isnull=False)
            ),
            models.Index(fields=["holder"], name="outgoing_being_sent", condition=models.Q(state="sending")),
            models.Index(fields=["id"], name="outgoing_uncertain", condition=models.Q(state="uncertain")),
            models.Index(fields=["author", "state", "-updated_at"], name="outgoing_of_an_author"),
            models.Index(fields=["email_account", "state", "-updated_at"], name="outgoing_of_an_account"),
        ]

    def __str__(self) -> str:
        return self.subject or self.message_id

    @property
    def next_try_at(self) -> datetime | None:
        """When a temporarily refused message is tried again; None when it is not waiting for that."""
        return self.due_at if self.state == SendState.QUEUED and self.attempts else None

    @property
    def may_be_undone(self) -> bool:
        """Whether *Undo* can still stop it."""
        return self.state == SendState.QUEUED and self.sent_at is None


class OutgoingRecipient(models.Model):
    """What became of a message for one recipient. Written when it is queued, before anything leaves."""

    class Kind(models.TextChoices):
        TO = "to", _("To")
        CC = "cc", _("Cc")
        BCC = "bcc", _("Bcc")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        ACCEPTED = "accepted", _("Accepted")
        DEFERRED = "deferred", _("Refused for now, tried again")
        REFUSED = "refused", _("Refused")
        BOUNCED = "bounced", _("Came back")

    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, related_name="recipients")
    kind = models.CharField(max_length=3, choices=Kind.choices)
    name = models.CharField(max_length=300, blank=True)
    address = models.CharField(max_length=320)  # as typed
    address_key = models.CharField(max_length=320, db_index=True)  # normalised
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    code = models.PositiveSmallIntegerField(default=0)  # SMTP reply, 0 for none
    said = models.CharField(max_length=500, blank=True)  # hostile
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "address_key"], name="one_row_per_outgoing_recipient")
        ]

    def __str__(self) -> str:
        return f"{self.address} {self.state}"


class OutgoingAttachment(models.Model):
    """A file that leaves with a message: its bytes in the storage "mail", or a part of the original, fetched when built."""

    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, related_name="attachments")
    stored = models.CharField(max_length=200, blank=True)  # file in the storage "mail"
    part = models.ForeignKey(Part, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    file_name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=200, default="application/octet-stream")
    size = models.BigIntegerField(default=0)  # bytes
    content_id = models.CharField(max_length=200, blank=True)  # of an inline picture, without <>
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_inline(self) -> bool:
        """Whether the text shows it (cid:)."""
        return bool(self.content_id)


class Template(models.Model):
    """A text to begin with. Without an owner it is shared. Fields like {{contact.first_name}}: outbox.templating."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(_("name"), max_length=120)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    html = LongText(_("text"))
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class SendingStop(models.Model):
    """While a row exists, nothing is sent. Written by an administrator; read before each send."""

    reason = models.CharField(_("reason"), max_length=300, blank=True)
    stopped_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    stopped_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("stop of all sending")
        verbose_name_plural = _("stop of all sending")

    def __str__(self) -> str:
        return self.reason or str(_("Sending is stopped"))


class BounceNote(models.Model):
    """A message that the bounce reader has looked at, so that it looks once; and what it found."""

    class Kind(models.TextChoices):
        NOTHING = "nothing", _("No bounce")
        FAILED = "failed", _("Delivery failed")
        DELAYED = "delayed", _("Delivery delayed")
        AUTO_REPLY = "auto_reply", _("Automatic reply")

    message = models.OneToOneField(Message, primary_key=True, on_delete=models.CASCADE, related_name="bounce_note")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.NOTHING)
    outgoing = models.ForeignKey(
        OutgoingMessage, null=True, blank=True, on_delete=models.SET_NULL, related_name="bounces"
    )
    failures = models.JSONField(default=list)  # [[address, status "5.1.1", diagnostic], …]; hostile
    noted_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"
