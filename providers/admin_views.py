"""Pages of the administration beside the tables: try an address, load the catalogue, import and export domains.

Invariant: each checks the right itself; GET changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from providers.admin_forms import ImportForm, TryAddressForm
from providers.hints import access_hint, app_password_hint, imap_hint
from providers.imports import export_domains, import_domains, preview_import
from providers.lookup import Match, find_provider, is_public_domain, to_domain
from providers.queries import server_offers
from providers.services import load_catalogue


def _check(request: HttpRequest) -> None:
    if not getattr(request.user, "may_manage_servers", False):
        raise PermissionDenied


def _render(request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
    page = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, template, page)


@require_http_methods(["GET", "POST"])
def try_address(request: HttpRequest) -> HttpResponse:
    """Show which rule finds the provider of an address, and why."""
    _check(request)
    form = TryAddressForm(request.POST or None)
    found: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        address = form.cleaned_data["address"].strip()
        domain = to_domain(address)
        found = {"is_tried": True, "domain": domain, "is_public": bool(domain) and is_public_domain(domain)}
        match = find_provider(address) if domain else None
        if match is not None:
            found |= _explain(match, address if "@" in address else f"name@{domain}")
    return _render(request, "admin/providers/try_address.html", _("Try an address"), form=form, **found)


def _explain(match: Match, address: str) -> dict[str, Any]:
    hints = (access_hint(match.provider), app_password_hint(match.provider), imap_hint(match.provider))
    return {
        "match": match,
        "offers": server_offers(match.provider, address),
        "hints": [hint for hint in hints if hint is not None],
    }


@require_POST
def reload_catalogue(request: HttpRequest) -> HttpResponse:
    """Load the catalogue again and say what was done."""
    _check(request)
    counts = load_catalogue()
    said = _(
        "The catalogue was loaded: %(added)d providers and %(domains)d domains are new, %(changed)d providers were"
        " updated. What was edited, disabled or removed here stayed so."
    )
    words = {"added": counts.added, "domains": counts.domains_added, "changed": counts.changed}
    messages.success(request, said % words)
    return redirect("admin:providers_provider_changelist")


@require_GET
def export_csv(request: HttpRequest) -> HttpResponse:
    """Send the lookup as a CSV file."""
    _check(request)
    headers = {"Content-Disposition": 'attachment; filename="email-providers-domains.csv"'}
    return HttpResponse(export_domains(), content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(["GET", "POST"])
def import_csv(request: HttpRequest) -> HttpResponse:
    """Preview a CSV file with the error of each line; apply it whole once it was confirmed."""
    _check(request)
    form = ImportForm(request.POST or None, request.FILES or None)
    preview, text = None, ""
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["text"]
        if "apply" in request.POST:
            try:
                messages.success(request, _("Imported domains: %d.") % import_domains(text))
                return redirect("admin:providers_providerdomain_changelist")
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
        preview = preview_import(text)
    return _render(
        request, "admin/providers/import_domains.html", _("Import domains"), form=form, preview=preview, text=text
    )
