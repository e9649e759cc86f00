"""People of this installation: who is here, who was invited; and the page where an invitation is accepted."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from accounts import invitations
from accounts.queries import accounts_for_settings, open_invitations
from accounts.queries import people as all_people
from panel.forms.profile import AcceptForm, InvitationForm
from panel.services.account_state import state_lines
from panel.views.wizard import get_or_post


@login_required
@get_or_post
def people(request: HttpRequest) -> HttpResponse:
    """Users and open invitations, for (mail) administrators; inviting sends the link."""
    user: Any = request.user
    if not invitations.may_invite(user):
        raise PermissionDenied
    form = InvitationForm(request.POST or None)
    link = ""
    if request.method == "POST" and form.is_valid():
        link = _invite(request, form)
        if not link and not form.errors:
            return redirect("panel:settings_people")
    context = {
        "place": "people",
        "lines": state_lines(accounts_for_settings(user)),
        "form": form,
        "link": link,
        "people": all_people()[:500],
        "open_invitations": open_invitations(),
    }
    return render(request, "settings/people.html", context)


def _invite(request: HttpRequest, form: InvitationForm) -> str:
    """Send it; returns the link where the mail could not be sent, to be given by hand, once."""
    try:
        invitation, token = invitations.invite(by=request.user, **form.cleaned_data)  # type: ignore[arg-type]
    except ValidationError as error:
        form.add_error("email", error)
        return ""
    if invitations.send(invitation, token):
        messages.success(request, _("Invitation sent to %(email)s.") % {"email": invitation.email})
        return ""
    return invitations.link_of(token)


@login_required
@require_POST
def withdraw(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """The link dies."""
    if not invitations.may_invite(request.user):  # type: ignore[arg-type]
        raise PermissionDenied
    invitations.withdraw(invitation_id)
    return redirect("panel:settings_people")


@sensitive_post_parameters("password")
@sensitive_variables("form")
@never_cache
@get_or_post
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Choose name and password, then be signed in."""
    invitation = invitations.find(token)
    if invitation is None:
        return render(request, "settings/invitation_gone.html", status=404)
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.accept(token=token, **form.cleaned_data)
        except ValidationError as error:
            form.add_error("password", error.messages)  # type: ignore[arg-type]
        else:
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return redirect("panel:inbox")
    return render(request, "settings/invitation.html", {"form": form, "invitation": invitation})
