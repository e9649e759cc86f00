"""Administration of sign-in applications: write-only secrets, a *Test* button, and the guide through other people's screens.

Invariant: a secret goes in and never comes out: not into the form, the page, the history or a message.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from base.addresses import normalise_domain
from drivers.oauth.google import MAIL_SCOPE
from drivers.oauth.microsoft import MAIL_SCOPES
from providers.admin_rights import ServerManagersOnly
from providers.applications import redirect_uri, set_secret, test_application
from providers.models import ApplicationKind, Audience, OAuthApplication

GUIDES = {"google": "google", "microsoft": "microsoft", "oidc": "oidc"}


class ApplicationForm(forms.ModelForm):
    """A registration. The secret's field is always empty; left empty, the kept one stays."""

    new_secret = forms.CharField(
        label=gettext_lazy("Client secret"), required=False, max_length=2000, strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Kept encrypted and never shown again. Leave it empty to keep the present one."),
    )  # fmt: skip

    issuer = forms.URLField(
        label=gettext_lazy("Issuer"), required=False, max_length=300, assume_scheme="https",
        help_text=OAuthApplication._meta.get_field("issuer").help_text,
    )  # fmt: skip

    class Meta:
        model = OAuthApplication
        fields = (
            "name", "key", "kind", "client_id", "new_secret", "secret_expires_on", "tenant", "audience", "issuer",
            "mail_scopes", "provider", "domains", "is_app_only", "is_enabled", "ca_bundle",
        )  # fmt: skip
        widgets = {"domains": forms.Textarea(attrs={"rows": 3}), "ca_bundle": forms.Textarea(attrs={"rows": 3})}

    def clean_domains(self) -> str:
        """Each domain normalised, one a line."""
        found = [normalise_domain(word) for word in self.cleaned_data["domains"].replace(",", " ").split()]
        if not all(found):
            raise forms.ValidationError(_("One of these is no domain."))
        return "\n".join(dict.fromkeys(found))

    def clean_issuer(self) -> str:
        """An https address."""
        issuer = self.cleaned_data["issuer"].rstrip("/")
        if issuer and not issuer.startswith("https://"):
            raise forms.ValidationError(_("Sign-in servers are reached by https only."))
        return issuer

    def clean(self) -> dict[str, Any]:
        """What each kind needs."""
        data = super().clean() or {}
        kind = data.get("kind")
        if kind == ApplicationKind.OPENID and not data.get("issuer"):
            self.add_error("issuer", _("Where is the sign-in server? Its issuer, as its documentation names it."))
        if kind == ApplicationKind.OPENID and not data.get("mail_scopes"):
            self.add_error("mail_scopes", _("Name the scope that your mail server asks of a token."))
        if kind == ApplicationKind.GOOGLE and not data.get("audience"):
            self.add_error("audience", _("Say which one it is: it decides how long a sign-in lasts."))
        if kind == ApplicationKind.GOOGLE and data.get("is_app_only"):
            self.add_error("is_app_only", _("Only Microsoft and OpenID Connect servers know this."))
        if data.get("is_app_only") and not data.get("domains"):
            self.add_error("domains", _("Name the domains whose mailboxes it may open."))
        if data.get("is_app_only") and kind == ApplicationKind.MICROSOFT and not data.get("tenant"):
            self.add_error("tenant", _("Application-only access belongs to one directory: give its id."))
        return data


@admin.register(OAuthApplication)
class ApplicationAdmin(ServerManagersOnly, admin.ModelAdmin):
    """Sign-in applications."""

    form = ApplicationForm
    change_list_template = "admin/providers/oauthapplication/change_list.html"
    change_form_template = "admin/providers/oauthapplication/change_form.html"
    list_display = ("name", "kind", "is_enabled", "is_app_only", "provider", "secret_expires_on", "last_test")
    list_filter = ("kind", "is_enabled", "is_app_only")
    search_fields = ("name", "client_id", "domains")
    readonly_fields = ("redirect", "kept_secret", "last_test")
    fieldsets = (
        (None, {"fields": ("name", "key", "kind", "redirect")}),
        (gettext_lazy("As the service knows it"),
         {"fields": ("client_id", "new_secret", "kept_secret", "secret_expires_on", "last_test")}),
        (gettext_lazy("What the service asks for"), {"fields": ("tenant", "audience", "issuer", "mail_scopes", "ca_bundle")}),
        (gettext_lazy("For which mailboxes"), {"fields": ("provider", "domains", "is_app_only", "is_enabled")}),
    )  # fmt: skip
    prepopulated_fields = {"key": ("name",)}
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    def get_prepopulated_fields(self, request: HttpRequest, obj: OAuthApplication | None = None) -> Any:
        """The key out of the name, when adding."""
        return {} if obj else super().get_prepopulated_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: OAuthApplication | None = None) -> Any:
        """The redirect address is registered elsewhere: its key stays."""
        return (*self.readonly_fields, "key", "kind") if obj else self.readonly_fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The first application of a service has the service's name as its key."""
        kind = request.GET.get("kind", "")
        if kind not in ApplicationKind.values:
            return {}
        is_first = not OAuthApplication.objects.filter(key=kind).exists()
        return {"kind": kind, "name": ApplicationKind(kind).label, "key": kind if is_first else ""}

    @admin.display(description=gettext_lazy("redirect address to register"))
    def redirect(self, application: OAuthApplication) -> str:
        """Return the exact address."""
        return format_html("<code>{}</code>", redirect_uri(application.key)) if application.key else "–"

    @admin.display(description=gettext_lazy("secret"))
    def kept_secret(self, application: OAuthApplication) -> str:
        """Return whether one is kept."""
        return _("kept, encrypted") if application.secret_ciphertext else _("none")

    @admin.display(description=gettext_lazy("last test"))
    def last_test(self, application: OAuthApplication) -> str:
        """Return what the last test said."""
        if application.tested_at is None:
            return _("not tested")
        return problem_words(application.test_problem)

    def save_model(self, request: HttpRequest, obj: OAuthApplication, form: Any, change: bool) -> None:
        """Save; a new secret goes in encrypted."""
        if form.cleaned_data.get("new_secret"):
            set_secret(obj, form.cleaned_data["new_secret"])
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As ever; the secret is kept out of error reports."""
        return sensitive_post_parameters("new_secret")(super().changeform_view)(request, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the guide and *Test*."""
        wrap = self.admin_site.admin_view
        own = [
            path("guide/", wrap(guide), name="providers_oauth_guide"),
            path("<uuid:application_id>/test/", wrap(test), name="providers_oauth_test"),
        ]
        return own + super().get_urls()


def problem_words(problem: str) -> str:
    """What a test said."""
    texts = {
        "": _("The service knows this application and its secret."),
        "application": _("The service refuses the client id or the secret."),
        "blocked": _("This server address is not allowed (see PRIVATE_NETWORKS)."),
        "answer": _("What answers there is no sign-in server of this address."),
        "certificate": _("The sign-in server's certificate is not trusted."),
    }
    return texts.get(problem, _("The sign-in server cannot be reached."))


def _check(request: HttpRequest) -> None:
    if not getattr(request.user, "may_manage_servers", False):
        raise PermissionDenied


@require_GET
def guide(request: HttpRequest) -> HttpResponse:
    """Each screen at Google Cloud, Microsoft Entra and a server of one's own, with what to paste there."""
    _check(request)
    keys = {kind: kind for kind in ("google", "microsoft", "oidc")}
    context = {
        **admin.site.each_context(request),
        "title": _("Register sign-in applications"),
        "redirects": {kind: redirect_uri(key) for kind, key in keys.items()},
        "open": GUIDES.get(request.GET.get("for", ""), ""),
        "google_scope": MAIL_SCOPE,
        "microsoft_scopes": MAIL_SCOPES,
        "is_https": settings.BASE_URL.startswith("https://"),
        "audiences": Audience.choices,
    }
    return TemplateResponse(request, "admin/providers/oauthapplication/guide.html", context)


@require_POST
def test(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """Ask the service whether it knows the application."""
    _check(request)
    application = get_object_or_404(OAuthApplication, pk=application_id)
    problem = test_application(application)
    messages.add_message(request, messages.ERROR if problem else messages.SUCCESS, problem_words(problem))
    return redirect("admin:providers_oauthapplication_change", application.pk)
