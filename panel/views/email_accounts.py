"""Settings of an email account: state, name, download, folders, sending, removal. Who may set it up sees the page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.models import AccountState, EmailAccount
from accounts.oauth_revoke import page_of_applications
from accounts.queries import account_for_settings, own_account
from accounts.tasks import revoke_grants
from mail.folders import set_followed
from mail.tasks import erase_email_account
from panel.forms.email_accounts import EmailAccountForm
from panel.services.account_page import account_page, message_count
from panel.services.doorbell import ring
from panel.services.wizard import answered
from panel.views.wizard import get_or_post
from sync.tasks import refresh_folders, sync_email_account


def to_set_up(request: HttpRequest, email_account_id: int) -> EmailAccount:
    """The email account that this person may set up. Raises Http404 for all others."""
    found = account_for_settings(request.user, email_account_id)  # type: ignore[arg-type]
    if found is None:
        raise Http404
    return found


def owned(request: HttpRequest, email_account_id: int) -> EmailAccount:
    """The email account that this person owns. Raises Http404 for all others."""
    found = own_account(request.user, email_account_id)  # type: ignore[arg-type]
    if found is None:
        raise Http404
    return found


@login_required
@get_or_post
def email_account(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """The page; saving it answers the first question when that is still open."""
    account = to_set_up(request, email_account_id)
    form = EmailAccountForm(request.POST or None, email_account=account)
    if request.method == "POST" and form.is_valid():
        _save(account, form.cleaned_data)
        if account.state == AccountState.CONNECTED and "download" in request.POST:
            services.answer_download(account, yes=True)
            answered(account)
        if account.state == AccountState.ACTIVE:
            ring(sync_email_account, account.pk)
        messages.success(request, _("Saved."))
        return redirect("panel:email_account", account.pk)
    return render(request, "settings/email_account.html", account_page(request.user, account) | {"form": form})  # type: ignore[arg-type]


def _save(account: EmailAccount, data: dict[str, Any]) -> None:
    services.change_signature(account, display_name=data["display_name"], signature_html=data["signature_html"])
    services.change_download(account, period=data["period"], auto_download=data["auto_download"])
    services.change_touching(account, is_read_only=data["is_read_only"])
    services.change_sending(account, can_send=data["can_send"], is_default_sender=data["is_default_sender"])
    if data["has_folders"]:
        set_followed(account, [folder.pk for folder in data["folders"]])


@login_required
@require_POST
def answer_download(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """*Yes* of the notification and of the banner; `answer=no` means only new mail from today on."""
    account = to_set_up(request, email_account_id)
    if account.state == AccountState.CONNECTED:
        services.answer_download(account, yes=request.POST.get("answer") != "no")
        answered(account)
        ring(sync_email_account, account.pk)
    return redirect("panel:inbox")


@login_required
@require_POST
def sync_now(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Synchronise at once."""
    account = to_set_up(request, email_account_id)
    if services.request_sync(account):
        ring(sync_email_account, account.pk)
        messages.success(request, _("Synchronizing %(address)s.") % {"address": account.address})
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def read_folders(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Ask the server for its list of folders once more."""
    account = to_set_up(request, email_account_id)
    if account.state in (AccountState.CONNECTED, AccountState.ACTIVE, AccountState.PAUSED):
        ring(refresh_folders, account.pk)
        messages.success(request, _("The list of folders is being read; reload the page in a moment."))
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def pause(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Stop receiving until resumed."""
    account = to_set_up(request, email_account_id)
    services.pause(account)
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def resume(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Receive again."""
    account = to_set_up(request, email_account_id)
    if services.resume(account):
        ring(sync_email_account, account.pk)
    return redirect("panel:email_account", account.pk)


@login_required
@get_or_post
def remove(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """The question, with the act and the number; then stop and keep, or erase in slices."""
    account = owned(request, email_account_id)
    count = message_count(request.user, account)  # type: ignore[arg-type]
    if request.method != "POST":
        context = {"account": account, "message_count": count, "sign_in_page": page_of_applications(account)}
        return render(request, "settings/remove.html", context)
    erase = request.POST.get("act") == "erase"
    services.remove_email_account(account, erase=erase)
    ring(revoke_grants)
    answered(account)
    if erase:
        ring(erase_email_account, account.pk)
        messages.success(request, _("%(address)s is being erased.") % {"address": account.address})
        return redirect("panel:settings")
    messages.success(
        request, _("%(address)s was stopped; its mail stays readable here.") % {"address": account.address}
    )
    return redirect("panel:email_account", account.pk)
