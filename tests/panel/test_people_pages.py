"""Contacts, companies and the context column as owner, colleague, stranger and nobody."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from contacts.models import Company, Contact
from linking.models import MessageLink
from linking.services import link_messages
from mail.models import Message
from tests.factories import CompanyFactory, ContactFactory, EmailAccountFactory, ShareFactory, UserFactory
from tests.linking.letters import letter

pytestmark = pytest.mark.django_db


@dataclass
class Scene:
    """A mail of Inês to the owner's mailbox, which a colleague may see and a stranger may not."""

    owner: User
    colleague: User
    stranger: User
    ines: Contact
    azulejos: Company
    mail: Message


@pytest.fixture
def scene() -> Scene:
    account = EmailAccountFactory(address="me@mail.example")
    colleague = ShareFactory(email_account=account).user
    azulejos = CompanyFactory(name="Casa Azulejos", domain="azulejos.example")
    ines = ContactFactory(first_name="Inês", last_name="Figueiredo", company=azulejos, address="ines@azulejos.example")
    mail = letter("ines@azulejos.example", to=["me@mail.example"], subject="Secret lanterns", email_account=account)
    link_messages([mail.pk])
    return Scene(account.owner, colleague, UserFactory(), ines, azulejos, mail)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: User, url: str, **headers: str) -> str:
    response = signed_in(user).get(url, headers=headers)
    assert response.status_code == 200, url
    return response.content.decode()


def pages_of(scene: Scene) -> list[str]:
    return [
        reverse("panel:contact", args=[scene.ines.pk]),
        reverse("panel:company", args=[scene.azulejos.pk]),
    ]


def test_the_owner_and_a_colleague_see_the_mail_on_the_pages_of_its_people(scene: Scene) -> None:
    for user in (scene.owner, scene.colleague):
        for url in pages_of(scene):
            assert "Secret lanterns" in page(user, url)


def test_a_stranger_sees_the_card_but_neither_the_mail_nor_that_there_is_one(scene: Scene) -> None:
    for url in pages_of(scene):
        shown = page(scene.stranger, url)
        assert "Casa Azulejos" in shown
        assert "Secret lanterns" not in shown
        assert "Mail you may see" not in shown
    row = page(scene.stranger, reverse("panel:contacts"))
    assert "Inês Figueiredo" in row
    assert "<time" not in row


def test_an_administrator_reads_nobodys_mail_here_either(scene: Scene) -> None:
    administrator = UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True)
    for url in pages_of(scene):
        assert "Secret lanterns" not in page(administrator, url)
    client = signed_in(administrator)
    assert client.get(reverse("panel:context", args=[scene.mail.thread_id])).status_code == 404


def test_a_stranger_gets_no_context_column_and_cannot_link_or_undo(scene: Scene) -> None:
    client = signed_in(scene.stranger)
    links_url = reverse("panel:thread_links", args=[scene.mail.thread_id])
    assert client.get(reverse("panel:context", args=[scene.mail.thread_id])).status_code == 404
    assert client.get(links_url).status_code == 404
    answer = client.post(links_url, {"record": f"contact:{scene.ines.pk}", "act": "undo"})
    assert answer.status_code == 404
    assert not MessageLink.objects.filter(is_rejected=True).exists()


def test_anonymous_people_are_sent_to_sign_in(scene: Scene) -> None:
    names = [
        "contacts",
        "contact_new",
        "contacts_import",
        "contacts_export",
        "companies",
        "company_new",
        "company_names",
    ]
    urls = [reverse(f"panel:{name}") for name in names] + pages_of(scene)
    for name in ("contact_edit", "contact_merge", "contact_delete"):
        urls.append(reverse(f"panel:{name}", args=[scene.ines.pk]))
    for name in ("company_edit", "company_merge", "company_delete"):
        urls.append(reverse(f"panel:{name}", args=[scene.azulejos.pk]))
    for name in ("context", "thread_links"):
        urls.append(reverse(f"panel:{name}", args=[scene.mail.thread_id]))
    for url in urls:
        for answer in (Client().get(url), Client().post(url)):
            assert answer.status_code == 302, url
            assert reverse("account_login") in answer["Location"]


def test_a_mail_in_two_visible_mailboxes_shows_and_counts_once(scene: Scene) -> None:
    second = EmailAccountFactory(owner=scene.owner)
    Message.objects.filter(pk=scene.mail.pk).update(message_id_hash=7)
    copy = letter("ines@azulejos.example", subject="Secret lanterns", email_account=second, message_id_hash=7)
    link_messages([copy.pk])
    shown = page(scene.owner, pages_of(scene)[0])
    assert shown.count("Secret lanterns") == 1
    assert "<dt>Mails</dt><dd>1</dd>" in shown


def test_the_context_column_says_who_it_is_and_why_each_link_was_made(scene: Scene) -> None:
    shown = page(scene.owner, reverse("panel:context", args=[scene.mail.thread_id]), **{"HX-Request": "true"})
    assert "<html" not in shown
    assert "The address is in this contact’s card" in shown
    assert "Inês Figueiredo works there" in shown
    assert "<html" in page(scene.owner, reverse("panel:context", args=[scene.mail.thread_id]))


def test_undo_strikes_a_link_and_it_can_be_taken_back(scene: Scene) -> None:
    client = signed_in(scene.colleague)
    url = reverse("panel:thread_links", args=[scene.mail.thread_id])
    record = {"record": f"company:{scene.azulejos.pk}"}
    shown = client.post(url, record | {"act": "undo"}, headers={"HX-Request": "true"}).content.decode()
    assert '<s class="clip" dir="auto">Casa Azulejos</s>' in shown
    assert "it will not come back by itself" in shown
    assert "Secret lanterns" not in page(scene.owner, pages_of(scene)[1])
    client.post(url, record | {"act": "restore"})
    assert "Secret lanterns" in page(scene.owner, pages_of(scene)[1])


def test_a_thread_is_linked_by_hand_to_a_record_that_was_searched(scene: Scene) -> None:
    other = CompanyFactory(name="Nordlys AS")
    client = signed_in(scene.owner)
    url = reverse("panel:thread_links", args=[scene.mail.thread_id])
    found = client.get(url, {"q": "nordlys", "rows": "1"}, headers={"HX-Request": "true"}).content.decode()
    assert f'value="company:{other.pk}"' in found
    shown = client.post(url, {"record": f"company:{other.pk}"}, headers={"HX-Request": "true"}).content.decode()
    assert f"Linked by hand by {scene.owner.name}" in shown
    for nonsense in ("", "company:", "company:999999", "thread:1", "contact:x"):
        assert client.post(url, {"record": nonsense}).status_code == 404


def test_an_unknown_sender_is_offered_as_a_contact_with_the_form_filled(scene: Scene) -> None:
    mail = letter("ben@azulejos.example", from_name="Ferreira, Ben", email_account=scene.mail.email_account)
    shown = page(scene.owner, reverse("panel:context", args=[mail.thread_id]), **{"HX-Request": "true"})
    assert "Not a contact" in shown
    link = "/contacts/new/?address=ben%40azulejos.example&amp;name=Ferreira%2C%20Ben"
    assert link in shown
    form = page(scene.owner, link.replace("&amp;", "&"))
    for value in ("Ben", "Ferreira", "Casa Azulejos"):
        assert f'value="{value}"' in form
    assert ">ben@azulejos.example</textarea>" in form


def test_a_hostile_name_and_subject_are_text_everywhere(scene: Scene) -> None:
    evil = "<script>alert(1)</script>"
    mail = letter("x@azulejos.example", from_name=evil, subject=evil, email_account=scene.mail.email_account)
    link_messages([mail.pk])
    Company.objects.update(name=f"{evil} AS")
    urls = [*pages_of(scene), reverse("panel:contacts"), reverse("panel:companies")]
    urls += [reverse("panel:context", args=[mail.thread_id]), f"/contacts/new/?address=x@y.example&name={evil}"]
    for url in urls:
        assert "<script>alert" not in page(scene.owner, url), url


def test_adding_an_address_to_a_card_links_the_mail_of_the_past_and_removing_it_unlinks(scene: Scene) -> None:
    old = letter("ines.private@correio.example", email_account=scene.mail.email_account)
    client = signed_in(scene.owner)
    url = reverse("panel:contact_edit", args=[scene.ines.pk])
    card = {"first_name": "Inês", "last_name": "Figueiredo", "company": "Casa Azulejos"}
    both = "ines@azulejos.example\nInes.Private@Correio.example"
    assert client.post(url, card | {"addresses": both, "phones": "+351 22 555 0142"}).status_code == 302
    assert set(old.links.values_list("reason", flat=True)) == {"contact_address", "contact_company"}
    assert scene.ines.phones.get().number == "+351225550142"
    client.post(url, card | {"addresses": "ines@azulejos.example"})
    assert not old.links.exists()
    assert scene.mail.links.count() == 2
    assert not scene.ines.phones.exists()


def test_a_mistake_is_said_at_its_field_and_nothing_is_saved(scene: Scene) -> None:
    client = signed_in(scene.owner)
    other = ContactFactory(address="taken@x.example")
    answer = client.post(reverse("panel:contact_new"), {"first_name": "A", "addresses": "taken@x.example\nnonsense"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert f"taken@x.example is already in the card of {other}." in text
    assert "“nonsense” is not an email address." in text
    assert Contact.objects.count() == 2
    assert "Give a name" in client.post(reverse("panel:contact_new"), {}).content.decode()


def test_a_company_refuses_a_taken_domain_a_script_as_website_and_a_suffix_as_domain(scene: Scene) -> None:
    client = signed_in(scene.owner)
    data = {"name": "New", "domains": "azulejos.example\nco.uk", "website": "javascript:alert(1)"}
    text = client.post(reverse("panel:company_new"), data).content.decode()
    assert "azulejos.example already belongs to Casa Azulejos." in text
    assert "“co.uk” is not a mail domain." in text
    assert "is not a web address" in text
    assert Company.objects.count() == 1


def test_a_new_contact_makes_its_company_and_gives_it_the_offered_domain(scene: Scene) -> None:
    old = letter("someone.else@newco.example", email_account=scene.mail.email_account)
    client = signed_in(scene.owner)
    form = client.get(reverse("panel:contact_new"), {"address": "a@newco.example"}).content.decode()
    assert "A new company gets the domain newco.example" in form
    data = {"addresses": "a@newco.example", "company": "Newco", "company_domain": "newco.example", "takes_domain": "on"}
    assert client.post(reverse("panel:contact_new"), data).status_code == 302
    assert old.links.get().company == Company.objects.get(name="Newco")


def test_a_domain_added_to_a_company_links_the_mail_of_the_past_and_removing_it_unlinks(scene: Scene) -> None:
    old = letter("x@sub.other.example", email_account=scene.mail.email_account)
    client = signed_in(scene.owner)
    url = reverse("panel:company_edit", args=[scene.azulejos.pk])
    client.post(url, {"name": "Casa Azulejos", "domains": "azulejos.example\nother.example"})
    assert old.links.get().evidence["domain"] == "other.example"
    client.post(url, {"name": "Casa Azulejos", "domains": "azulejos.example"})
    assert not old.links.exists()


def test_merging_contacts_says_what_happens_and_loses_nothing(scene: Scene) -> None:
    double = ContactFactory(first_name="Ines", last_name="F", address="ines@correio.example", notes="Likes tiles")
    mail = letter("ines@correio.example", email_account=scene.mail.email_account)
    link_messages([mail.pk])
    client = signed_in(scene.owner)
    url = reverse("panel:contact_merge", args=[scene.ines.pk])
    assert f"other={double.pk}" in client.get(url, {"q": "ines"}).content.decode()
    assert "ines@correio.example" in client.get(url, {"other": double.pk}).content.decode()
    assert Contact.objects.filter(pk=double.pk).exists(), "a GET changes nothing"
    client.post(url, {"other": double.pk})
    scene.ines.refresh_from_db()
    assert not Contact.objects.filter(pk=double.pk).exists()
    assert {row.address for row in scene.ines.addresses.all()} == {"ines@azulejos.example", "ines@correio.example"}
    assert scene.ines.notes == "Likes tiles"
    assert mail.links.filter(contact=scene.ines).exists()
    assert mail.links.filter(company=scene.azulejos).exists(), "the mail is now about her company too"
    client.post(url, {"other": scene.ines.pk})
    assert Contact.objects.filter(pk=scene.ines.pk).exists()


def test_merging_companies_moves_people_domains_and_links(scene: Scene) -> None:
    double = CompanyFactory(name="Azulejos Lda", domain="azulejos-lda.example")
    person = ContactFactory(company=double)
    mail = letter("x@azulejos-lda.example", email_account=scene.mail.email_account)
    link_messages([mail.pk])
    signed_in(scene.owner).post(reverse("panel:company_merge", args=[scene.azulejos.pk]), {"other": double.pk})
    person.refresh_from_db()
    assert person.company == scene.azulejos
    assert mail.links.get().company == scene.azulejos
    assert scene.azulejos.domains.count() == 2


def test_deleting_asks_first_and_keeps_the_mail(scene: Scene) -> None:
    client = signed_in(scene.owner)
    for name, record in (("contact_delete", scene.ines), ("company_delete", scene.azulejos)):
        url = reverse(f"panel:{name}", args=[record.pk])
        assert "cannot be undone" in client.get(url).content.decode()
        assert type(record).objects.filter(pk=record.pk).exists()
        assert client.post(url).status_code == 302
        assert not type(record).objects.filter(pk=record.pk).exists()
    assert Message.objects.filter(pk=scene.mail.pk).exists()


def test_search_sort_and_pages_of_the_lists(scene: Scene) -> None:
    for number in range(60):
        ContactFactory(first_name="Many", last_name=f"P{number:02}", address=f"p{number}@many.example")
    assert "Inês" in page(scene.owner, "/contacts/?q=azulejos+inês")
    assert "Many" not in page(scene.owner, "/contacts/?q=ines@azu")
    assert "P59" in page(scene.owner, "/contacts/?page=2")
    for sort in ("name", "company", "added", "nonsense"):
        page(scene.owner, f"/contacts/?sort={sort}&page=99999")
    for sort in ("name", "people", "added"):
        assert "Casa Azulejos" in page(scene.owner, f"/companies/?sort={sort}")
    assert "<html" not in page(scene.owner, "/contacts/?rows=1&q=many", **{"HX-Request": "true"})


def test_the_timeline_turns_its_page(scene: Scene) -> None:
    for number in range(45):
        mail = letter("ines@azulejos.example", subject=f"Mail {number:02}", email_account=scene.mail.email_account)
        link_messages([mail.pk])
    client, url = signed_in(scene.owner), pages_of(scene)[0]
    first = client.get(url)
    before = first.context["timeline"].before
    second = client.get(url, {"before": before}, headers={"HX-Request": "true"}).content.decode()
    assert "Secret lanterns" in second and "Mail 44" not in second
    assert "<html" not in second
    for nonsense in ("x", "1.", "99999999999999999999999.1", "²³.¹"):
        assert client.get(url, {"before": nonsense}).status_code == 200


def test_a_list_page_costs_the_same_queries_whatever_it_shows(scene: Scene) -> None:
    client = signed_in(scene.owner)
    client.get(reverse("panel:contacts"))
    counts = []
    for more in (2, 30):
        for _number in range(more):
            ContactFactory(company=scene.azulejos, address=f"q{Contact.objects.count()}@many.example")
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("panel:contacts"))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_file_is_previewed_then_imported_and_its_token_is_worth_nothing_to_others(scene: Scene) -> None:
    client = signed_in(scene.owner)
    url = reverse("panel:contacts_import")
    text = b"first_name,last_name,email\nZoe,New,zoe@new.example\nBad,Row,nonsense\n"
    preview = client.post(url, {"file": SimpleUploadedFile("people.csv", text)})
    shown = preview.content.decode()
    assert "zoe@new.example" in shown and "Line 3, not imported:" in shown
    assert Contact.objects.count() == 1, "a preview imports nothing"
    token = preview.context["token"]
    assert "Nothing was imported" in signed_in(scene.stranger).post(url, {"token": token}).content.decode()
    assert "Nothing was imported" in client.post(url, {"token": token + "x"}).content.decode()
    assert Contact.objects.count() == 1
    client.post(url, {"token": token})
    assert Contact.objects.filter(last_name="New").count() == 1
    assert "Nothing was imported" in client.post(url, {"token": token}).content.decode()
    assert "first line must name" in client.post(url, {"file": SimpleUploadedFile("x.csv", b"a,b\n")}).content.decode()
    assert client.post(url, {}).status_code == 200


def test_an_export_holds_every_contact_and_disarms_formulas(scene: Scene) -> None:
    ContactFactory(first_name="=1+1", last_name="Formula")
    answer = signed_in(scene.stranger).get(reverse("panel:contacts_export"))
    text = b"".join(answer).decode("utf-8-sig")
    assert "Inês,Figueiredo,ines@azulejos.example,,,Casa Azulejos,azulejos.example" in text
    assert "'=1+1,Formula" in text


def test_a_page_of_somebody_who_is_not_there_is_not_found(scene: Scene) -> None:
    client = signed_in(scene.owner)
    for name in ("contact", "contact_edit", "contact_merge", "contact_delete"):
        for number in (10**6, 10**20):
            assert client.get(reverse(f"panel:{name}", args=[number])).status_code == 404
    for name in ("company", "company_edit", "company_merge", "company_delete", "context", "thread_links"):
        for number in (10**6, 10**20):
            assert client.get(reverse(f"panel:{name}", args=[number])).status_code == 404


def test_deleting_a_contact_takes_the_links_to_its_company_that_rest_on_it(scene: Scene) -> None:
    scene.azulejos.domains.all().delete()
    signed_in(scene.owner).post(reverse("panel:contact_delete", args=[scene.ines.pk]))
    assert not scene.mail.links.exists()
