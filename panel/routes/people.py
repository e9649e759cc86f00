"""Addresses of the panel: people, companies, links."""

from django.urls import URLPattern, URLResolver, path

from panel.views import companies, imports, links, people

urlpatterns: list[URLPattern | URLResolver] = [
    path("contacts/", people.contacts, name="contacts"),
    path("contacts/new/", people.contact_new, name="contact_new"),
    path("contacts/import/", imports.contacts_import, name="contacts_import"),
    path("contacts/export/", imports.contacts_export, name="contacts_export"),
    path("contacts/<int:contact_id>/", people.contact, name="contact"),
    path("contacts/<int:contact_id>/edit/", people.contact_edit, name="contact_edit"),
    path("contacts/<int:contact_id>/merge/", people.contact_merge, name="contact_merge"),
    path("contacts/<int:contact_id>/delete/", people.contact_delete, name="contact_delete"),
    path("companies/", companies.companies, name="companies"),
    path("companies/new/", companies.company_new, name="company_new"),
    path("companies/names/", companies.company_names, name="company_names"),
    path("companies/<int:company_id>/", companies.company, name="company"),
    path("companies/<int:company_id>/edit/", companies.company_edit, name="company_edit"),
    path("companies/<int:company_id>/merge/", companies.company_merge, name="company_merge"),
    path("companies/<int:company_id>/delete/", companies.company_delete, name="company_delete"),
    path("context/<int:thread_id>/", links.context, name="context"),
    path("context/<int:thread_id>/links/", links.thread_links, name="thread_links"),
]
