"""What signing in without a password keeps: the state of a grant, sign-ins under way, grants to take back.

Invariant: tokens stand encrypted in `Credential` (or, to be revoked, in `GrantToRevoke`), never in a column of these.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from providers.models import OAuthApplication


class OAuthGrant(models.Model):
    """The state of a credential of kind oauth2. `claimed_until`: a worker is refreshing; `refused_at`: the grant is over."""

    credential = models.OneToOneField("accounts.Credential", on_delete=models.CASCADE, related_name="grant")
    application = models.ForeignKey(OAuthApplication, null=True, on_delete=models.SET_NULL, related_name="grants")
    identity = models.CharField(_("signed in as"), max_length=320, blank=True)
    is_app_only = models.BooleanField(default=False)
    expires_at = models.DateTimeField()  # of the access token
    lifetime = models.FloatField(default=3600)  # seconds
    refresh_expires_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField()
    generation = models.PositiveIntegerField(default=0)  # rises with each token
    claimed_by = models.CharField(max_length=80, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row, of refreshing
    retry_at = models.DateTimeField(null=True, blank=True)
    last_error_kind = models.CharField(max_length=40, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["refresh_expires_at"], name="grants_that_end")]

    def __str__(self) -> str:
        return f"grant of {self.identity or 'an application'}"


class SignInAttempt(models.Model):
    """A person was sent to a service. Bound to the user, the session and the application; used once, for ten minutes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    setup = models.ForeignKey("accounts.MailboxSetup", on_delete=models.CASCADE, related_name="sign_ins")
    application = models.ForeignKey(OAuthApplication, on_delete=models.CASCADE, related_name="+")
    redirect_uri = models.CharField(max_length=500)
    kept_ciphertext = models.TextField(blank=True)  # PKCE verifier and nonce, encrypted; emptied when used
    problem = models.CharField(max_length=40, blank=True)
    signed_in_as = models.CharField(max_length=320, blank=True)  # where it is another identity
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"sign-in {self.id}"


class GrantToRevoke(models.Model):
    """A mailbox was disconnected: its refresh token is taken back at the service, then the row goes. Where that was
    tried long enough the token is forgotten, too, and the row stays a while so that the person is told (`given_up_at`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(OAuthApplication, on_delete=models.CASCADE, related_name="+")
    email_account = models.ForeignKey("accounts.EmailAccount", null=True, on_delete=models.SET_NULL, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    identity = models.CharField(max_length=320, blank=True)
    ciphertext = models.TextField(blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"grant to revoke {self.id}"
