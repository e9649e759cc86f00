"""The wizard up to the password: address, service, server, password. Each page works at its URL; htmx swaps #card."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.lookup import identify
from accounts.models import AccountState, MailboxSetup
from accounts.services.finish import has_candidate
from accounts.setup import Stage, back_from, chosen, needs_user_name
from accounts.shares import accounts_with_right
from panel.forms.wizard import AddressForm, PasswordForm, ServersForm
from panel.services.doorbell import ring
from panel.services.wizard import hosts, next_url, page_url, provider_name, receipts, wants_app_password
from panel.services.wizard_oauth import sign_in_of
from panel.tasks import check_server
from providers.hints import access_hint, app_password_hint, imap_hint
from providers.queries import mail_services

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def card(request: HttpRequest, page: str, context: dict[str, Any]) -> HttpResponse:
    """The page, or for htmx only the inside of its card."""
    context |= {"fragment": f"accounts/wizard/_{page}.html"}
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    return render(request, context["fragment"] if is_fragment else "accounts/wizard/page.html", context)


def own_setup(request: HttpRequest, setup_id: UUID) -> MailboxSetup:
    """The signed-in user's run, not older than a day. Raises Http404 for anybody else's."""
    rows = MailboxSetup.objects.filter(user_id=request.user.pk or 0, expires_at__gt=timezone.now())
    return get_object_or_404(rows.select_related("provider", "email_account", "user"), pk=setup_id)


@never_cache
@login_required
@get_or_post
def address(request: HttpRequest) -> HttpResponse:
    """Ask for the address, then look up who runs its mail."""
    form = AddressForm(request.POST or None, initial={"address": _address_of(request)})
    if request.method == "POST" and form.is_valid():
        try:
            setup = services.start_setup(user=request.user, address=form.cleaned_data["address"])  # type: ignore[arg-type]
        except services.WizardError as error:
            form.add_error("address", str(error))
        else:
            identify(setup)
            return redirect(next_url(setup))
    return card(request, "address", {"form": form, "value": form["address"].value() or ""})


def _address_of(request: HttpRequest) -> str:
    """The address of the run that one comes back from."""
    try:
        return own_setup(request, UUID(request.GET.get("from", ""))).address
    except (ValueError, Http404):
        return ""


@never_cache
@login_required
@get_or_post
def service(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Select mail service: all that are enabled, or those that fit the search."""
    setup = own_setup(request, setup_id)
    if setup.stage == Stage.DONE or setup.is_again:
        return redirect(next_url(setup))
    if request.method == "POST":
        provider = get_object_or_404(mail_services(), pk=request.POST.get("provider") or 0)
        services.choose_provider(setup, provider, by_hand=True)
        return redirect(page_url("password", setup))
    search = request.GET.get("q", "")
    context = {
        "setup": setup,
        "receipts": receipts(setup, "service"),
        "services": mail_services(search),
        "count": mail_services().count(),
        "q": search,
        "back": f"/email-accounts/new/?from={setup.pk}",
        "domain": setup.address.rpartition("@")[2],
        "is_unknown": setup.provider is None and not setup.servers,
    }
    return card(request, "service", context)


@never_cache
@login_required
@get_or_post
def server(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Add new server, for those who may manage servers."""
    setup = own_setup(request, setup_id)
    if not setup.user.may_manage_servers:
        raise PermissionDenied
    if setup.stage == Stage.DONE or setup.is_again:
        return redirect(next_url(setup))
    form = ServersForm(request.POST or None, initial=_typed(setup))
    if request.method == "POST" and form.is_valid() and form.discover(setup.address):
        services.add_server(setup, name=form.cleaned_data["name"], servers=form.servers())
        return redirect(page_url("password", setup))
    context = {"setup": setup, "form": form, "receipts": receipts(setup, "server"), "back": page_url("service", setup)}
    return card(request, "server", context)


def _typed(setup: MailboxSetup) -> dict[str, Any]:
    """What was typed before, or a first guess from the domain."""
    domain = setup.address.rpartition("@")[2]
    known: dict[str, Any] = {"name": setup.provider_name or domain}
    if not setup.provider_name:
        return known | {"imap_host": f"imap.{domain}", "smtp_host": f"smtp.{domain}"}
    for one in chosen(setup.servers):
        known["login_format"] = one.login_format
        if one.protocol == "ews":
            known |= {"kind": "exchange", "ews_url": one.url, "ca_bundle": one.ca_bundle}
            continue
        known |= {f"{one.protocol}_{name}": getattr(one, name) for name in ("host", "port", "security")}
    return known


@sensitive_post_parameters("password")
@sensitive_variables("form")
@never_cache
@login_required
@get_or_post
def password(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Take the password: it goes encrypted into the candidate of the run, and the checks begin."""
    setup = own_setup(request, setup_id)
    if setup.stage == Stage.DONE or not setup.servers and not setup.provider:
        return redirect(next_url(setup) if setup.stage == Stage.DONE else page_url("service", setup))
    must_name = needs_user_name(chosen(setup.servers))
    form = PasswordForm(request.POST or None, needs_user_name=must_name, initial={"user_name": setup.user_name})
    if request.method == "POST" and _is_possible(setup) and form.is_valid():
        try:
            ids = services.give_password(setup, **form.cleaned_data)
        except services.WizardError as error:
            form.add_error("password", str(error))
        else:
            return _ring(setup, ids)
    context = _password_context(setup, form, must_name)
    context["sign_in"] = sign_in_of(setup, request.GET.get("told", "")[:40])
    return card(request, "password", context)


def _ring(setup: MailboxSetup, ids: list[int]) -> HttpResponseRedirect:
    for check_id in ids:
        ring(check_server, check_id)
    return redirect(page_url("check", setup))  # type: ignore[return-value]


def _is_possible(setup: MailboxSetup) -> bool:
    """Whether a password opens this mailbox at all: not for OAuth-only providers."""
    provider = setup.provider
    if provider and (not provider.allows_password or provider.access == "none"):
        return False
    return any(server.receives for server in chosen(setup.servers))


def _password_context(setup: MailboxSetup, form: PasswordForm, must_name: bool) -> dict[str, Any]:
    provider, servers = setup.provider, chosen(setup.servers)
    back = back_from(Stage.PASSWORD, is_chosen_by_hand=setup.is_chosen_by_hand, is_again=setup.is_again)
    is_typed = setup.is_chosen_by_hand and provider is None
    return {
        "setup": setup,
        "form": form,
        "receipts": receipts(setup, "password"),
        "name": provider_name(setup),
        "provider": provider,
        "servers": servers,
        "hosts": hosts(setup),
        "is_possible": _is_possible(setup),
        "is_oauth_only": bool(provider and not provider.allows_password),
        "is_exchange": any(server.protocol == "ews" for server in servers),
        "wants_app_password": wants_app_password(setup),
        "app_password": app_password_hint(provider) if provider else None,
        "imap": imap_hint(provider) if provider and provider.is_imap_off_by_default else None,
        "access": access_hint(provider) if provider else None,
        "must_name": must_name,
        "has_candidate": has_candidate(setup),
        "back": back
        and (page_url("server" if is_typed else "service", setup) if back == Stage.SERVICE else _first(setup)),
    }


def _first(setup: MailboxSetup) -> str:
    return f"/email-accounts/new/?from={setup.pk}"


@never_cache
@login_required
@get_or_post
def sign_in_again(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Begin a run on an existing email account; its working password stays until the new one has worked."""
    mine = accounts_with_right(request.user, "set_up").exclude(state__in=[AccountState.REMOVED, AccountState.ERASING])
    email_account = get_object_or_404(mine, pk=email_account_id)
    if request.method == "POST":
        setup = services.start_again(user=request.user, email_account=email_account)  # type: ignore[arg-type]
        return redirect(page_url("password", setup))
    return card(request, "again", {"email_account": email_account})
