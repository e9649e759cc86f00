"""After *Send*: undo, now, try again, give up, and the answer to "did it arrive?"."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from outbox import services
from outbox.models import OutgoingMessage, SendState
from outbox.tasks import advance
from panel.composing import find_outgoing
from panel.forms.compose import DecideForm
from panel.outgoing import story_of
from panel.services.doorbell import ring
from panel.views.compose_answers import answer, page_of, says_no, unreadable

RINGS = ("now", "retry", "again", "sent")


@login_required
@require_GET
def state(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """Where it stands, for the toast that waits."""
    row = find_outgoing(request.user, outgoing_id)
    story = story_of(row)
    is_over = row.state not in (SendState.QUEUED, SendState.SENDING) or bool(row.attempts)
    return JsonResponse({"state": row.state, "title": story.title, "text": story.text, "is_over": is_over})


@login_required
@require_POST
@says_no
def undo(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """*Undo*: a draft again."""
    row = services.undo_send(user=request.user, message=find_outgoing(request.user, outgoing_id))
    return answer(request, {"url": page_of(request, row)}, page_of(request, row))


@login_required
@require_POST
@says_no
def decide(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """`what`: now, retry, give_up, edit, sent (it arrived), again (send it a second time)."""
    row, form = find_outgoing(request.user, outgoing_id), DecideForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    what = form.cleaned_data["what"]
    row = _decided(request, row, what)
    if what in RINGS:
        ring(advance, row.pk)
    return answer(request, {"state": row.state}, page_of(request, row))


def _decided(request: HttpRequest, row: OutgoingMessage, what: str) -> OutgoingMessage:
    if what == "sent":
        return services.resolve_uncertain(user=request.user, message=row, outcome="sent")
    if what == "again":
        return services.resolve_uncertain(user=request.user, message=row, outcome="again")
    acts = {
        "now": services.send_now,
        "retry": services.retry,
        "give_up": services.give_up,
        "edit": services.edit_again,
    }
    return acts[what](user=request.user, message=row)
