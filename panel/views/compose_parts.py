"""What the composer asks for while one writes: people, files, pictures, the quote, templates.

Invariant: a draft's files are its author's; a picture is shown only made new, as everywhere on our origin.
"""

from __future__ import annotations

from typing import BinaryIO, cast

from django.contrib.auth.decorators import login_required
from django.core.files.storage import storages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from contacts.models import Contact
from drivers.errors import DriverError
from mail.pictures import MAX_BYTES, safe_picture
from outbox import queries, services
from outbox.letter_html import for_editor
from outbox.models import OutgoingAttachment, OutgoingMessage, SendState
from outbox.senders import written_by
from outbox.services.files import size_limit
from outbox.services.templates import TemplateFields
from outbox.suggestions import suggest
from outbox.types import NewFile
from panel.composing import find_outgoing, picture_urls
from panel.forms.compose import TemplateForm
from panel.templatetags.panel import file_kind, size
from panel.views.compose_answers import answer, page_of, says_no, unreadable
from sync.parts import PartTooLarge, open_part

UPLOADED = 50  # files in one request


def find_draft(request: HttpRequest, outgoing_id: int) -> OutgoingMessage:
    """The draft; 404 where it is no draft of this person."""
    row = find_outgoing(request.user, outgoing_id)
    if row.state != SendState.DRAFT:
        raise Http404
    return row


@login_required
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Whom `q` may mean: contacts, and correspondents of visible mailboxes."""
    found = [
        {
            "name": one.name,
            "address": one.address,
            "company": one.company,
            "is_known": one.contact_id is not None,
            "note": _("mail to it came back") if one.is_invalid else "",
        }
        for one in suggest(request.user, request.GET.get("q", "")[:100])
    ]
    return JsonResponse({"people": found})


@login_required
@require_POST
@says_no
def upload(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """Attach `file` (one or more); `inline=1`: pictures of the text."""
    draft, made = find_draft(request, outgoing_id), []
    for file in request.FILES.getlist("file")[:UPLOADED]:
        new = NewFile(
            file.name or "", file.content_type or "", cast(BinaryIO, file.file), inline=bool(request.POST.get("inline"))
        )
        made.append(services.attach(user=request.user, draft=draft, file=new))
    used = sum(draft.attachments.values_list("size", flat=True))
    told = {"files": [_told(draft, one) for one in made], "free": max(0, size_limit(draft.email_account) - used)}
    return answer(request, told, page_of(request, draft))


def _told(draft: OutgoingMessage, file: OutgoingAttachment) -> dict[str, object]:
    return {
        "id": file.pk,
        "name": file.file_name,
        "size": size(file.size),
        "kind": file_kind(file),
        "url": reverse("panel:compose_picture", args=[draft.pk, file.pk]),
        "remove": reverse("panel:compose_file_remove", args=[draft.pk, file.pk]),
    }


@login_required
@require_POST
@says_no
def remove(request: HttpRequest, outgoing_id: int, file_id: int) -> HttpResponse:
    """Take a file off."""
    draft = find_draft(request, outgoing_id)
    file = get_object_or_404(draft.attachments.all(), pk=file_id)
    services.detach(user=request.user, attachment=file)
    return answer(request, {"removed": file_id}, page_of(request, draft))


@login_required
@require_GET
def picture(request: HttpRequest, outgoing_id: int, file_id: int) -> HttpResponse:
    """A picture of the text, made new."""
    file = get_object_or_404(find_draft(request, outgoing_id).attachments.exclude(content_id=""), pk=file_id)
    try:
        with _open(file) as source:
            made = safe_picture(source.read(MAX_BYTES + 1))
    except (DriverError, PartTooLarge, OSError):
        made = None
    if made is None:
        raise Http404
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=3600",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return HttpResponse(made[0], content_type=made[1], headers=headers)


def _open(file: OutgoingAttachment) -> BinaryIO:
    if file.stored:
        return cast(BinaryIO, storages["mail"].open(file.stored))
    if file.part is None:
        raise Http404
    return open_part(file.part)


@login_required
@require_GET
def quote(request: HttpRequest, outgoing_id: int) -> HttpResponse:
    """The folded original, to be opened into the text."""
    draft = find_draft(request, outgoing_id)
    return JsonResponse({"html": for_editor(draft.quoted_html, picture_urls(draft)), "text": draft.quoted_text})


@login_required
@require_GET
@says_no
def template(request: HttpRequest, outgoing_id: int, template_id: int) -> HttpResponse:
    """A template filled in for the first recipient whose card we have."""
    draft = find_draft(request, outgoing_id)
    row = get_object_or_404(queries.templates(request.user), pk=template_id)
    first = request.GET.get("to", "").strip().lower()[:320]
    contact = Contact.objects.filter(addresses__address=first).select_related("company").first() if first else None
    sender = written_by(draft)[1]
    filled = services.fill_template(user=request.user, template=row, contact=contact, sender=sender)
    return JsonResponse({"subject": filled.subject, "html": filled.html, "missing": list(filled.missing)})


@login_required
@require_POST
@says_no
def keep_template(request: HttpRequest) -> HttpResponse:
    """Keep a text as a template of one's own (`is_shared`: of everybody, by an administrator)."""
    form = TemplateForm(request.POST)
    if not form.is_valid():
        return unreadable(request, form)
    made = services.save_template(user=request.user, fields=TemplateFields(**form.cleaned_data))
    return answer(request, {"id": made.pk, "name": made.name}, reverse("panel:inbox"))


@login_required
@require_POST
@says_no
def remove_template(request: HttpRequest, template_id: int) -> HttpResponse:
    """Delete a template of one's own; what it held is told, so that it can be put back."""
    row = get_object_or_404(queries.templates(request.user), pk=template_id)
    kept = {"name": row.name, "subject": row.subject, "html": row.html, "isShared": row.owner_id is None}
    services.delete_template(user=request.user, template=row)
    return answer(request, {"removed": template_id, "template": kept}, reverse("panel:inbox"))
