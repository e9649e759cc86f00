"""How the composer's addresses answer: JSON for its scripts, a page for a form; and each no of the outbox as a sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from mail.queries import thread_page
from outbox import errors
from outbox.models import OutgoingMessage
from panel.context import movable_of, seen_of
from panel.filters import read_address
from panel.lists import list_context
from panel.outgoing import story_of
from panel.rows import by_day, make_rows

STATUSES: dict[type[errors.OutboxError], int] = {
    errors.NotAllowed: 403,
    errors.DraftConflict: 409,
    errors.WrongState: 409,
    errors.NeedsConfirmation: 409,
    errors.CannotSend: 422,
    errors.FileRefused: 422,
    errors.LimitReached: 429,
    errors.SendingIsStopped: 503,
}
KINDS = {
    errors.DraftConflict: "conflict",
    errors.WrongState: "state",
    errors.NeedsConfirmation: "confirm",
    errors.CannotSend: "problems",
}


def wants_json(request: HttpRequest) -> bool:
    """Whether a script of ours asks."""
    return "application/json" in request.headers.get("Accept", "")


def is_framed(request: HttpRequest) -> bool:
    """Whether the page stands docked in another page."""
    return bool(request.GET.get("frame") or request.POST.get("frame"))


def page_of(request: HttpRequest, row: OutgoingMessage) -> str:
    """The address of the composer, docked as it was."""
    return reverse("panel:compose", args=[row.pk]) + ("?frame=1" if is_framed(request) else "")


def clock_of(moment: datetime | None, *, with_day: bool = False) -> str:
    """10:54, with its day Tue 24 Nov, 08:00; in the person's time zone."""
    return date_format(timezone.localtime(moment), "D j M, H:i" if with_day else "H:i") if moment else ""


def answer(request: HttpRequest, told: dict[str, Any], to: str, *, status: int = 200) -> HttpResponse:
    """`told` for a script; a form goes on to `to`."""
    return JsonResponse(told, status=status) if wants_json(request) else redirect(to)


def unreadable(request: HttpRequest, form: forms.Form) -> HttpResponse:
    """What was posted cannot be read."""
    text = " ".join(str(error) for found in form.errors.values() for error in found) or _("This could not be read.")
    if wants_json(request):
        return JsonResponse({"error": text, "kind": "form"}, status=400)
    return render(request, "panel/compose/refused.html", {"text": text, "is_framed": is_framed(request)}, status=400)


def beside(request: HttpRequest, row: OutgoingMessage) -> dict[str, Any]:
    """The list and the thread that stand beside the composer's own page."""
    address = read_address(QueryDict())
    page = thread_page(request.user, address.filters, seen=seen_of(request))
    thread = row.original.thread if row.original is not None and not row.is_from_server else None
    context = {"address": address, "page": page, "days": by_day(make_rows(page.threads, address, movable_of(request)))}
    return context | list_context(request, address) | {"opened": {"thread": thread}, "section": "email"}


def state_page(request: HttpRequest, row: OutgoingMessage) -> HttpResponse:
    """What became of an email, and what can be done about it."""
    context = {
        "draft": row,
        "story": story_of(row),
        "recipients": list(row.recipients.all()[:500]),
        "is_framed": is_framed(request),
    }
    if not context["is_framed"]:
        context |= beside(request, row)
    return render(request, f"panel/compose/{'frame' if context['is_framed'] else 'page'}_state.html", context)


def says_no(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn a refusal of the outbox into its sentence."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except errors.OutboxError as error:
            return _refusal(request, error, kwargs.get("outgoing_id"))

    return wrapped


def _refusal(request: HttpRequest, error: errors.OutboxError, outgoing_id: int | None) -> HttpResponse:
    status = STATUSES.get(type(error), 422)
    if wants_json(request):
        told: dict[str, Any] = {"error": str(error), "kind": KINDS.get(type(error), "refused")}
        if (version := getattr(request, "kept_version", None)) is not None:
            told["version"] = version
        if isinstance(error, errors.CannotSend):
            told["problems"] = error.problems
        if isinstance(error, errors.NeedsConfirmation):
            told["questions"] = list(error.reasons.values())
        if isinstance(error, errors.DraftConflict):
            told["saved_at"] = clock_of(error.current.updated_at)
        if isinstance(error, errors.LimitReached):
            told["error"] = _until(error)
        return JsonResponse(told, status=status)
    if outgoing_id is None or isinstance(error, errors.NotAllowed):
        context = {"text": str(error), "is_framed": is_framed(request)}
        return render(request, "panel/compose/refused.html", context, status=status)
    address = reverse("panel:compose", args=[outgoing_id]) + ("?frame=1" if is_framed(request) else "")
    if isinstance(error, errors.NeedsConfirmation):
        return redirect(address + ("&" if "?" in address else "?") + "ask=1")
    messages.error(request, _until(error) if isinstance(error, errors.LimitReached) else str(error))
    return redirect(address)


def _until(error: errors.LimitReached) -> str:
    if error.free_at is None:
        return str(error)
    return f"{error} " + _("There is room again at %(time)s.") % {"time": clock_of(error.free_at)}
