"""Message bodies and pictures at their own addresses, isolated (docs/decisions/0002-mail-body-isolation.md).

Invariant: the response of a body forbids scripts, forms, frames, plugins and (before Show) everything remote by its own
CSP, even if the HTML came through unclean.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.models import User
from drivers.errors import DriverError
from mail.models import Message, MessageContent, Part
from mail.pictures import MAX_BYTES, safe_picture
from mail.queries import visible_parts
from panel.body_page import Look, make_page
from panel.letters import shows_remote
from panel.views.messages import find_message
from sync.parts import PartTooLarge, open_part

PART_SALT = "panel.part"
PART_STEP = 1800  # seconds: a picture's address lasts between one and two steps
MAX_PICTURES = 100  # inline pictures of one message


@login_required
@require_GET
@xframe_options_sameorigin
def message_body(request: HttpRequest, message_id: int) -> HttpResponse:
    """The body of a message for its frame. `remote=` is our token of a Show."""
    found = find_message(request, message_id)
    content = MessageContent.objects.filter(message=found).first() or MessageContent(message=found)
    allowed = shows_remote(request.GET.get("remote", ""), request.user, found.pk)
    page = make_page(
        content,
        look=Look(getattr(request.user, "theme", "system"), fonts_url(request)),
        allow_remote=allowed,
        part_urls=picture_urls(request, found),
    )
    response = HttpResponse(page.html, content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = body_policy(request, allowed)
    for name, value in BODY_HEADERS.items():
        response[name] = value
    return response


BODY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def body_policy(request: HttpRequest, allow_remote: bool) -> str:
    """The CSP of a body. Only inside our own frame it keeps our origin (so that its height can be measured)."""
    pictures = request.build_absolute_uri(reverse("panel:inline_part", args=["x"])).removesuffix("x/")
    remote = " https: http:" if allow_remote else ""
    framed = request.headers.get("Sec-Fetch-Dest") == "iframe"
    sandbox = "sandbox allow-popups allow-popups-to-escape-sandbox" + (" allow-same-origin" if framed else "")
    return (
        f"default-src 'none'; script-src 'none'; img-src {pictures} data:{remote}; style-src 'unsafe-inline'; "
        f"font-src {fonts_url(request)}/; "
        f"form-action 'none'; base-uri 'none'; frame-ancestors 'self'; {sandbox}"
    )


def fonts_url(request: HttpRequest) -> str:
    """The folder of our own fonts, without a final slash."""
    return request.build_absolute_uri(f"{settings.STATIC_URL}css/fonts")


def picture_urls(request: HttpRequest, message: Message) -> dict[str, str]:
    """Signed, short-lived addresses of the message's pictures by content id, bound to user and message."""
    expires = (int(time.time()) // PART_STEP + 2) * PART_STEP
    parts = Part.objects.filter(message=message, content_type__startswith="image/").exclude(content_id="")
    urls = {}
    for part in parts.order_by("id")[:MAX_PICTURES]:
        token = signing.Signer(salt=PART_SALT).sign_object([part.pk, message.pk, request.user.pk, expires])
        urls[part.content_id] = request.build_absolute_uri(reverse("panel:inline_part", args=[token]))
    return urls


@require_GET
def inline_part(request: HttpRequest, token: str) -> HttpResponse:
    """A picture of a body by its signed address; the rights of the user it was signed for are checked again."""
    try:
        part_id, message_id, user_id, expires = signing.Signer(salt=PART_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        raise Http404 from None
    if expires < time.time() or (request.user.is_authenticated and request.user.pk != user_id):
        raise Http404
    user = User.objects.filter(pk=user_id, is_active=True).first()
    part = visible_parts(user).filter(pk=part_id, message_id=message_id).first() if user else None
    return _picture(part)


@login_required
@require_GET
def part_preview(request: HttpRequest, part_id: int) -> HttpResponse:
    """An attached picture, made new."""
    return _picture(visible_parts(request.user).filter(pk=part_id).first())


def _picture(part: Part | None) -> HttpResponse:
    if part is None or not part.content_type.startswith("image/") or part.size > MAX_BYTES:
        raise Http404
    try:
        with open_part(part) as source:
            made = safe_picture(source.read(MAX_BYTES + 1))
    except (DriverError, PartTooLarge, OSError):
        made = None
    if made is None:
        raise Http404
    data, content_type = made
    headers: dict[str, Any] = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline",
        "Cache-Control": f"private, max-age={PART_STEP}",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return HttpResponse(data, content_type=content_type, headers=headers)
