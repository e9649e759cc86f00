"""*Why isn't this email here?*: who may see a mailbox may ask; the answer names the reason and the way to get it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.models import EmailAccount
from accounts.queries import accounts_for_settings
from accounts.shares import visible_accounts
from drivers.errors import DriverError, MessageGone
from mail.models import Folder
from panel.services.account_state import state_lines
from panel.services.doorbell import ring
from sync import explain
from sync.tasks import sync_email_account


def _seen(request: HttpRequest, email_account_id: int) -> EmailAccount:
    """The email account whose mail this person may read. Raises Http404 for all others."""
    return get_object_or_404(visible_accounts(request.user), pk=email_account_id)


@login_required
@require_safe
def why(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """The question, what the ledger knows, and, if asked (`server`), what the server knows."""
    account = _seen(request, email_account_id)
    question = request.GET.get("q", "").strip()[:500]
    found, trouble = explain.from_ledger(account, question), False
    if question and "server" in request.GET:
        try:
            found = explain.from_server(account, question)
        except DriverError:
            trouble = True
    context = {
        "account": account,
        "lines": state_lines(accounts_for_settings(request.user)),  # type: ignore[arg-type]
        "question": question,
        "asked_server": "server" in request.GET,
        "trouble": trouble,
        "found": found,
        "unread": explain.unread_copies(account),
    }
    return render(request, "settings/why.html", context)


@login_required
@require_POST
def import_anyway(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Take one email in from the server and open it."""
    account = _seen(request, email_account_id)
    folder = Folder.objects.filter(email_account=account, pk=request.POST.get("folder", "0")).first()
    if folder is None:
        raise Http404
    try:
        message = explain.import_anyway(account, folder, request.POST.get("key", "")[:255])
    except MessageGone:
        messages.error(request, _("This email is no longer on the server."))
    except DriverError:
        messages.error(request, _("The mail server does not answer. Nothing was lost; try again in a minute."))
    else:
        if message is not None:
            return redirect("panel:thread", message.thread_id)
        messages.error(request, _("This email cannot be read. It stays on the server, and its source is kept here."))
    return redirect("panel:why", account.pk)


@login_required
@require_POST
def try_again(request: HttpRequest, email_account_id: int) -> HttpResponse:
    """Put the emails that could not be read back into the queue."""
    account = _seen(request, email_account_id)
    count = explain.try_again(account, [found.copy_id for found in explain.unread_copies(account) if found.copy_id])
    ring(sync_email_account, account.pk)
    said = ngettext("%(count)d email is tried again.", "%(count)d emails are tried again.", count) % {"count": count}
    messages.success(request, said)
    return redirect("panel:why", account.pk)
