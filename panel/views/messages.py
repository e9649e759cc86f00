"""One message: opened or shut in its thread, its source."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from drivers.errors import DriverError
from mail.models import Message
from mail.queries import visible_messages
from panel.letters import make_letters
from panel.outgoing import note_troubles
from sync.parts import raw_source


def find_message(request: HttpRequest, message_id: int) -> Message:
    """The message, 404 where the user may not see it."""
    message = visible_messages(request.user).select_related("email_account", "thread").filter(pk=message_id).first()
    if message is None:
        raise Http404
    return message


@login_required
@require_GET
def message(request: HttpRequest, message_id: int) -> HttpResponse:
    """The opened message as a fragment; `remote=` (a token of ours) shows its remote pictures; `shut=1` shuts it."""
    found = find_message(request, message_id)
    note_troubles([found])
    opened = [] if request.GET.get("shut") else [found.pk]
    letter = make_letters([found], opened, request.user, request.GET.get("remote", ""))[0]
    return render(request, "panel/_message.html", {"letter": letter, "thread": found.thread})


@login_required
@require_GET
def source(request: HttpRequest, message_id: int) -> HttpResponse | StreamingHttpResponse:
    """The message as the server has it, as a file; its stored headers and text where the server has it no more."""
    found = find_message(request, message_id)
    headers = {"Content-Disposition": f'attachment; filename="message-{found.pk}.eml"'} | SAFE_HEADERS
    try:
        chunks = raw_source(found)
        first = next(chunks, b"")
    except DriverError:
        return render(request, "panel/source_gone.html", {"message": found, "content": found.content}, status=503)
    return StreamingHttpResponse(_all(first, chunks), content_type="message/rfc822", headers=headers)


SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _all(first: bytes, rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - an iterator of bytes
    yield first
    yield from rest
