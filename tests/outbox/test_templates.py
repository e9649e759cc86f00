"""Templates: fields are filled once and escaped, shared ones are the administrator's, the stop is a command."""

from __future__ import annotations

import io
from html import escape

import pytest
from django.core.management import call_command
from hypothesis import example, given
from hypothesis import strategies as st

from outbox import queries, services
from outbox.errors import NotAllowed
from outbox.services.templates import TemplateFields
from outbox.templating import fill
from tests.factories import CompanyFactory, ContactFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_fields_of_contact_company_and_user_are_filled_and_escaped() -> None:
    user = UserFactory(name="Anna Berg")
    contact = ContactFactory(first_name="<b>Ida</b>", company=CompanyFactory(name="Lys & Co"))
    fields = TemplateFields(
        name="Hello",
        subject="For {{ contact.first_name }}",
        html="<p>Dear {{contact.first_name}} of {{company.name}}, {{contact.job_title|friend}}"
        " {{user.name}} {{contact.email}} {{x.y}}</p>",
    )
    template = services.save_template(user=user, fields=fields)
    filled = services.fill_template(user=user, template=template, contact=contact)
    assert filled.subject == "For <b>Ida</b>"
    assert filled.html == "<p>Dear &lt;b&gt;Ida&lt;/b&gt; of Lys &amp; Co, friend Anna Berg  {{x.y}}</p>"
    assert filled.missing == ("contact.email",)


@given(st.text(max_size=60))
@example("SECRET")
def test_a_value_that_looks_like_a_field_stays_text(value: str) -> None:
    written = value + "{{user.name}}"
    filled = fill(
        "{{contact.first_name}}", "{{contact.first_name}}", {"contact.first_name": written, "user.name": "SECRET"}
    )
    assert filled.html == escape(written)
    assert filled.subject == " ".join(written.split())


def test_only_an_administrator_shares_and_nobody_uses_anothers_template() -> None:
    user, other, admin = UserFactory(), UserFactory(), UserFactory(is_staff=True)
    with pytest.raises(NotAllowed):
        services.save_template(user=user, fields=TemplateFields("A", is_shared=True))
    mine = services.save_template(user=user, fields=TemplateFields("Mine"))
    shared = services.save_template(user=admin, fields=TemplateFields("Shared", is_shared=True))
    assert list(queries.templates(other)) == [shared]
    for act in (
        lambda: services.fill_template(user=other, template=mine),
        lambda: services.delete_template(user=other, template=mine),
        lambda: services.save_template(user=other, template=shared, fields=TemplateFields("x")),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_the_command_stops_and_starts_all_sending() -> None:
    out = io.StringIO()
    call_command("sending", "stop", "--reason", "maintenance", stdout=out)
    assert "stopped" in out.getvalue() and "maintenance" in out.getvalue()
    call_command("sending", "start", stdout=out)
    assert out.getvalue().endswith("Mail may leave.\n")
