"""Contacts from and to a CSV file: upload, preview, import; export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import User
from contacts import queries
from contacts.imports import import_table
from contacts.table import COLUMNS, read_table, write_table
from linking import people, uploads
from panel.forms.people import ImportForm
from panel.past_mail import link_past_mail

SHOWN = 10  # rows of the preview
BAD_SHOWN = 50


@login_required
@require_http_methods(["GET", "POST"])
def contacts_import(request: HttpRequest) -> HttpResponse:
    """Upload a file, see what would happen, do it (`token`)."""
    if request.method == "POST" and "token" in request.POST:
        return _import(request, request.POST["token"][:500])
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context = {"form": form, "columns": COLUMNS}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data["file"].read()
        table = read_table(data)
        if table.problem:
            form.add_error("file", table.problem)
        else:
            context |= {"token": uploads.keep(data, user=_user(request)), "table": table, "rows": table.rows[:SHOWN]}
            context |= {"result": import_table(table, is_trial=True), "bad_shown": BAD_SHOWN}
    return render(request, "contacts/import.html", context)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # login_required


def _import(request: HttpRequest, token: str) -> HttpResponse:
    data = uploads.read(token, user=_user(request))
    context = {"form": ImportForm(), "columns": COLUMNS, "bad_shown": BAD_SHOWN}
    if data is None:
        context["gone"] = _("The file is no longer here. Nothing was imported; choose it again.")
        return render(request, "contacts/import.html", context)
    context |= {"result": people.import_people(read_table(data), user=_user(request)), "is_done": True}
    uploads.forget(token, user=_user(request))
    link_past_mail()  # its number is not shown: it would count mail that this user may not see
    return render(request, "contacts/import.html", context)


@login_required
@require_GET
def contacts_export(request: HttpRequest) -> StreamingHttpResponse:
    """All contacts as CSV, with the columns of the import; each with its first address and phone."""
    response = StreamingHttpResponse(write_table(_rows()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="contacts-{timezone.localdate():%Y-%m-%d}.csv"'
    return response


def _rows() -> Iterator[list[str]]:
    found = queries.contacts().prefetch_related("phones", "company__domains").order_by("id")
    for contact in found.iterator(chunk_size=1000):
        address = next((row.address for row in contact.addresses.all()), "")
        phone = next((row.number for row in contact.phones.all()), "")
        company = contact.company
        domain = next((row.domain for row in company.domains.all()), "") if company else ""
        names = [contact.first_name, contact.last_name, address, phone, contact.job_title]
        yield [*names, company.name if company else "", domain]
