"""Providers and the *Email providers domains* lookup.

Invariant: what an administrator edited or removed stays so when the catalogue is loaded again (`edited_fields`,
`ProviderDomain.is_removed`).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class LoginFormat(models.TextChoices):
    """What is given to the server as the user name."""

    MANUAL = "manual_entry", _("Manual entry")
    ADDRESS = "use_email_address", _("Email address")
    MAILBOX_NAME = "use_mailbox_name", _("Mailbox name (before the @)")


class Protocol(models.TextChoices):
    """What a server speaks."""

    IMAP = "imap", "IMAP"
    SMTP = "smtp", "SMTP"
    EWS = "ews", "Exchange"


class SecurityMode(models.TextChoices):
    """How a connection is protected; never downgraded."""

    SSL = "ssl", "SSL/TLS"
    STARTTLS = "starttls", "STARTTLS"
    NONE = "none", _("None")


class ProviderKind(models.TextChoices):
    """Public mail domains (consumer) never make or match a company."""

    CONSUMER = "consumer", _("Public mail service")
    BUSINESS = "business", _("Business mail service")
    CORPORATE = "corporate", _("Own mail server")


class AppPassword(models.TextChoices):
    """Whether the provider wants a password made for mail programs; `maybe` is not proven, never said as a fact."""

    NO = "", _("No")
    REQUIRED = "required", _("Always")
    SOMETIMES = "sometimes", _("With two-step verification")
    MAYBE = "maybe", _("Perhaps (not proven)")


class Access(models.TextChoices):
    """Whether mail programs get in at all."""

    DIRECT = "direct", _("By IMAP, SMTP or Exchange")
    BRIDGE = "bridge", _("Only through the provider's own bridge program")
    NONE = "none", _("Not at all")


class Provider(models.Model):
    """Who runs mail: Gmail, a corporate Exchange."""

    key = models.SlugField(_("key"), max_length=80, unique=True)
    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=20, choices=ProviderKind.choices, default=ProviderKind.CORPORATE)
    logo = models.CharField(
        _("logo"), max_length=80, blank=True, help_text=_("File name under img/providers, else a monogram")
    )
    monogram = models.CharField(_("monogram"), max_length=3, blank=True, help_text=_("Shown where there is no logo"))
    access = models.CharField(
        _("access for mail programs"), max_length=8, choices=Access.choices, default=Access.DIRECT
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    can_receive = models.BooleanField(_("receive"), default=True)
    can_send = models.BooleanField(_("send"), default=True)
    allows_password = models.BooleanField(_("password sign-in"), default=True)
    allows_oauth = models.BooleanField(_("OAuth sign-in"), default=False)
    oauth_kind = models.CharField(_("OAuth kind"), max_length=20, blank=True)  # google | microsoft | oidc
    app_password = models.CharField(_("app password"), max_length=20, blank=True, choices=AppPassword.choices)
    app_password_help = models.URLField(_("app password page"), max_length=500, blank=True)
    app_password_note = models.TextField(_("app password note"), blank=True)
    enable_imap_url = models.URLField(_("page that switches IMAP on"), max_length=500, blank=True)
    is_imap_off_by_default = models.BooleanField(_("IMAP is off until the user allows it"), default=False)
    help_url = models.URLField(_("help page"), max_length=500, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    mx_suffixes = models.JSONField(_("MX suffixes"), default=list, blank=True)
    position = models.PositiveIntegerField(_("position in the list"), default=1000)
    is_catalogue = models.BooleanField(_("from the catalogue"), default=False, editable=False)
    edited_fields = models.JSONField(default=list, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("added by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("email provider")
        verbose_name_plural = _("email providers")
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What stands in place of a logo: the monogram, else the first two letters of the name."""
        return self.monogram or self.name[:2]


class ProviderServer(models.Model):
    """One server of a provider for one direction; the lowest `position` is preferred."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="servers")
    protocol = models.CharField(_("protocol"), max_length=8, choices=Protocol.choices)
    host = models.CharField(_("server"), max_length=253, blank=True)
    port = models.PositiveIntegerField(_("port"), null=True, blank=True)
    security = models.CharField(_("security"), max_length=10, choices=SecurityMode.choices, default=SecurityMode.SSL)
    url = models.CharField(_("Exchange service address"), max_length=500, blank=True)
    login_format = models.CharField(
        _("login format"), max_length=20, choices=LoginFormat.choices, default=LoginFormat.ADDRESS
    )
    ca_bundle = models.TextField(_("private CA (PEM)"), blank=True)
    impersonates = models.BooleanField(
        _("by a service account"),
        default=False,
        help_text=_("Exchange: the user name is a service account with the right to act as the mailbox's owner"),
    )
    position = models.PositiveSmallIntegerField(_("order"), default=0)

    class Meta:
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        ordering = ["protocol", "position", "id"]

    def __str__(self) -> str:
        return f"{self.get_protocol_display()} {self.host or self.url}:{self.port or ''}"


class DomainMatch(models.TextChoices):
    """Exact wins over suffix; the longest suffix wins."""

    EXACT = "exact", _("this domain")
    SUFFIX = "suffix", _("this domain and those below it")


class DomainSource(models.TextChoices):
    """Where a row of the lookup came from."""

    CATALOGUE = "catalogue", _("Catalogue")
    ADMINISTRATOR = "administrator", _("Administrator")
    LEARNED = "learned", _("Learned from a sign-in")
    IMPORT = "import", _("Import")


class ProviderDomain(models.Model):
    """A row of the *Email providers domains* lookup. Removed catalogue rows are kept, so that they stay removed."""

    domain = models.CharField(_("domain"), max_length=253)
    match = models.CharField(_("applies to"), max_length=8, choices=DomainMatch.choices, default=DomainMatch.EXACT)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="domains")
    source = models.CharField(
        _("source"), max_length=16, choices=DomainSource.choices, default=DomainSource.ADMINISTRATOR
    )
    is_removed = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("email provider domain")
        verbose_name_plural = _("email providers domains")
        ordering = ["domain"]
        constraints = [
            models.UniqueConstraint(
                fields=["domain", "match"],
                name="one_row_per_domain",
                violation_error_message=_("This domain is in the table already, or was removed from it."),
            )
        ]

    def __str__(self) -> str:
        return self.domain


class ProposalState(models.TextChoices):
    """A proposal works for its user at once, for everybody after approval."""

    WAITING = "waiting", _("Waiting")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class DomainProposal(models.Model):
    """A domain chosen by hand, learned after a successful sign-in."""

    domain = models.CharField(_("domain"), max_length=253)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="proposals")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(_("state"), max_length=10, choices=ProposalState.choices, default=ProposalState.WAITING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("domain proposal")
        verbose_name_plural = _("domain proposals")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["domain", "proposed_by"], name="one_proposal_per_user_and_domain")
        ]

    def __str__(self) -> str:
        return f"{self.domain} → {self.provider}"


from providers.oauth_models import ApplicationKind, Audience, OAuthApplication  # noqa: E402 - they refer to the above

__all__ = [
    "Access",
    "AppPassword",
    "ApplicationKind",
    "Audience",
    "DomainMatch",
    "DomainProposal",
    "DomainSource",
    "LoginFormat",
    "OAuthApplication",
    "ProposalState",
    "Protocol",
    "Provider",
    "ProviderDomain",
    "ProviderKind",
    "ProviderServer",
    "SecurityMode",
]
