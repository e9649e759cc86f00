"""Attachments as downloads. Invariant: never shown on our origin, whatever their type says."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from drivers.errors import DriverError, MessageGone
from mail.queries import visible_parts
from panel.views.messages import SAFE_HEADERS
from sync.parts import PartTooLarge, open_part


@login_required
@require_GET
def part(request: HttpRequest, part_id: int) -> HttpResponse | FileResponse:
    """The attachment's bytes, from the cache or the server, as a file to keep."""
    found = visible_parts(request.user).select_related("message", "message__email_account").filter(pk=part_id).first()
    if found is None:
        raise Http404
    try:
        source = open_part(found)
    except (DriverError, PartTooLarge, OSError) as error:
        kind = "gone" if isinstance(error, MessageGone) else "large" if isinstance(error, PartTooLarge) else "busy"
        return render(request, "panel/part_failed.html", {"part": found, "kind": kind}, status=503)
    name = found.file_name.strip(". ") or f"attachment-{found.pk}"
    return FileResponse(
        source, as_attachment=True, filename=name, content_type="application/octet-stream", headers=SAFE_HEADERS
    )
