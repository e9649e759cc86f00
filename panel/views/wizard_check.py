"""The wizard's live check and its end: visible steps, mends, going on without sending, the first question."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import services
from accounts.services.finish import Duplicate, has_candidate
from accounts.setup import CheckKind, Stage
from panel.services.doorbell import ring
from panel.services.wizard import answered, ask_download, next_url, page_url, receipts, result_of
from panel.tasks import check_server
from panel.views.wizard import card, get_or_post, own_setup
from sync.tasks import refresh_folders, sync_email_account


@never_cache
@login_required
@require_GET
def check(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """The live check, or what failed in it. Without scripts the page loads itself again every two seconds."""
    setup = own_setup(request, setup_id)
    if setup.stage not in (Stage.CHECKING, Stage.FAILED):
        return redirect(next_url(setup))
    context = {
        "setup": setup,
        "result": result_of(setup),
        "receipts": receipts(setup, "check"),
        "back": page_url("password", setup),
        "reload": 2 if setup.stage == Stage.CHECKING else 0,
        "server_url": page_url("server" if setup.provider is None else "service", setup),
        "may_change_server": setup.user.may_manage_servers and not setup.is_again,
    }
    return card(request, "check" if setup.stage == Stage.CHECKING else "failed", context)


@never_cache
@login_required
@require_GET
def steps(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Only the steps, polled twice a second; when the check has ended they carry the order to fetch the card.

    A late answer lands in the steps alone: it can never cover a page that the person has gone on to.
    """
    setup = own_setup(request, setup_id)
    over = "" if setup.stage == Stage.CHECKING else next_url(setup)
    return render(request, "accounts/wizard/_steps.html", {"setup": setup, "result": result_of(setup), "over": over})


@login_required
@require_POST
def retry(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """The same password once more: the server was busy, or a worker died."""
    setup = own_setup(request, setup_id)
    if setup.stage == Stage.DONE or not has_candidate(setup):
        return redirect(next_url(setup) if setup.stage == Stage.DONE else page_url("password", setup))
    try:
        for check_id in services.begin_checks(setup):
            ring(check_server, check_id)
    except services.WizardError:
        return redirect(page_url("password", setup))
    return redirect(page_url("check", setup))


@login_required
@require_POST
def without_sending(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """Go on with receiving only."""
    setup = own_setup(request, setup_id)
    try:
        email_account = services.receive_only(setup)
    except Duplicate:
        email_account = None
    if email_account is not None:
        ask_download(email_account)
        ring(refresh_folders, email_account.pk)
    setup.refresh_from_db()
    return redirect(next_url(setup))


@never_cache
@login_required
@get_or_post
def done(request: HttpRequest, setup_id: UUID) -> HttpResponse:
    """The first question; *Yes* begins the download of the period."""
    setup = own_setup(request, setup_id)
    email_account = setup.email_account
    if setup.stage != Stage.DONE or email_account is None:
        return redirect(next_url(setup))
    if request.method == "POST":
        if email_account.answered_at is None:
            services.answer_download(email_account, yes=True)
            answered(email_account)
            ring(sync_email_account, email_account.pk)
        return redirect(reverse("panel:inbox"))
    folders = setup.checks.filter(kind=CheckKind.FOLDERS).values_list("detail__count", flat=True).first()
    context = {"setup": setup, "email_account": email_account, "folders": folders, "receipts": receipts(setup, "done")}
    return card(request, "again_done" if setup.is_again else "done", context)
