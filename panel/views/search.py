"""Search: the same rows, newest first, of what the user may see."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from mail.queries import Cursor
from panel.filters import read_address
from panel.finding import find
from panel.lists import list_context


@login_required
@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """Results of `q` as rows; the operators are those of mail.search."""
    address = read_address(request.GET)
    if not address.query:
        return redirect("panel:inbox")
    found = find(request, address, Cursor.read(request.GET.get("after", "")))
    context = {"address": address, "found": found, "rows": found.rows}
    return render(request, "panel/search.html", context | list_context(request, address))
