"""Contacts: the list, a card with its mail, making, changing, merging and deleting one.

Every user sees every contact; the mail beside it is only what this user may read.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from base.addresses import normalise_address
from contacts import queries
from contacts.models import Contact
from contacts.reading import split_name
from linking import people
from linking.queries import MailFigures, figures_of_contacts, mail_of_contact
from panel.forms.people import ContactForm, contact_initial
from panel.past_mail import label_before, link_past_mail

PAGE = 50
SORTS = {
    "name": ("last_name", "first_name", "id"),
    "company": ("company__name", "last_name", "first_name", "id"),
    "added": ("-created_at", "-id"),
}


@login_required
@require_GET
def contacts(request: HttpRequest) -> HttpResponse:
    """The list: `q` searches, `sort` orders, `page` turns."""
    search, sort = request.GET.get("q", "").strip()[:200], request.GET.get("sort", "")
    found = queries.contacts(search).order_by(*SORTS.get(sort, SORTS["name"]))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    figures = figures_of_contacts(request.user, [contact.pk for contact in page])
    context = {
        "page": page,
        "rows": [(contact, figures.get(contact.pk, MailFigures())) for contact in page],
        "search": search,
        "sort": sort if sort in SORTS else "name",
    }
    fragment = request.headers.get("HX-Request") and "rows" in request.GET
    return render(request, "contacts/_contact_rows.html" if fragment else "contacts/contacts.html", context)


@login_required
@require_GET
def contact(request: HttpRequest, contact_id: int) -> HttpResponse:
    """A contact's page; `before` gives only the next mails of the timeline."""
    found = _find(contact_id)
    before = request.GET.get("before", "")
    context = {"contact": found, "timeline": mail_of_contact(request.user, found, before=before)}
    context |= {"previous_label": label_before(before)}
    if before and request.headers.get("HX-Request"):
        return render(request, "contacts/_timeline_rows.html", context)
    figures = figures_of_contacts(request.user, [found.pk]).get(found.pk, MailFigures())
    return render(request, "contacts/contact.html", context | {"figures": figures, "is_first": not before})


@login_required
@require_http_methods(["GET", "POST"])
def contact_new(request: HttpRequest) -> HttpResponse:
    """A new contact; `address` and `name` (of a mail) fill the form, the address's domain suggests the company."""
    form = ContactForm(request.POST if request.method == "POST" else None, initial=_from_mail(request))
    saved = _save(request, form, None)
    if saved:
        messages.success(request, _("%(name)s is a contact now.") % {"name": saved})
        return redirect("panel:contact", saved.pk)
    return render(request, "contacts/contact_form.html", {"form": form, "back": reverse("panel:contacts")})


@login_required
@require_http_methods(["GET", "POST"])
def contact_edit(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Change a contact."""
    found = _find(contact_id)
    form = ContactForm(request.POST if request.method == "POST" else None, initial=contact_initial(found))
    if _save(request, form, found):
        return redirect("panel:contact", contact_id)
    back = reverse("panel:contact", args=[contact_id])
    return render(request, "contacts/contact_form.html", {"form": form, "contact": found, "back": back})


@login_required
@require_http_methods(["GET", "POST"])
def contact_merge(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Merge another contact into this one: choose it (`q`), see what happens (`other`), do it (POST)."""
    found = _find(contact_id)
    chosen = (request.POST if request.method == "POST" else request.GET).get("other", "")
    other = queries.contact_page(int(chosen)) if chosen.isdigit() and len(chosen) < 18 else None
    if other is not None and other.pk == found.pk:
        other = None
    if request.method == "POST" and other is not None:
        name = str(other)
        people.merge_contacts(kept=found, merged=other)
        link_past_mail()
        messages.success(request, _("%(name)s was merged into this card.") % {"name": name})
        return redirect("panel:contact", found.pk)
    search = request.GET.get("q", "").strip()[:200]
    choices = queries.contacts(search or found.last_name).exclude(pk=found.pk)[:20]
    context = {"record": found, "other": other, "choices": choices, "search": search, "kind": "contact"}
    return render(request, "contacts/merge.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def contact_delete(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Delete a contact, after saying what goes."""
    found = _find(contact_id)
    if request.method == "POST":
        messages.success(request, _("%(name)s was deleted. The mail stays.") % {"name": found})
        people.delete_contact(contact=found)
        return redirect("panel:contacts")
    return render(request, "contacts/delete.html", {"record": found, "kind": "contact"})


def _find(contact_id: int) -> Contact:
    found = queries.contact_page(contact_id)
    if found is None:
        raise Http404
    return found


def _save(request: HttpRequest, form: ContactForm, contact: Contact | None) -> Contact | None:
    """The saved contact, None when there is something to correct (or nothing was sent)."""
    if request.method != "POST" or not form.is_valid():
        return None
    try:
        saved = people.save_card(
            fields=form.read(),
            company_name=form.cleaned_data["company"],
            new_domain=form.new_domain(),
            contact=contact,
            user=request.user,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        form.add_mistakes(error)
        return None
    link_past_mail()
    return saved


def _from_mail(request: HttpRequest) -> dict[str, Any]:
    address = normalise_address(request.GET.get("address", "")[:320])
    first, last = split_name(request.GET.get("name", "")[:300])
    company = queries.company_of(address) if address else None
    initial: dict[str, Any] = {"first_name": first, "last_name": last, "addresses": address}
    if company is not None:
        initial["company"] = company.name
    elif address:
        initial |= {"company_domain": queries.free_domain(address), "takes_domain": True}
    return initial
