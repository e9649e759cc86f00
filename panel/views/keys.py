"""The sheet of keys."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

GROUPS = [
    (_("Move"), [(_("Older"), ["j"]), (_("Newer"), ["k"]), (_("Open"), ["o"]), (_("Back to the list"), ["u"])]),
    (
        _("This email"),
        [
            (_("Reply"), ["r"]),
            (_("Reply to all"), ["a"]),
            (_("Forward"), ["f"]),
            (_("Mark as processed"), ["e"]),
            (_("Undo"), ["z"]),
        ],
    ),
    (
        _("Writing"),
        [
            (_("Write"), ["c"]),
            (_("Send"), ["Ctrl", "Enter"]),
            (_("Link"), ["Ctrl", "k"]),
            (_("Close, saved"), ["Esc"]),
        ],
    ),
    (
        _("Go to"),
        [
            (_("Email"), ["g", "i"]),
            (_("Sent"), ["g", "s"]),
            (_("Drafts"), ["g", "d"]),
            (_("Contacts"), ["g", "c"]),
            (_("Notifications"), ["g", "n"]),
        ],
    ),
    (_("Anywhere"), [(_("Search"), ["/"]), (_("These keys"), ["?"]), (_("Close"), ["Esc"])]),
]


@login_required
@require_GET
def keys(request: HttpRequest) -> HttpResponse:
    """What each key does: a page, or a dialog for htmx."""
    template = "panel/_keys.html" if request.headers.get("HX-Request") else "panel/keys.html"
    return render(request, template, {"groups": GROUPS})
