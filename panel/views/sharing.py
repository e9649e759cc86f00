"""Who else may see, send with or set up a mailbox; only its owner decides."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.models import User
from notifications.models import Kind
from notifications.services import notify
from panel.forms.email_accounts import ShareForm
from panel.views.email_accounts import owned


@login_required
@require_POST
def share(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Add a share or change its level; a user is told."""
    account = owned(request, email_account_id)
    form = ShareForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose with whom to share."))
        return redirect("panel:email_account", account.pk)
    kind, pk = form.target()
    level = form.cleaned_data["level"]
    if kind == "group":
        services.share(account, level=level, group=get_object_or_404(Group, pk=pk))
    else:
        user = get_object_or_404(User.objects.filter(is_active=True).exclude(pk=account.owner_id), pk=pk)
        services.share(account, level=level, user=user)
        data = {"address": account.address, "by": account.owner.get_full_name(), "level": level}
        notify(user=user, kind=Kind.SHARED_WITH_YOU, key=f"shared:{account.pk}", email_account=account, data=data)
    return redirect("panel:email_account", account.pk)


@login_required
@require_POST
def unshare(request: HttpRequest, email_account_id: int, share_id: int) -> HttpResponse:
    """Take a share back."""
    account = owned(request, email_account_id)
    services.unshare(account, share_id=share_id)
    return redirect("panel:email_account", account.pk)
