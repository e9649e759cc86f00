"""The store of mail: folders, copies (the ledger), messages, threads, parts, correspondents, changes to push.

Invariants: a copy's key is (folder, epoch, remote_key), never the Message-ID; a message belongs to exactly one email
account; nothing out of a mail is trusted, and long values are indexed by hash (B-tree entries end at about 2.7 kB).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import EmailAccount
from base.models import LongText, PackedText


class Folder(models.Model):
    """A folder of a mailbox as last listed, with its cursor and what was counted on the server."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="folders")
    remote_id = models.CharField(max_length=600)
    path = models.JSONField(default=list)  # segments of its name
    role = models.CharField(max_length=10, blank=True)  # drivers.types.FolderRole
    is_selectable = models.BooleanField(default=True)
    is_virtual = models.BooleanField(default=False)
    is_followed = models.BooleanField(default=False)
    epoch = models.BigIntegerField(default=0)  # UIDVALIDITY on IMAP
    cursor = models.JSONField(null=True, blank=True)
    on_server = models.BigIntegerField(null=True, blank=True)  # ids in scope at the last enumeration
    on_server_at = models.DateTimeField(null=True, blank=True)
    total = models.BigIntegerField(null=True, blank=True)  # messages in the folder, in scope or not, as listed
    unmended = models.PositiveIntegerField(default=0)  # listed there and without a row even after the comparison
    compared_at = models.DateTimeField(null=True, blank=True)  # the last comparison of the sets
    enumerated_since = models.DateField(null=True, blank=True)  # the scope of the last full enumeration
    last_error = models.CharField(max_length=300, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["email_account", "path"]
        constraints = [models.UniqueConstraint(fields=["email_account", "remote_id"], name="one_row_per_folder")]

    def __str__(self) -> str:
        return " / ".join(self.path)

    @property
    def name(self) -> str:
        """The last segment of its path."""
        return self.path[-1] if self.path else self.remote_id


class Correspondent(models.Model):
    """An address seen in mail, once; matched against contacts once."""

    address = models.CharField(max_length=320, unique=True)  # normalised
    domain = models.CharField(max_length=255, db_index=True)

    def __str__(self) -> str:
        return self.address


class Thread(models.Model):
    """Messages of one conversation in one mailbox, with what its row in the list shows (kept by mail.threads)."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, db_index=False, related_name="+")
    subject = models.CharField(max_length=1000, blank=True)
    snippet = models.CharField(max_length=250, blank=True)
    participants = models.JSONField(default=list)  # [[name, address, is_own], …] oldest first, at most 8
    last_received_at = models.DateTimeField()
    message_count = models.PositiveIntegerField(default=0)
    unread_count = models.PositiveIntegerField(default=0)
    open_count = models.PositiveIntegerField(default=0)  # received and not processed
    sent_count = models.PositiveIntegerField(default=0)
    draft_count = models.PositiveIntegerField(default=0)
    has_attachments = models.BooleanField(default=False)
    is_flagged = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["email_account", "-last_received_at"], name="threads_of_an_email_account"),
            models.Index(fields=["-last_received_at"], name="threads_newest_first"),
            models.Index(
                fields=["email_account", "-last_received_at"],
                name="unread_threads",
                condition=models.Q(unread_count__gt=0),
            ),
            models.Index(
                fields=["email_account", "-last_received_at"], name="open_threads", condition=models.Q(open_count__gt=0)
            ),
            models.Index(
                fields=["email_account", "-last_received_at"], name="sent_threads", condition=models.Q(sent_count__gt=0)
            ),
            models.Index(
                fields=["email_account", "-last_received_at"],
                name="draft_threads",
                condition=models.Q(draft_count__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class ThreadReference(models.Model):
    """A Message-ID (hashed) that belongs to a thread: of a message in it or named in its References."""

    email_account = models.ForeignKey(
        EmailAccount, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )  # its thread's
    id_hash = models.BigIntegerField()
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="references")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email_account", "id_hash"], name="one_thread_per_message_id")]

    def __str__(self) -> str:
        return str(self.id_hash)


class Message(models.Model):
    """Content in one mailbox: what lists show. The body stands in MessageContent."""

    email_account = models.ForeignKey(
        EmailAccount, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="messages"
    )  # its thread's
    thread = models.ForeignKey(Thread, on_delete=models.PROTECT, db_index=False, related_name="messages")
    message_id = models.CharField(max_length=1000, blank=True)  # as written, without <>; never identity
    message_id_hash = models.BigIntegerField(null=True)
    subject = models.CharField(max_length=1000, blank=True)
    snippet = models.CharField(max_length=250, blank=True)
    from_name = models.CharField(max_length=300, blank=True)
    from_address = models.CharField(max_length=320, blank=True)
    sent_at = models.DateTimeField(null=True)  # Date header: may lie
    received_at = models.DateTimeField()  # INTERNALDATE: sort by this
    size = models.BigIntegerField(default=0)  # bytes on the server
    is_outgoing = models.BooleanField(default=False)  # From is an address of this mailbox
    is_read = models.BooleanField(default=False)
    is_flagged = models.BooleanField(default=False)
    is_answered = models.BooleanField(default=False)
    is_draft = models.BooleanField(default=False)
    is_automatic = models.BooleanField(default=False)
    has_attachments = models.BooleanField(default=False)
    is_complete = models.BooleanField(default=True)
    verdict = models.CharField(max_length=12, default="unknown")  # sender authentication: verified | failed | unknown
    digest = models.CharField(max_length=64, blank=True)  # adoption: sha256 hex
    object_id = models.CharField(max_length=255, blank=True)  # X-GM-MSGID, EMAILID
    processed_at = models.DateTimeField(null=True)
    processed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, db_index=False, related_name="+"
    )
    gone_at = models.DateTimeField(null=True)  # no copy on the server any more
    trashed_at = models.DateTimeField(null=True)  # gone and not kept: erased 30 days later
    is_indexed = models.BooleanField(default=False)  # search row written
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["email_account", "-received_at"], name="messages_newest_first"),
            models.Index(fields=["thread", "received_at"], name="messages_of_a_thread"),
            models.Index(
                fields=["email_account", "digest"],
                name="nameless_messages",
                condition=models.Q(message_id_hash__isnull=True),
            ),
            models.Index(
                fields=["email_account", "object_id"], name="messages_by_object_id", condition=~models.Q(object_id="")
            ),
            models.Index(fields=["message_id_hash"], name="messages_by_message_id"),
            models.Index(fields=["-received_at"], name="messages_to_index", condition=models.Q(is_indexed=False)),
            models.Index(
                fields=["processed_by"], name="messages_processed_by", condition=models.Q(processed_by__isnull=False)
            ),
            models.Index(fields=["trashed_at"], name="messages_in_trash", condition=models.Q(trashed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject


class MessageContent(models.Model):
    """The body and what only the reading pane needs."""

    message = models.OneToOneField(Message, primary_key=True, on_delete=models.CASCADE, related_name="content")
    text = LongText(blank=True)
    html = PackedText(blank=True)  # as sent; cleaned when shown
    header_block = LongText(blank=True)
    in_reply_to = models.TextField(blank=True)
    references = models.JSONField(default=list)
    recipients = models.JSONField(default=dict)  # {"from"|"sender"|"reply_to"|"to"|"cc"|"bcc": [[name, address], …]}
    list_id = models.CharField(max_length=500, blank=True)
    list_unsubscribe = models.TextField(blank=True)
    authentication_results = models.JSONField(default=list)
    problems = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"content of {self.message_id}"


class MessageAddress(models.Model):
    """Who stands in which header of a message."""

    class Role(models.TextChoices):
        FROM = "f", "From"
        TO = "t", "To"
        CC = "c", "Cc"
        BCC = "b", "Bcc"
        REPLY_TO = "r", "Reply-To"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="addresses")
    correspondent = models.ForeignKey(Correspondent, on_delete=models.PROTECT, db_index=False, related_name="uses")
    role = models.CharField(max_length=1, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["correspondent", "message", "role"], name="one_address_per_message_and_role"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.correspondent_id}"


class Part(models.Model):
    """An attachment or inline picture. `stored` names its cached file in the storage "mail", "" while on the server only."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="parts")
    section = models.CharField(max_length=60)  # IMAP section, "2.1"
    content_type = models.CharField(max_length=200, blank=True)
    file_name = models.CharField(max_length=500, blank=True)
    size = models.BigIntegerField(default=0)
    content_id = models.CharField(max_length=500, blank=True)
    is_inline = models.BooleanField(default=False)
    stored = models.CharField(max_length=200, blank=True)
    stored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["message", "id"]

    def __str__(self) -> str:
        return self.file_name or self.content_type


class CopyState(models.TextChoices):
    """Where a copy stands in the ledger."""

    PENDING = "pending", _("Pending")
    STORED = "stored", _("Stored")
    FILTERED = "filtered", _("Filtered")
    FAILED = "failed", _("Failed")


class Copy(models.Model):
    """The ledger: one row per message per folder on the server."""

    email_account = models.ForeignKey(
        EmailAccount, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )  # its folder's
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, db_index=False, related_name="copies")
    epoch = models.BigIntegerField(default=0)
    remote_key = models.CharField(max_length=600)
    uid = models.BigIntegerField(null=True)
    state = models.CharField(max_length=8, choices=CopyState.choices, default=CopyState.PENDING)
    reason = models.CharField(max_length=300, blank=True)  # why filtered or failed
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="copies")
    raw = models.CharField(max_length=200, blank=True)  # quarantine: file in the storage "mail"
    received_at = models.DateTimeField(null=True)
    size = models.BigIntegerField(null=True)
    flags = models.CharField(max_length=500, blank=True)  # sorted, space-separated, lower case
    object_id = models.CharField(max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=60, blank=True)
    claimed_until = models.DateTimeField(null=True)
    missing_since = models.DateTimeField(null=True)  # absence seen once; gone when seen twice
    is_out_of_scope = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["folder", "epoch", "remote_key"], name="one_row_per_copy")]
        indexes = [
            models.Index(
                fields=["email_account", "-received_at", "-uid"],
                name="pending_newest_first",
                condition=models.Q(state="pending"),
            ),
            models.Index(fields=["folder", "-received_at"], name="copies_of_a_folder"),
            models.Index(fields=["folder", "state"], name="copies_by_state"),
            models.Index(
                fields=["email_account"], name="missing_copies", condition=models.Q(missing_since__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.folder_id}:{self.epoch}:{self.remote_key}"


class Change(models.Model):
    """A local change on its way to the server; it wins until it is pushed.

    A move concerns the copy in `source`; a delete is a move to the trash folder.
    """

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="+")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=10, default="flags")  # flags | move | delete
    add = models.JSONField(default=list)
    remove = models.JSONField(default=list)
    source = models.ForeignKey(Folder, null=True, on_delete=models.CASCADE, related_name="+")  # of move and delete
    target = models.ForeignKey(Folder, null=True, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    begun_at = models.DateTimeField(null=True)  # the server was asked: it may be done although no answer came
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    failed_reason = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["email_account", "id"], name="changes_to_push", condition=models.Q(done_at__isnull=True)
            ),
            models.Index(
                fields=["source", "message"], name="mail_on_its_way", condition=models.Q(done_at__isnull=True)
            ),
            models.Index(fields=["target", "message"], name="mail_arriving", condition=models.Q(done_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"
