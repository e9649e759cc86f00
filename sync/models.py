"""Leases, heartbeats and standing lines: who works on what, on the database's clock."""

from __future__ import annotations

from django.db import models

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


class Heartbeat(models.Model):
    """When a process of a kind (tick, worker) was last alive."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name
