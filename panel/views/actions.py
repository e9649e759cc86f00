"""Archive, move, delete, flag a thread, with an Undo. Works without scripts; htmx gets what changed, out of band."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from panel.context import movable_of
from panel.filters import read_address
from panel.lists import folder_label
from panel.rows import make_rows
from panel.services.doorbell import ring
from panel.services.moves import ACTS, Acted, NoSuchFolder, NotAllowed, act_on_thread, undo
from sync.tasks import push_changes

MOST_CHANGES = 2000  # of one undo


@login_required
@require_POST
def act(request: HttpRequest, thread_id: int) -> HttpResponse:
    """`act` is one of archive, move (with `folder`), delete, flag, unflag."""
    wish, folder = request.POST.get("act", ""), request.POST.get("folder", "")
    if wish not in ACTS:
        raise Http404
    address = read_address(request.GET)
    target = int(folder) if folder.isascii() and folder.isdigit() and len(folder) <= 18 else None
    try:
        acted = act_on_thread(
            user=request.user, thread_id=thread_id, act=wish, target_id=target, source_id=address.filters.folder_id
        )
    except NotAllowed as error:
        raise PermissionDenied from error
    except NoSuchFolder as error:
        raise Http404 from error
    if acted is None:
        raise Http404
    for account_id in acted.to_push:
        ring(push_changes, account_id)
    if not request.headers.get("HX-Request"):
        messages.success(request, said(acted))
        return redirect(address.url)
    return render(request, "panel/_acted.html", _context(request, acted, address) | {"section": "email"})


def said(acted: Acted) -> str:
    """What was done, in words."""
    if acted.act in ("flag", "unflag"):
        return _("Flagged") if acted.act == "flag" else _("Flag removed")
    if not acted.moved:
        return _("It is there already")
    if acted.act == "delete":
        return _("Moved to the trash")
    if acted.act == "archive":
        return _("Archived")
    return _("Moved to %(folder)s") % {"folder": folder_label(acted.target) if acted.target else ""}


def _context(request: HttpRequest, acted: Acted, address: Any) -> dict[str, Any]:
    is_hidden = acted.thread.message_count == 0
    leaves = bool(acted.moved) and (is_hidden or address.filters.folder_id is not None)
    return {
        "thread": acted.thread,
        "address": address,
        "text": said(acted),
        "leaves": leaves,
        "row": None if leaves else make_rows([acted.thread], address, movable_of(request))[0],
        "changes": ",".join(map(str, acted.moved.change_ids)),
        "opposite": {"flag": "unflag", "unflag": "flag"}.get(acted.act, ""),
    }


@login_required
@require_POST
def undo_moves(request: HttpRequest) -> HttpResponse:
    """Take back what `changes` (ids, with commas between) did."""
    words = [word for word in request.POST.get("changes", "")[:20_000].split(",") if word]
    if not words or len(words) > MOST_CHANGES or not all(w.isascii() and w.isdigit() and len(w) <= 18 for w in words):
        raise Http404
    done = undo(user=request.user, change_ids=[int(word) for word in words])
    if done is None:
        raise Http404
    for account_id in done[1]:
        ring(push_changes, account_id)
    if not request.headers.get("HX-Request"):
        messages.success(request, _("Taken back"))
        return redirect(read_address(request.GET).url)
    return render(request, "panel/_undone.html", {"section": "email"})
