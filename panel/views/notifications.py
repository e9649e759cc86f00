"""Notifications: what needs the person, then the news by day."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from notifications import queries, services
from panel.notices import days_of, notices_of


@login_required
@require_GET
def notifications(request: HttpRequest) -> HttpResponse:
    """The page."""
    context = {
        "questions": notices_of(queries.open_questions(request.user)),
        "days": days_of(notices_of(queries.news(request.user))),
        "has_unread": queries.unread_count(request.user) > 0,
    }
    return render(request, "panel/notifications.html", context)


@login_required
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all as read; questions stay."""
    services.mark_read(user=request.user)  # type: ignore[arg-type]
    return redirect("panel:notifications")


@login_required
@require_POST
def dismiss(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Put one piece of news away."""
    if not services.dismiss(user=request.user, notification_id=notification_id):  # type: ignore[arg-type]
        raise Http404
    return redirect("panel:notifications")
