"""Leases, heartbeats and standing lines: who works on what, on the database's clock."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import EmailAccount


class Lease(models.Model):
    """At most one holder per (email account, role); `generation` is checked in each writing transaction (fencing)."""

    class Role(models.TextChoices):
        ENUMERATE = "enumerate"
        PUSH = "push"
        LISTEN = "listen"

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)
    holder = models.CharField(max_length=60, blank=True)
    generation = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email_account", "role"], name="one_lease_per_role")]

    def __str__(self) -> str:
        return f"{self.role} {self.email_account_id}"


class Listening(models.Model):
    """What push is worth for a mailbox: since when its line stands, when it last rang, or until when it is polled."""

    email_account = models.OneToOneField(
        EmailAccount, primary_key=True, on_delete=models.CASCADE, related_name="listening"
    )
    opened_at = models.DateTimeField(null=True)  # None: no line stands
    last_news_at = models.DateTimeField(null=True)
    polled_until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=20, blank=True)  # no_idle | unreliable

    def __str__(self) -> str:
        return f"listening {self.email_account_id}"


class Attachments(models.TextChoices):
    """Which attachments are kept here although nobody opened them."""

    ON_DEMAND = "on_demand", _("None: each is fetched when it is opened")
    LINKED = "linked", _("Those of emails about a contact or company")
    AFTERWARDS = "afterwards", _("All, after the emails")


class Pace(models.Model):
    """How fast the past of a mailbox may be downloaded, what was spent of it, and how fast it went (sync.pace)."""

    email_account = models.OneToOneField(EmailAccount, primary_key=True, on_delete=models.CASCADE, related_name="pace")
    history_paused_at = models.DateTimeField(null=True)
    daily_megabytes = models.PositiveIntegerField(null=True)  # None: no limit
    attachments = models.CharField(max_length=10, choices=Attachments.choices, default=Attachments.ON_DEMAND)
    spent_on = models.DateField(null=True)  # UTC
    spent_bytes = models.BigIntegerField(default=0)  # of history and attachments, on that day
    began_at = models.DateTimeField(null=True)  # of the download that goes on …
    last_at = models.DateTimeField(null=True)
    went_bytes = models.BigIntegerField(default=0)  # … and what it brought

    def __str__(self) -> str:
        return f"pace {self.email_account_id}"


class Heartbeat(models.Model):
    """When a process of a kind (tick, worker) was last alive."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name
