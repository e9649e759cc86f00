"""Settings of the signed-in person, beside the list of email accounts."""

from __future__ import annotations

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.invitations import may_invite
from accounts.queries import accounts_for_settings
from accounts.services.users import change_look, change_profile
from panel.forms.profile import LookForm, ProfileForm, time_zones
from panel.services.account_state import state_lines
from panel.views.wizard import get_or_post


@login_required
@get_or_post
def settings(request: HttpRequest) -> HttpResponse:
    """Email accounts and the profile."""
    user: Any = request.user
    form = ProfileForm(request.POST or None, initial={"name": user.name, "time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        change_profile(user, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("panel:settings")
    context = {
        "lines": state_lines(accounts_for_settings(user)),
        "form": form,
        "time_zones": time_zones(),
        "looks": LookForm.base_fields,
        "has_two_steps": is_mfa_enabled(user),
        "may_invite": may_invite(user),
        "place": "profile",
    }
    return render(request, "settings/profile.html", context)


@login_required
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Theme and density."""
    form = LookForm(request.POST)
    if form.is_valid():
        change_look(request.user, **form.cleaned_data)  # type: ignore[arg-type]
    return redirect("panel:settings")
