"""The wizard's way to a sign-in service and back. The callback is the one GET that changes something: a state that works
once, for one session, stands for the missing token."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from accounts import oauth
from accounts.oauth_words import told
from accounts.services import WizardError
from accounts.setup import Stage
from drivers.errors import DriverError
from panel.services.doorbell import ring
from panel.services.wizard import next_url, page_url
from panel.tasks import check_server
from panel.views.wizard import card, own_setup

MAX_ANSWER = 20  # fields of an answer that are looked at


@never_cache
@login_required
@require_POST
def leave(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Send the browser to the service. By a page of its own: our policy lets no form end at another site."""
    setup = own_setup(request, setup_id)
    if setup.stage == Stage.DONE:
        return redirect(next_url(setup))
    choose = bool(request.POST.get("choose"))
    try:
        url = oauth.begin_sign_in(setup, session_key=request.session.session_key or "", choose=choose)
    except WizardError as error:
        word = "tries" if "tries" in str(error) else ""
        return redirect(_sign_in_page(setup, word))
    except DriverError as error:
        return redirect(_sign_in_page(setup, oauth.problem_of(error)))
    address = "" if choose else oauth.present_identity(setup) or setup.address
    return render(request, "accounts/wizard/leave.html", {"setup": setup, "url": url, "address": address})


@sensitive_variables("answer")
@never_cache
@require_GET
def callback(request: HttpRequest, key: str) -> HttpResponse:
    """The service sends the browser back; whatever the answer is, the address with the code in it is left at once."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("panel:new_email_account"))
    answer = {name: value[:4000] for name, value in list(request.GET.items())[:MAX_ANSWER]}
    back = oauth.finish_sign_in(key, answer, user=request.user, session_key=request.session.session_key or "")  # type: ignore[arg-type]
    return _came_back(request, back)


@login_required
@require_POST
def as_other(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Open the mailbox with the identity that signed in: a shared mailbox, or the same one under another name."""
    return _came_back(request, oauth.use_other_identity(own_setup(request, setup_id)))


@login_required
@require_POST
def as_application(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Application-only access, for those who manage servers."""
    return _came_back(request, oauth.sign_in_as_application(own_setup(request, setup_id)))


def _came_back(request: HttpRequest, back: oauth.CameBack) -> HttpResponse:
    setup = back.setup
    if setup is None:
        explanation = told(back.problem, service="", address="")
        response = card(request, "astray", {"told": explanation})
        response.status_code = 400
        return response
    for check_id in back.check_ids:
        ring(check_server, check_id)
    if not back.problem:
        return redirect(page_url("check", setup))
    setup.refresh_from_db()
    if back.problem == "replayed" and setup.stage in (Stage.CHECKING, Stage.DONE):
        return redirect(next_url(setup))
    return redirect(_sign_in_page(setup, back.problem))


def _sign_in_page(setup: oauth.MailboxSetup, problem: str) -> str:
    return page_url("password", setup) + (f"?told={problem}" if problem else "")
