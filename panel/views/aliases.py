"""Aliases of a mailbox: added and removed by whoever may set it up."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from mail.direction import count_as_sent
from panel.forms.email_accounts import AliasForm
from panel.views.email_accounts import to_set_up


@login_required
@require_POST
def add(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Add an alias; mail that came from it before counts as sent from then on."""
    account = to_set_up(request, email_account_id)
    form = AliasForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("This is not an email address. Nothing was added."))
        return redirect("panel:email_account", account.pk)
    try:
        alias = services.add_alias(account, **form.cleaned_data)
    except services.AliasRefused as error:
        messages.error(request, str(error))
    else:
        count_as_sent(account, alias.address_key)
        messages.success(request, _("Mail may now be sent from %(address)s.") % {"address": alias.address})
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def remove(request: HttpRequest, email_account_id: int, alias_id: int) -> HttpResponse:
    """Take an alias away."""
    account = to_set_up(request, email_account_id)
    services.remove_alias(account, alias_id=alias_id)
    messages.success(request, _("The alias was removed. Mail that was sent from it stays."))
    return redirect("panel:email_account", account.pk)
