"""Companies: the list, a company with its people and mail, making, changing, merging and deleting one."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from contacts import queries
from contacts.models import Company
from contacts.services import delete_company
from linking import people
from linking.queries import MailFigures, figures_of_companies, mail_of_company
from panel.forms.people import CompanyForm, company_initial
from panel.past_mail import label_before, link_past_mail

PAGE = 50
SORTS = {"name": ("name", "id"), "people": ("-people", "name", "id"), "added": ("-created_at", "-id")}


@login_required
@require_GET
def companies(request: HttpRequest) -> HttpResponse:
    """The list: `q` searches, `sort` orders, `page` turns."""
    search, sort = request.GET.get("q", "").strip()[:200], request.GET.get("sort", "")
    found = queries.companies(search).order_by(*SORTS.get(sort, SORTS["name"]))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    figures = figures_of_companies(request.user, [company.pk for company in page])
    context = {
        "page": page,
        "rows": [(company, figures.get(company.pk, MailFigures())) for company in page],
        "search": search,
        "sort": sort if sort in SORTS else "name",
    }
    fragment = request.headers.get("HX-Request") and "rows" in request.GET
    return render(request, "contacts/_company_rows.html" if fragment else "contacts/companies.html", context)


@login_required
@require_GET
def company(request: HttpRequest, company_id: int) -> HttpResponse:
    """A company's page; `before` gives only the next mails of the timeline."""
    found = _find(company_id)
    before = request.GET.get("before", "")
    context = {"company": found, "timeline": mail_of_company(request.user, found, before=before)}
    context |= {"previous_label": label_before(before)}
    if before and request.headers.get("HX-Request"):
        return render(request, "contacts/_timeline_rows.html", context)
    figures = figures_of_companies(request.user, [found.pk]).get(found.pk, MailFigures())
    return render(request, "contacts/company.html", context | {"figures": figures, "is_first": not before})


@login_required
@require_http_methods(["GET", "POST"])
def company_new(request: HttpRequest) -> HttpResponse:
    """A new company."""
    form = CompanyForm(
        request.POST if request.method == "POST" else None, initial={"name": request.GET.get("name", "")[:200]}
    )
    saved = _save(request, form, None)
    if saved:
        messages.success(request, _("%(name)s is a company now.") % {"name": saved})
        return redirect("panel:company", saved.pk)
    return render(request, "contacts/company_form.html", {"form": form, "back": reverse("panel:companies")})


@login_required
@require_http_methods(["GET", "POST"])
def company_edit(request: HttpRequest, company_id: int) -> HttpResponse:
    """Change a company."""
    found = _find(company_id)
    form = CompanyForm(request.POST if request.method == "POST" else None, initial=company_initial(found))
    if _save(request, form, found):
        return redirect("panel:company", company_id)
    back = reverse("panel:company", args=[company_id])
    return render(request, "contacts/company_form.html", {"form": form, "company": found, "back": back})


@login_required
@require_http_methods(["GET", "POST"])
def company_merge(request: HttpRequest, company_id: int) -> HttpResponse:
    """Merge another company into this one: choose it (`q`), see what happens (`other`), do it (POST)."""
    found = _find(company_id)
    chosen = (request.POST if request.method == "POST" else request.GET).get("other", "")
    other = queries.company_page(int(chosen)) if chosen.isdigit() and len(chosen) < 18 else None
    if other is not None and other.pk == found.pk:
        other = None
    if request.method == "POST" and other is not None:
        name = str(other)
        people.merge_companies(kept=found, merged=other)
        messages.success(request, _("%(name)s was merged into this card.") % {"name": name})
        return redirect("panel:company", found.pk)
    search = request.GET.get("q", "").strip()[:200]
    choices = queries.companies(search or found.name.split()[0]).exclude(pk=found.pk)[:20]
    context = {"record": found, "other": other, "choices": choices, "search": search, "kind": "company"}
    return render(request, "contacts/merge.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def company_delete(request: HttpRequest, company_id: int) -> HttpResponse:
    """Delete a company, after saying what goes."""
    found = _find(company_id)
    if request.method == "POST":
        messages.success(request, _("%(name)s was deleted. Its people and the mail stay.") % {"name": found})
        delete_company(company=found)
        return redirect("panel:companies")
    return render(request, "contacts/delete.html", {"record": found, "kind": "company"})


@login_required
@require_GET
def company_names(request: HttpRequest) -> HttpResponse:
    """Options of companies for the field of a contact's company."""
    names = [company.name for company in queries.suggest(request.GET.get("company", ""))[1]]
    return render(request, "contacts/_company_names.html", {"names": names})


def _find(company_id: int) -> Company:
    found = queries.company_page(company_id)
    if found is None:
        raise Http404
    return found


def _save(request: HttpRequest, form: CompanyForm, company: Company | None) -> Company | None:
    """The saved company, None when there is something to correct (or nothing was sent)."""
    if request.method != "POST" or not form.is_valid():
        return None
    try:
        saved = people.save_company(fields=form.read(), company=company, user=request.user)  # type: ignore[arg-type]
    except ValidationError as error:
        form.add_mistakes(error)
        return None
    link_past_mail()
    return saved
