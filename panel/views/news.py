"""What is new, for the short poll of one tab per browser. Invariant: rights are checked at every poll; nothing new costs
five small queries and answers 204.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from panel.context import read_rail
from panel.lists import progress_of


@login_required
@require_GET
def news(request: HttpRequest) -> HttpResponse:
    """204 while nothing changed since the state named in `after`; else the counts and the new state, as JSON."""
    rail = read_rail(request.user)
    downloads = [f"{one.account.pk}:{one.done}:{one.total}" for one in progress_of(rail.accounts)]
    state = f"{rail.state}-{','.join(downloads)}"
    if request.GET.get("after") == state:
        response = HttpResponse(status=204)
    else:
        response = JsonResponse(
            {
                "state": state,
                "mail": rail.state,
                "is_downloading": bool(downloads),
                "unread": rail.unread,
                "unread_label": rail.unread_label,
                "needs_you": rail.needs_you,
            }
        )
    response["Cache-Control"] = "private, no-store"
    return response
