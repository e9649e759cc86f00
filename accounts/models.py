"""Users, email accounts, shares, credentials, the wizard's rows, connection slots.

Invariants: a secret stands only in `Credential`, encrypted and bound to its row; a working credential is replaced
only after a successful sign-in; an address is connected at most once per installation.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from providers.models import LoginFormat, Protocol, Provider, SecurityMode


class User(AbstractUser):
    """A person of this installation. `is_staff` is the administrator: administers, and reads nobody's mail."""

    email = models.EmailField(  # type: ignore[assignment]
        _("email address"), unique=True, null=True, blank=True
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_mail_administrator = models.BooleanField(
        _("mail administrator"), default=False, help_text=_("May manage mail servers, domains and shared mailboxes")
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    theme = models.CharField(_("theme"), max_length=8, default="system")  # system | light | dark
    density = models.CharField(_("density"), max_length=12, default="comfortable")  # comfortable | compact

    class Meta(AbstractUser.Meta):
        pass

    def get_full_name(self) -> str:
        return self.name or super().get_full_name() or self.username

    @property
    def may_manage_servers(self) -> bool:
        """May add mail servers and domains, approve proposals."""
        return self.is_mail_administrator or self.is_staff


class Invitation(models.Model):
    """How users join: a one-time link to an address. Only the hash of its token is kept."""

    email = models.EmailField(_("email address"))
    is_mail_administrator = models.BooleanField(_("mail administrator"), default=False)
    is_staff = models.BooleanField(_("administrator"), default=False)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.email


class AccountState(models.TextChoices):
    """setup → connected (nothing downloaded) → active → paused | needs_sign_in.

    removed: stopped, its mail kept; erasing: going.
    """

    SETUP = "setup", _("Being set up")
    CONNECTED = "connected", _("Connected, waiting for your answer")
    ACTIVE = "active", _("Active")
    PAUSED = "paused", _("Paused")
    NEEDS_SIGN_IN = "needs_sign_in", _("Sign in again")
    REMOVED = "removed", _("Stopped, mail kept")
    ERASING = "erasing", _("Being erased")


class Period(models.TextChoices):
    """How far back mail is downloaded, counted from the day the period was chosen."""

    DAY = "day", _("Last day")
    WEEK = "week", _("Last week")
    MONTH = "month", _("Last month")
    QUARTER = "quarter", _("Last three months")
    YEAR = "year", _("Last year")
    EVERYTHING = "everything", _("Everything")


class EmailAccount(models.Model):
    """A connected mailbox."""

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="email_accounts")
    address = models.CharField(_("address"), max_length=320)
    address_key = models.CharField(max_length=320, unique=True, editable=False)  # normalised for comparison
    display_name = models.CharField(_("display name"), max_length=200, blank=True)
    signature_html = models.TextField(_("signature"), blank=True)
    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(_("state"), max_length=16, choices=AccountState.choices, default=AccountState.SETUP)
    period = models.CharField(_("download period"), max_length=12, choices=Period.choices, default=Period.WEEK)
    since = models.DateField(null=True, blank=True)  # fixed when the period was chosen; None: everything
    auto_download = models.BooleanField(_("download new mail automatically"), default=True)
    can_receive = models.BooleanField(default=True)
    is_read_only = models.BooleanField(_("never change anything on the server"), default=False)
    can_send = models.BooleanField(_("send with this email account"), default=True)
    is_default_sender = models.BooleanField(_("default sender"), default=False)
    answered_at = models.DateTimeField(null=True, blank=True)  # the first question (download the last week?)
    folders_chosen_at = models.DateTimeField(null=True, blank=True)  # the user chose folders by hand

    # State of receiving, written by sync
    last_sync_at = models.DateTimeField(null=True, blank=True)  # last success
    last_new_mail_at = models.DateTimeField(null=True, blank=True)
    next_sync_at = models.DateTimeField(null=True, blank=True)
    sync_requested_at = models.DateTimeField(null=True, blank=True)  # a person asked; cleared when begun
    failures = models.PositiveIntegerField(default=0)  # in a row
    last_error_kind = models.CharField(max_length=40, blank=True)
    last_error_said = models.CharField(max_length=500, blank=True)  # hostile: what the server said
    last_error_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("email account")
        verbose_name_plural = _("email accounts")
        ordering = ["address_key"]
        indexes = [models.Index(fields=["state", "next_sync_at"], name="due_email_accounts")]

    def __str__(self) -> str:
        return self.address


class EmailAccountServer(models.Model):
    """The chosen copy of a provider's server: editing a provider never breaks a working mailbox."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="servers")
    protocol = models.CharField(max_length=8, choices=Protocol.choices)
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(null=True, blank=True)
    security = models.CharField(max_length=10, choices=SecurityMode.choices, default=SecurityMode.SSL)
    url = models.CharField(max_length=500, blank=True)
    user_name = models.CharField(max_length=320)
    login_format = models.CharField(max_length=20, choices=LoginFormat.choices, default=LoginFormat.ADDRESS)
    ca_bundle = models.TextField(blank=True)
    impersonates = models.BooleanField(default=False)  # Exchange: a service account acts as the mailbox's owner
    capabilities = models.JSONField(default=dict, blank=True)  # as seen at the last check

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email_account", "protocol"], name="one_server_per_protocol")]

    def __str__(self) -> str:
        return f"{self.protocol} {self.host or self.url}"


class Alias(models.Model):
    """Another address of a mailbox: mail to it arrives there, and may be sent from it."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="aliases")
    address = models.CharField(_("address"), max_length=320)
    address_key = models.CharField(max_length=320, db_index=True, editable=False)  # normalised for comparison
    display_name = models.CharField(_("display name"), max_length=200, blank=True)  # "": the mailbox's
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("alias")
        verbose_name_plural = _("aliases")
        ordering = ["address_key"]
        constraints = [models.UniqueConstraint(fields=["email_account", "address_key"], name="one_alias_per_address")]

    def __str__(self) -> str:
        return self.address


class ShareLevel(models.TextChoices):
    """Each level includes those before it."""

    SEE = "see", _("may see")
    SEND = "send", _("may send")
    SET_UP = "set_up", _("may set up")


class EmailAccountShare(models.Model):
    """Who else may use a mailbox: a user or a group."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="shares")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    level = models.CharField(max_length=8, choices=ShareLevel.choices, default=ShareLevel.SEE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=True) ^ models.Q(group__isnull=True),
                name="share_with_a_user_or_a_group",
            ),
            models.UniqueConstraint(fields=["email_account", "user"], name="one_share_per_user"),
            models.UniqueConstraint(fields=["email_account", "group"], name="one_share_per_group"),
        ]

    def __str__(self) -> str:
        return f"{self.email_account} → {self.user or self.group} ({self.level})"


class MailboxSetup(models.Model):
    """One run of the wizard; forgotten after a day, its candidate credential too.

    `servers` holds the chosen servers as dicts of `accounts.setup.ChosenServer`; `evidence` says why this provider.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    email_account = models.ForeignKey(  # signing in again, or the result
        EmailAccount, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    is_again = models.BooleanField(default=False)  # signing in again to an existing email account
    address = models.CharField(max_length=320)
    stage = models.CharField(max_length=16, default="address")  # accounts.setup.Stage
    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    provider_name = models.CharField(max_length=120, blank=True)  # of a server typed in: becomes a provider at the end
    is_chosen_by_hand = models.BooleanField(default=False)
    evidence = models.CharField(max_length=300, blank=True)
    servers = models.JSONField(default=list)
    user_name = models.CharField(max_length=320, blank=True)  # where the login format is manual
    attempt = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="setups_to_forget")]

    def __str__(self) -> str:
        return self.address


class SetupCheck(models.Model):
    """A visible step of the live check: waiting → running → ok | failed."""

    setup = models.ForeignKey(MailboxSetup, on_delete=models.CASCADE, related_name="checks")
    kind = models.CharField(max_length=12)  # receive | send | folders
    position = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, default="waiting")
    error_kind = models.CharField(max_length=40, blank=True)
    detail = models.JSONField(default=dict, blank=True)  # e.g. {"host": …, "problem": …, "count": 24}
    server_said = models.CharField(max_length=500, blank=True)  # hostile
    started_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["setup", "kind"], name="one_check_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"


class Credential(models.Model):
    """A secret, encrypted with the key ring and bound to this row's id. Belongs to an account or, as a candidate, to a setup."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email_account = models.OneToOneField(
        EmailAccount, null=True, blank=True, on_delete=models.CASCADE, related_name="credential"
    )
    setup = models.OneToOneField(
        MailboxSetup, null=True, blank=True, on_delete=models.CASCADE, related_name="candidate"
    )
    kind = models.CharField(max_length=10, default="password")
    ciphertext = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email_account__isnull=True) ^ models.Q(setup__isnull=True),
                name="credential_of_an_account_or_a_setup",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} credential"


class ConnectionSlot(models.Model):
    """One open connection of an email account; rows are the budget. A crashed holder's slot expires."""

    email_account = models.ForeignKey(EmailAccount, on_delete=models.CASCADE, related_name="+")
    holder = models.CharField(max_length=80)
    purpose = models.CharField(max_length=12, default="sync")  # sync | click | listen
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["email_account", "expires_at"], name="slots_of_an_email_account")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.holder}"


from accounts.oauth_models import GrantToRevoke, OAuthGrant, SignInAttempt  # noqa: E402, F401 - registered with the room
