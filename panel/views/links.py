"""The context column of a thread: who it is with, what it is linked to and why, linking by hand and undo.

Invariant: a thread that the user may not see answers 404, whatever is asked of it.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from contacts import queries as people
from contacts.models import Company, Contact
from linking import services
from linking.matching import Target
from linking.queries import about_thread, links_of_thread, visible_thread_messages


@login_required
@require_GET
def context(request: HttpRequest, thread_id: int) -> HttpResponse:
    """The column as a fragment for htmx, as a page otherwise."""
    if visible_thread_messages(request.user, thread_id) is None:
        raise Http404
    return _render(request, thread_id, {})


@login_required
@require_http_methods(["GET", "POST"])
def thread_links(request: HttpRequest, thread_id: int) -> HttpResponse:
    """GET: choose a record (`q`). POST: `record` ("contact:3") and `act`: link | undo | restore."""
    message_ids = visible_thread_messages(request.user, thread_id)
    if message_ids is None:
        raise Http404
    if request.method == "GET":
        found = people.suggest(request.GET.get("q", "")[:200])
        extra = {"is_choosing": True, "q": request.GET.get("q", "")[:200], "contacts": found[0], "companies": found[1]}
        if request.headers.get("HX-Request") and "rows" in request.GET:
            return render(request, "linking/_choices.html", extra | {"thread_id": thread_id})
        return _render(request, thread_id, extra)
    target = _target(request.POST.get("record", ""))
    act = {"link": services.link_by_hand, "undo": services.reject_links, "restore": services.restore_links}.get(
        request.POST.get("act", "link")
    )
    if target is None or act is None:
        raise Http404
    act(message_ids=message_ids, target=target, user=request.user)  # type: ignore[arg-type]
    if not request.headers.get("HX-Request"):
        return redirect("panel:thread", thread_id)
    return _render(request, thread_id, {"is_changed": True})


def _render(request: HttpRequest, thread_id: int, extra: dict[str, Any]) -> HttpResponse:
    context = {
        "thread_id": thread_id,
        "about": about_thread(request.user, thread_id),
        "links": links_of_thread(request.user, thread_id),
        "section": "email",
    }
    template = "contacts/_context.html" if request.headers.get("HX-Request") else "contacts/context.html"
    return render(request, template, context | extra)


def _target(record: str) -> Target | None:
    """The record that `contact:3` or `company:5` names, None if there is none."""
    kind, _colon, pk = record.partition(":")
    if not pk.isdigit() or len(pk) > 18:
        return None
    if kind == "contact" and Contact.objects.filter(pk=pk).exists():
        return Target(contact=int(pk))
    if kind == "company" and Company.objects.filter(pk=pk).exists():
        return Target(company=int(pk))
    return None
