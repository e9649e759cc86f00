"""This installation's registrations with sign-in services (Google Cloud, Microsoft Entra, OpenID Connect).

Invariant: a client secret is written, never shown: it stands here encrypted with the key ring and bound to its row.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ApplicationKind(models.TextChoices):
    """Which service. The values are those of drivers.oauth.flow.ServiceKind and of Provider.oauth_kind."""

    GOOGLE = "google", "Google"
    MICROSOFT = "microsoft", "Microsoft"
    OPENID = "oidc", _("OpenID Connect (own sign-in server)")


class Audience(models.TextChoices):
    """Who may sign in at Google: it decides how long a sign-in lasts."""

    INTERNAL = "internal", _("Internal: this organisation's Google Workspace only")
    TESTING = "testing", _("External, in testing: 100 test users, sign-ins end after 7 days")
    PUBLISHED = "published", _("External, in production: verified by Google")


class OAuthApplication(models.Model):
    """One registration. It is used for its `domains` first, else for its provider, else for all providers of its kind."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.SlugField(
        _("key"), max_length=40, unique=True, help_text=_("Part of the redirect address; never changed afterwards")
    )
    name = models.CharField(_("name"), max_length=120, help_text=_("As your colleagues know it"))
    kind = models.CharField(_("service"), max_length=12, choices=ApplicationKind.choices)
    client_id = models.CharField(_("client id"), max_length=300)
    secret_ciphertext = models.TextField(editable=False, blank=True)
    secret_expires_on = models.DateField(
        _("secret expires on"), null=True, blank=True, help_text=_("We remind you 30, 7 and 1 days before")
    )
    tenant = models.CharField(
        _("tenant"), max_length=120, blank=True,
        help_text=_("Microsoft only: the directory (tenant) id; empty for mailboxes of any organisation"),
    )  # fmt: skip
    issuer = models.URLField(
        _("issuer"), max_length=300, blank=True,
        help_text=_("OpenID Connect, and national clouds of Microsoft; empty for the public service"),
    )  # fmt: skip
    mail_scopes = models.CharField(
        _("mail scopes"), max_length=500, blank=True, help_text=_("OpenID Connect only, parted by blanks")
    )
    ca_bundle = models.TextField(_("private CA (PEM)"), blank=True)
    audience = models.CharField(_("audience"), max_length=12, choices=Audience.choices, blank=True)
    is_app_only = models.BooleanField(
        _("for application-only access"), default=False,
        help_text=_("No person signs in: the application itself may open mailboxes. Kept apart from all others."),
    )  # fmt: skip
    provider = models.ForeignKey(
        "providers.Provider", verbose_name=_("provider"), null=True, blank=True, on_delete=models.SET_NULL,
        related_name="applications", help_text=_("Empty: for every provider of this service"),
    )  # fmt: skip
    domains = models.TextField(
        _("domains"), blank=True, help_text=_("One a line: only for addresses of these domains, before all others")
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    tested_at = models.DateTimeField(null=True, editable=False)
    test_problem = models.CharField(max_length=40, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("sign-in application")
        verbose_name_plural = _("sign-in applications")
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def can_revoke(self) -> bool:
        """Whether its service may take a sign-in back when asked; Microsoft has no such endpoint."""
        return self.kind != ApplicationKind.MICROSOFT

    @property
    def domain_list(self) -> list[str]:
        """The domains, normalised when they were saved."""
        return self.domains.split()
