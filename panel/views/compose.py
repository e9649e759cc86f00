"""Writing: begin, save, send, discard. Without scripts a form that posts; with them the same addresses answer in JSON.

Invariants: a draft is shown to and changed by its author alone (404 for others); every refusal of the outbox reaches the
person as its sentence, and what was typed is kept first.
"""

from __future__ import annotations

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_POST

from mail.queries import visible_messages
from outbox import services
from outbox.models import OutgoingMessage, SendState
from outbox.senders import find_sender
from outbox.services import UNDO_SECONDS
from outbox.tasks import advance
from panel.composing import back_url, composer_context, find_outgoing, kept_html, questions_before
from panel.forms.compose import BeginForm, DraftForm, SendForm
from panel.services.doorbell import ring
from panel.services.draft_copy import copy_draft
from panel.views.compose_answers import answer, beside, clock_of, is_framed, page_of, says_no, state_page, unreadable


@login_required
@require_POST
@says_no
def begin(request: HttpRequest) -> HttpResponse:
    """A new draft: `kind` (new, reply, reply_all, forward, draft), `original`, `to`; then the composer."""
    form = BeginForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    kind, original = form.cleaned_data["kind"], None
    if kind != "new":
        original = get_object_or_404(visible_messages(request.user), pk=form.cleaned_data["original"])
    if kind == "draft" and original is not None:
        draft = services.import_draft(user=request.user, message=original)
    else:
        draft = services.start_draft(user=request.user, original=original, kind=kind)
    if form.cleaned_data["to"]:
        OutgoingMessage.objects.filter(pk=draft.pk).update(to=[list(pair) for pair in form.cleaned_data["to"]])
    return redirect(page_of(request, draft))


# The editor writes style attributes; only these pages allow them. Docked, the page stands in a frame of our own pages.
@csp_update({"style-src-attr": [UNSAFE_INLINE], "img-src": ["blob:"]})
@csp_replace({"frame-ancestors": [SELF]})
@xframe_options_sameorigin
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@says_no
def compose(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """The composer of a draft, or what became of it; POST saves."""
    row = find_outgoing(request.user, outgoing_id)
    if request.method == "POST":
        return save(request, row)
    if row.state != SendState.DRAFT:
        return state_page(request, row)
    context = composer_context(request.user, row) | {"is_framed": is_framed(request)}
    if request.GET.get("ask"):
        context["send_questions"] = questions_before(row)
    if not context["is_framed"]:
        context |= beside(request, row)
    return render(request, f"panel/compose/{'frame' if context['is_framed'] else 'page'}.html", context)


def save(request: HttpRequest, row: OutgoingMessage) -> HttpResponse:
    """Keep what was typed and say when, and which version it is now."""
    form = DraftForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    saved = _keep(request, row, form)
    return answer(request, _saved(saved), page_of(request, saved))


def _keep(request: HttpRequest, row: OutgoingMessage, form: DraftForm) -> OutgoingMessage:
    fields = form.fields_with(kept_html(row, form))
    version = form.cleaned_data["version"]
    saved = services.save_draft(user=request.user, draft=row, version=version, fields=fields)
    request.kept_version = saved.version  # type: ignore[attr-defined]  # a refusal names it
    return saved


def _saved(row: OutgoingMessage) -> dict[str, Any]:
    return {"version": row.version, "saved_at": clock_of(row.updated_at)}


@login_required
@require_POST
@says_no
def send(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """Save, then send in ten seconds or at a chosen time (`later`, `at`)."""
    row, form, wish = find_outgoing(request.user, outgoing_id), DraftForm(request.POST), SendForm(request.POST)
    if not form.is_valid() or not wish.is_valid():
        return unreadable(request, form if form.errors else wish)
    row = _keep(request, row, form)
    is_sure, at = wish.cleaned_data["confirmed"], wish.cleaned_data["at"]
    if wish.cleaned_data["later"] and at:
        queued = services.send_later(user=request.user, draft=row, at=at, confirmed=is_sure)
    else:
        queued = services.queue(user=request.user, draft=row, confirmed=is_sure)
        ring(advance, queued.pk)
    people = [name or address for name, address in [*queued.to, *queued.cc, *queued.bcc]]
    told = {
        "id": queued.pk,
        "seconds": 0 if queued.is_scheduled else UNDO_SECONDS,
        "at": clock_of(queued.send_at, with_day=True) if queued.is_scheduled else "",
        "to": people[0] + (f" +{len(people) - 1}" if len(people) > 1 else ""),
        "back": back_url(queued),
    }
    return answer(request, told, page_of(request, queued))


@login_required
@require_POST
@says_no
def sender(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """Save, then write as another sender (`account`: outbox.senders.Sender.value); its signature comes along."""
    row, form = find_outgoing(request.user, outgoing_id), DraftForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    row = _keep(request, row, form)
    wanted = find_sender(request.user, request.POST.get("account", "")[:40])
    if wanted is None:
        raise Http404
    alias = wanted.address if wanted.is_alias else ""
    row = services.change_sender(user=request.user, draft=row, email_account=wanted.email_account, from_address=alias)
    context = composer_context(request.user, row)
    told = _saved(row) | {name: context[name] for name in ("html", "limit", "free")}
    return answer(request, told, page_of(request, row))


@login_required
@require_POST
@says_no
def discard(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """Delete a draft with its files; the undo before it is the browser's."""
    row = find_outgoing(request.user, outgoing_id)
    back = back_url(row)
    services.discard_draft(user=request.user, draft=row)
    return answer(request, {"back": back}, back)


@login_required
@require_POST
@says_no
def keep_both(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """After a conflict: the text of this window as a second draft."""
    row, form = find_outgoing(request.user, outgoing_id), DraftForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    copy = copy_draft(user=request.user, draft=row, fields=form.fields_with(kept_html(row, form)))
    return answer(request, {"url": page_of(request, copy)}, reverse("panel:compose", args=[copy.pk]))
