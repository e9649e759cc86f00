"""Who must know what. A question stays open until it is answered; news may be read away."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import EmailAccount, User


class Kind(models.TextChoices):
    """What a notification is about; its words are made where it is shown."""

    DOWNLOAD_QUESTION = "download_question", _("Download the emails?")
    SIGN_IN_AGAIN = "sign_in_again", _("Sign in again")
    SYNC_TROUBLE = "sync_trouble", _("Receiving has stopped")
    DOWNLOAD_DONE = "download_done", _("Download finished")
    DOMAIN_PROPOSAL = "domain_proposal", _("A domain waits for approval")
    PUSH_UNRELIABLE = "push_unreliable", _("New mail may come a little later")
    CHANGE_REFUSED = "change_refused", _("A mail server refused a change")
    LEDGER_DIFFERS = "ledger_differs", _("An email account does not add up")
    SEND_FAILED = "send_failed", _("An email was not sent")
    SEND_UNCERTAIN = "send_uncertain", _("An email was perhaps sent")
    MAIL_RETURNED = "mail_returned", _("An email did not reach everybody")
    DEADLINE = "deadline", _("Something ends on a known day")
    SHARED_WITH_YOU = "shared_with_you", _("A mailbox was shared with you")


class Notification(models.Model):
    """One thing for one user. `key` keeps it single while open; `data` fills its sentence (hostile strings escaped)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=24, choices=Kind.choices)
    key = models.CharField(max_length=120)
    email_account = models.ForeignKey(EmailAccount, null=True, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)
    needs_answer = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)  # answered, mended or dismissed

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "key"], condition=models.Q(closed_at__isnull=True), name="one_open_notice"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.user_id}"
