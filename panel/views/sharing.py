"""Who else may see, send with or set up a mailbox: its owner decides, and mail administrators where it is shared.

Invariant: a mail administrator never comes to read mail by this: not by a share of their own, nor by one of their groups.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import services
from accounts.models import EmailAccount, User
from accounts.queries import account_for_settings, may_read_through, may_share
from notifications.models import Kind
from notifications.services import notify
from panel.forms.email_accounts import ShareForm
from panel.views.email_accounts import to_set_up


def to_share(request: HttpRequest, email_account_id: int) -> EmailAccount:
    """The email account whose shares this person decides. Raises Http404 for all others."""
    account = to_set_up(request, email_account_id)
    if not may_share(request.user, account):  # type: ignore[arg-type]
        raise Http404
    return account


@login_required
@require_POST
def share(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Add a share or change its level; a user is told."""
    account = to_share(request, email_account_id)
    form = ShareForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose with whom to share."))
        return redirect("panel:email_account", account.pk)
    kind, pk = form.target()
    users = User.objects.filter(is_active=True).exclude(pk=account.owner_id)
    target: Any = get_object_or_404(Group if kind == "group" else users, pk=pk)
    if account.owner_id != request.user.pk and may_read_through(request.user, target=target):  # type: ignore[arg-type]
        messages.error(request, _("Only its owner can let you read this mailbox."))
        return redirect("panel:email_account", account.pk)
    _give(request, account, target, form.cleaned_data["level"])
    return redirect("panel:email_account", account.pk)


def _give(request: HttpRequest, account: EmailAccount, target: User | Group, level: str) -> None:
    if isinstance(target, Group):
        services.share(account, level=level, group=target)
        return
    services.share(account, level=level, user=target)
    data = {"address": account.address, "by": request.user.get_full_name(), "level": level}  # type: ignore[union-attr]
    notify(user=target, kind=Kind.SHARED_WITH_YOU, key=f"shared:{account.pk}", email_account=account, data=data)


@login_required
@require_POST
def unshare(request: HttpRequest, email_account_id: int, share_id: int) -> HttpResponse:
    """Take a share back. With the last one a mail administrator has no more to do with the mailbox."""
    account = to_share(request, email_account_id)
    services.unshare(account, share_id=share_id)
    if account_for_settings(request.user, account.pk) is None:  # type: ignore[arg-type]
        return redirect("panel:settings")
    return redirect("panel:email_account", account.pk)
