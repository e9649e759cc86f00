"""The Email tab: the list, a thread opened beside it, marks. Each address gives a full page; htmx gets fragments."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from mail.queries import Cursor, folders_of, neighbours, newer_threads, open_thread, thread_page
from outbox.tasks import read_drafts
from panel.context import movable_of, seen_of
from panel.filters import ListAddress, read_address
from panel.letters import fold, make_letters, opened_by_default
from panel.lists import folder_label, list_context
from panel.moments import day_label
from panel.outgoing import answering, note_troubles
from panel.rows import by_day, chips_of, make_rows
from panel.services.doorbell import ring, ring_seldom
from panel.services.marks import mark_thread, request_sync
from sync.tasks import push_changes, sync_email_account

BESIDE = 20  # rows of the list beside a thread that is opened by its address; scrolling brings more
MAX_ONLY = 1000  # messages that one undo can name


@login_required
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """The list: a full page; `after=` the next rows; `until=` the first rows grown by what arrived."""
    address = read_address(request.GET)
    until, after = Cursor.read(request.GET.get("until", "")), Cursor.read(request.GET.get("after", ""))
    if until and request.headers.get("HX-Request"):
        page = newer_threads(request.user, address.filters, until, seen=seen_of(request))
    else:
        page = thread_page(request.user, address.filters, after, seen=seen_of(request))
    context: dict[str, Any] = {
        "address": address,
        "page": page,
        "days": by_day(make_rows(page.threads, address, movable_of(request))),
    }
    if request.headers.get("HX-Request") and until:
        return render(request, "panel/_days.html", context)
    if request.headers.get("HX-Request") and after:
        return render(request, "panel/_rows.html", context | {"is_more": True, "previous_label": day_label(after.at)})
    context |= list_context(request, address)
    if address.filters.view == "drafts":  # what other programs left in the servers' Drafts
        ring_seldom(read_drafts, [one.pk for one in context["rail"].accounts], seconds=30)
    fragment = request.headers.get("HX-Request") and "rows" in request.GET
    return render(request, "panel/_rows.html" if fragment else "panel/inbox.html", context)


@login_required
@require_GET
def thread(request: HttpRequest, thread_id: int) -> HttpResponse:
    """A thread beside its list; htmx gets the letter (and the context column out of band)."""
    address = read_address(request.GET)
    context = _thread_context(request, thread_id, address)
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        context |= {"chips": chips_of([thread_id]).get(thread_id, []), "is_fragment": True}
        return render(request, "panel/_thread.html", context)
    after = Cursor.read(request.GET.get("after", ""))
    page = thread_page(request.user, address.filters, after, BESIDE, seen=seen_of(request))
    chips = chips_of([thread_id, *(one.pk for one in page.threads)])
    rows = make_rows(page.threads, address, movable_of(request), chips)
    context |= {"page": page, "days": by_day(rows), "chips": chips.get(thread_id, [])}
    return render(request, "panel/thread.html", context | list_context(request, address))


def _thread_context(request: HttpRequest, thread_id: int, address: ListAddress) -> dict[str, Any]:
    opened = open_thread(request.user, thread_id, seen=seen_of(request))
    if opened is None or not opened.messages:
        raise Http404
    asked = request.GET.get("message", "")
    for message in opened.messages:
        message.email_account = opened.thread.email_account
    note_troubles(opened.messages)
    letters = make_letters(
        opened.messages, opened_by_default(opened.messages, int(asked) if asked.isdigit() else None), request.user
    )
    newer, older = neighbours(request.user, address.filters, opened.thread, seen=seen_of(request))
    return {
        "address": address,
        "opened": opened,
        "thread": opened.thread,
        "letters": fold(letters),
        "newer_url": address.thread_url(newer) if newer else "",
        "older_url": address.thread_url(older) if older else "",
        **answering(request.user, opened.thread, letters),
        "folder_names": [folder_label(one) for one in folders_of(opened.messages[-1].pk)],
        "section": "email",
    }


@login_required
@require_POST
def mark(request: HttpRequest, thread_id: int) -> HttpResponse:
    """Mark a thread: `read` and `processed` are "1", "0" or absent. Answers with what changed, out of band."""
    marks = {name: request.POST.get(name) == "1" for name in ("read", "processed") if request.POST.get(name)}
    read, processed = marks.get("read"), marks.get("processed")
    changed = mark_thread(
        user=request.user, thread_id=thread_id, is_read=read, is_processed=processed, only=_only(request)
    )
    if changed is None:
        raise Http404
    for account_id in changed.to_push:
        ring(push_changes, account_id)
    address = read_address(request.GET)
    if not request.headers.get("HX-Request"):
        return redirect(address.url)
    context = {
        "thread": changed.thread,
        "address": address,
        "row": make_rows([changed.thread], address, movable_of(request))[0],
        "marks": marks,
        "changed": ",".join(map(str, changed.changed[:MAX_ONLY])),
    }
    return render(request, "panel/_marked.html", context | {"is_quiet": "quiet" in request.POST, "section": "email"})


def _only(request: HttpRequest) -> list[int] | None:
    """Which messages an undo is about; None: the whole thread."""
    said = request.POST.get("only")
    return (
        None if said is None else [int(one) for one in said.split(",")[:MAX_ONLY] if one.isdecimal() and len(one) < 19]
    )


@login_required
@require_POST
def synchronize(request: HttpRequest) -> HttpResponse:
    """Ask the servers for new mail now: of one mailbox (`account`) or of all."""
    address = read_address(request.GET)
    asked = request_sync(user=request.user, email_account_id=address.filters.email_account_id)
    for account in asked:
        ring(sync_email_account, account.pk)
    if not request.headers.get("HX-Request"):
        return redirect(address.url)
    return render(request, "panel/_synchronizing.html", {"accounts": asked})
