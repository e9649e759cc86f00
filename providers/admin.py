"""Administration of providers, the *Email providers domains* lookup and the proposals.

Invariant: only who may manage mail servers gets in; what is edited here is marked, so that no load of the catalogue
takes it back.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet, URLField
from django.forms import BaseInlineFormSet, Form, ModelForm
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from providers import admin_views, oauth_admin  # noqa: F401 - registers itself
from providers.admin_forms import DomainForm, ProviderForm, ServerForm
from providers.admin_rights import ServerManagersOnly
from providers.models import DomainProposal, DomainSource, ProposalState, Provider, ProviderDomain, ProviderServer
from providers.queries import uses_of
from providers.services import approve_proposal, delete_provider, reject_proposal, remove_domain

MAX_INLINE_DOMAINS = 100  # rows of one form; more are edited in their own list


class ServerInline(ServerManagersOnly, admin.StackedInline):
    """The servers of a provider."""

    model = ProviderServer
    form = ServerForm
    extra = 0


class DomainInline(ServerManagersOnly, admin.TabularInline):
    """The domains of a provider that were added here; the catalogue's are in their own list."""

    model = ProviderDomain
    form = DomainForm
    extra = 0
    fields = ("domain", "match")
    verbose_name_plural = gettext_lazy("domains that were added here")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderDomain]:
        """Leave out removed rows and the catalogue's."""
        rows = super().get_queryset(request)
        return rows.filter(is_removed=False).exclude(source=DomainSource.CATALOGUE)


@admin.register(Provider)
class ProviderAdmin(ServerManagersOnly, admin.ModelAdmin):
    """Email providers."""

    form = ProviderForm
    change_list_template = "admin/providers/provider/change_list.html"
    list_display = ("name", "kind", "is_enabled", "domain_count", "allows_password", "allows_oauth", "is_catalogue")
    list_filter = ("is_enabled", "kind", "access", "is_catalogue", "allows_oauth")
    search_fields = ("name", "key", "servers__host", "domains__domain")
    readonly_fields = ("is_catalogue", "edited", "created_by")
    exclude = ("edited_fields",)
    prepopulated_fields = {"key": ("name",)}
    formfield_overrides = {URLField: {"assume_scheme": "https"}}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        """Add the number of domains."""
        counted = Count("domains", filter=Q(domains__is_removed=False), distinct=True)
        return super().get_queryset(request).annotate(live_domains=counted)

    @admin.display(description=gettext_lazy("domains"), ordering="live_domains")
    def domain_count(self, provider: Any) -> int:
        """Return how many domains lead to it."""
        return provider.live_domains

    @admin.display(description=gettext_lazy("edited here"))
    def edited(self, provider: Provider) -> str:
        """Return the fields that the catalogue no longer changes."""
        return ", ".join(provider.edited_fields) or "–"

    def get_inlines(self, request: HttpRequest, obj: Provider | None) -> list[Any]:
        """Leave the domains out where they are too many for one form."""
        if obj is None:
            return [ServerInline, DomainInline]
        own = obj.domains.filter(is_removed=False).exclude(source=DomainSource.CATALOGUE).count()
        return [ServerInline, DomainInline] if own <= MAX_INLINE_DOMAINS else [ServerInline]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        """Make the key out of the name when adding only."""
        return {} if obj else super().get_prepopulated_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        """Fix the key once it exists: loads of the catalogue find the provider by it."""
        return (*self.readonly_fields, "key") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Provider, form: ModelForm, change: bool) -> None:
        """Save and remember what was edited."""
        if change and obj.is_catalogue:
            obj.edited_fields = sorted({*obj.edited_fields, *form.changed_data})
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Form, formset: BaseInlineFormSet, change: bool) -> None:
        """Save servers and domains; edited servers of a catalogue's provider are marked as such."""
        if formset.model is ProviderDomain:
            rows = formset.save(commit=False)
            for row in rows:
                row.source = DomainSource.ADMINISTRATOR
                row.save()
            for row in formset.deleted_objects:
                remove_domain(row=row)
            return
        super().save_formset(request, form, formset, change)
        provider = formset.instance
        if provider.is_catalogue and formset.has_changed() and "servers" not in provider.edited_fields:
            provider.edited_fields = sorted({*provider.edited_fields, "servers"})
            provider.save(update_fields=["edited_fields"])

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say in sentences why a provider cannot be deleted."""
        found, counts, _missing, _protected = super().get_deleted_objects(objs, request)
        reasons = [f"{provider}: {reason}" for provider in objs for reason in uses_of(provider)]
        return found, counts, set(), reasons

    def delete_model(self, request: HttpRequest, obj: Provider) -> None:
        """Delete by the service, which checks again."""
        delete_provider(provider=obj, user=request.user)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        """Delete each by the service."""
        for provider in queryset:
            delete_provider(provider=provider, user=request.user)  # type: ignore[arg-type]

    def get_urls(self) -> list[URLPattern]:
        """Add *Try an address* and *Load the catalogue*."""
        wrap = self.admin_site.admin_view
        own = [
            path("try-an-address/", wrap(admin_views.try_address), name="providers_try_address"),
            path("load-catalogue/", wrap(admin_views.reload_catalogue), name="providers_load_catalogue"),
        ]
        return own + super().get_urls()


@admin.register(ProviderDomain)
class ProviderDomainAdmin(ServerManagersOnly, admin.ModelAdmin):
    """The *Email providers domains* lookup."""

    form = DomainForm
    change_list_template = "admin/providers/providerdomain/change_list.html"
    list_display = ("domain", "match", "provider", "source", "created_at")
    list_filter = ("source", "match", ("provider", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("provider",)
    search_fields = ("domain", "provider__name")
    autocomplete_fields = ("provider",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderDomain]:
        """Leave out removed rows."""
        return super().get_queryset(request).filter(is_removed=False)

    def get_readonly_fields(self, request: HttpRequest, obj: ProviderDomain | None = None) -> Any:
        """A domain is never renamed: the catalogue would bring the old one back."""
        return ("domain", "match") if obj else ()

    def save_model(self, request: HttpRequest, obj: ProviderDomain, form: ModelForm, change: bool) -> None:
        """Save as an administrator's row."""
        obj.source = DomainSource.ADMINISTRATOR
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: ProviderDomain) -> None:
        """Remove so that it stays removed."""
        remove_domain(row=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ProviderDomain]) -> None:
        """Remove so that they stay removed."""
        for row in queryset:
            remove_domain(row=row)

    def get_urls(self) -> list[URLPattern]:
        """Add import and export."""
        wrap = self.admin_site.admin_view
        own = [
            path("export/", wrap(admin_views.export_csv), name="providers_export_domains"),
            path("import/", wrap(admin_views.import_csv), name="providers_import_domains"),
        ]
        return own + super().get_urls()


@admin.register(DomainProposal)
class DomainProposalAdmin(ServerManagersOnly, admin.ModelAdmin):
    """Domains that users chose a provider for by hand, after a successful sign-in."""

    list_display = ("domain", "provider", "proposed_by", "state", "created_at", "decided_by", "decided_at")
    list_filter = ("state", ("provider", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("provider", "proposed_by", "decided_by")
    search_fields = ("domain", "provider__name")
    readonly_fields = ("domain", "provider", "proposed_by", "state", "decided_by", "decided_at", "created_at")
    actions = ("approve", "reject")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Proposals come from sign-ins only."""
        return False

    @admin.action(description=gettext_lazy("Approve: use it for everybody"))
    def approve(self, request: HttpRequest, queryset: QuerySet[DomainProposal]) -> None:
        """Approve the waiting ones of the chosen."""
        done = 0
        for proposal in queryset.filter(state=ProposalState.WAITING):
            try:
                approve_proposal(proposal=proposal, user=request.user)  # type: ignore[arg-type]
                done += 1
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
        said = ngettext("%d proposal is used for everybody now.", "%d proposals are used for everybody now.", done)
        messages.success(request, said % done)

    @admin.action(description=gettext_lazy("Reject"))
    def reject(self, request: HttpRequest, queryset: QuerySet[DomainProposal]) -> None:
        """Reject the waiting ones of the chosen."""
        waiting = list(queryset.filter(state=ProposalState.WAITING))
        for proposal in waiting:
            reject_proposal(proposal=proposal, user=request.user)  # type: ignore[arg-type]
        messages.success(request, _("Rejected: %d.") % len(waiting))
