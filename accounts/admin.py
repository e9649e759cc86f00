"""Django admin of users, invitations and email accounts: states and servers, never a secret nor a line of mail.

Invariant: nothing here opens a credential, creates an email account or gives its administrator a right to mail.
"""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.forms import ResetPasswordForm
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import invitations
from accounts.models import EmailAccount, EmailAccountServer, EmailAccountShare, Invitation, User

# The admin's own sign-in page would pass by the second step and the rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def may_enter(request: HttpRequest) -> bool:
    """Administrators, and mail administrators for providers and domains (the rest asks for rights they lack)."""
    user: Any = request.user
    return bool(user.is_active and getattr(user, "may_manage_servers", False))


admin.site.has_permission = may_enter  # type: ignore[method-assign]


# Its pages show session keys: who reads one can be that person, and read their mail.
admin.site.unregister(UserSession)
# A second address of a person is a way in as them.
admin.site.unregister(EmailAddress)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Users: name, address, rights.

    Who sets a person's password or address can sign in as them and read their mail; who joins a group reads what is
    shared with it. So once a person has signed in, password and address are theirs alone (a link to choose a new
    password can be sent), and nobody changes the own groups.
    """

    list_display = ("username", "email", "name", "is_active", "is_mail_administrator", "is_staff", "last_login")
    list_filter = ("is_active", "is_mail_administrator", "is_staff", "groups")
    search_fields = ("username", "email", "name")
    ordering = ("username",)
    fieldsets = (
        (None, {"fields": ("username", "email", "name", "password")}),
        (_("Rights"), {"fields": ("is_active", "is_mail_administrator", "is_staff", "is_superuser", "groups")}),
        (_("Preferences"), {"fields": ("time_zone", "theme", "density")}),
        (_("Times"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "email", "name", "usable_password", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")
    actions = ("send_password_link",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return self.readonly_fields
        if obj.pk == request.user.pk:
            return (*self.readonly_fields, "groups")
        return (*self.readonly_fields, "email", "username") if is_theirs(obj) else self.readonly_fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or obj.pk == request.user.pk or not is_theirs(obj):
            return fieldsets
        return [
            (name, {**options, "fields": tuple(field for field in options["fields"] if field != "password")})
            for name, options in fieldsets
        ]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002 - Django's name
        person = self.get_object(request, id)
        if person is not None and person.pk != request.user.pk and is_theirs(person):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @admin.action(description=_("Send a link to choose a new password"))
    def send_password_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        sent = 0
        for person in queryset.filter(is_active=True).exclude(email=""):
            form = ResetPasswordForm(data={"email": person.email})
            if form.is_valid():
                form.save(request)
                sent += 1
        self.message_user(request, _("Links sent: %(count)d") % {"count": sent})


def is_theirs(person: User) -> bool:
    """Whether somebody signed in as this person already: from then on the way in belongs to them."""
    return person.last_login is not None


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):
    """Invitations; adding one sends its link."""

    list_display = (
        "email",
        "is_mail_administrator",
        "is_staff",
        "invited_by",
        "created_at",
        "expires_at",
        "accepted_at",
    )
    search_fields = ("email",)
    fields = ("email", "is_mail_administrator", "is_staff")

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        try:
            made, token = invitations.invite(
                email=obj.email.lower(),
                by=request.user,  # type: ignore[arg-type]
                is_mail_administrator=obj.is_mail_administrator,
                is_staff=obj.is_staff,
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return
        obj.pk = made.pk
        obj.__dict__.update({name: value for name, value in made.__dict__.items() if name != "_state"})
        if not invitations.send(made, token):
            words = _("The invitation could not be sent; give this link yourself: %(link)s")
            messages.warning(request, words % {"link": invitations.link_of(token)})


class ReadOnly:
    """Looked at, not changed."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ServerInline(ReadOnly, admin.TabularInline):
    """Its servers."""

    model = EmailAccountServer
    fields = ("protocol", "host", "port", "security", "user_name", "login_format")
    extra = 0


class ShareInline(ReadOnly, admin.TabularInline):
    """Who else may use it: only its owner changes that."""

    model = EmailAccountShare
    fields = ("user", "group", "level")
    extra = 0


@admin.register(EmailAccount)
class EmailAccountAdmin(ReadOnly, admin.ModelAdmin):
    """Email accounts: owner, state, errors by kind. What the server said may hold text of mail and is left out."""

    list_display = ("address", "owner", "provider", "state", "last_sync_at", "failures", "last_error_kind")
    list_filter = ("state", "provider", "last_error_kind")
    search_fields = ("address", "owner__username", "owner__email")
    fields = (
        "address",
        "owner",
        "provider",
        "state",
        "period",
        "since",
        "auto_download",
        "can_receive",
        "can_send",
        "last_sync_at",
        "last_new_mail_at",
        "next_sync_at",
        "failures",
        "last_error_kind",
        "last_error_at",
        "created_at",
    )
    inlines = (ServerInline, ShareInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmailAccount]:
        return super().get_queryset(request).select_related("owner", "provider")
