"""How fast the past of an email account comes, and which attachments are kept: settings of who may set it up."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.forms.pace import PaceForm
from panel.services.doorbell import ring
from panel.views.email_accounts import to_set_up
from sync import pace
from sync.tasks import sync_email_account


@login_required
@require_POST
def history(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Pause the past (`act=pause`) or go on with it."""
    account = to_set_up(request, email_account_id)
    is_paused = request.POST.get("act") == "pause"
    pace.set_history_paused(account, is_paused=is_paused)
    if not is_paused:
        ring(sync_email_account, account.pk)
    messages.success(
        request,
        _("Older emails wait; new ones come as before.") if is_paused else _("Older emails are being downloaded."),
    )
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def change(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Save the daily limit and the choice of attachments."""
    account = to_set_up(request, email_account_id)
    form = PaceForm(request.POST)
    if form.is_valid():
        pace.change_pace(account, **form.cleaned_data)
        ring(sync_email_account, account.pk)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, _("Nothing was changed: the daily limit is a whole number of megabytes."))
    return redirect("panel:email_account", account.pk)
