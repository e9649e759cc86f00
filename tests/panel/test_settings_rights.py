"""Each door of the settings and the wizard × each role × GET and POST."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts import services
from accounts.models import EmailAccount
from accounts.setup import ChosenServer
from accounts.shares import may
from panel.routes import pace as pace_routes
from panel.routes import settings as settings_routes
from panel.routes import wizard as wizard_routes
from tests.panel.wizard_roles import ROLES, House, build_house

pytestmark = pytest.mark.django_db

ADMINISTRATORS = {"mail_administrator", "administrator"}  # the administrator of this house is both
MAY_SHARE = {"owner"} | ADMINISTRATORS  # it is shared: mail administrators manage it
MAY_SET_UP = MAY_SHARE | {"set_up"}
MAY_READ = {"owner", "see", "send", "set_up"}
ACCOUNT_DOORS = {  # name → (roles that get in, methods)
    "email_account": (MAY_SET_UP, "get post"),
    "alias_add": (MAY_SET_UP, "post"),
    "alias_remove": (MAY_SET_UP, "post"),
    "answer_download": (MAY_SET_UP, "post"),
    "email_account_sync": (MAY_SET_UP, "post"),
    "email_account_folders": (MAY_SET_UP, "post"),
    "email_account_history": (MAY_SET_UP, "post"),
    "email_account_pace": (MAY_SET_UP, "post"),
    "email_account_pause": (MAY_SET_UP, "post"),
    "email_account_resume": (MAY_SET_UP, "post"),
    "email_account_remove": ({"owner"}, "get post"),
    "sharing": (MAY_SHARE, "post"),
    "sharing_remove": (MAY_SHARE, "post"),
    "sign_in_again": (MAY_SET_UP, "get post"),
    "why": (MAY_READ, "get"),
    "why_import": (set(), "post"),  # without the name of an email there is nothing to import for anybody
    "why_try_again": (MAY_READ, "post"),
}
RUN_DOORS = {  # of one run of the wizard: only its own user
    "wizard_service": "get post",
    "wizard_server": "get post",
    "wizard_password": "get post",
    "wizard_check": "get",
    "wizard_steps": "get",
    "wizard_retry": "post",
    "wizard_receive_only": "post",
    "wizard_sign_in": "post",
    "wizard_as_other": "post",
    "wizard_done": "get post",
}
OPEN_DOORS = {"new_email_account": "get post", "settings": "get post", "settings_look": "post"}  # to every user
PEOPLE_DOORS = {"settings_people": "get post", "invitation_withdraw": "post"}  # to (mail) administrators
SEEN_DOORS = {"why", "why_import", "why_try_again"}  # to those who may see its mail: tested in test_why
TOKEN_DOORS = {"invitation"}  # tested in test_invitation_pages
SERVICE_DOORS = {"oauth_callback", "wizard_as_application"}  # tested with the sign-in service


@pytest.fixture
def house() -> House:
    return build_house()


def knock(house: House, role: str, method: str, url: str) -> int:
    return getattr(house.clients[role], method)(url).status_code


def expect(status: int, role: str, method: str, *, is_in: bool, methods: str) -> None:
    if role == "anonymous":
        assert status == 302
    elif method not in methods.split():
        assert status == 405
    elif is_in:
        assert status in (200, 302)
    else:
        assert status in (403, 404)


def test_every_door_of_the_settings_and_the_wizard_has_a_row() -> None:
    names = {route.name for routes in (pace_routes, settings_routes, wizard_routes) for route in routes.urlpatterns}
    assert names == {*ACCOUNT_DOORS, *RUN_DOORS, *OPEN_DOORS, *PEOPLE_DOORS, *SEEN_DOORS, *TOKEN_DOORS, *SERVICE_DOORS}


@pytest.mark.parametrize("name", ACCOUNT_DOORS)
def test_the_settings_of_a_mailbox_open_for_those_who_may_set_it_up(house: House, name: str) -> None:
    roles, methods = ACCOUNT_DOORS[name]
    arguments = [house.account.pk, 0] if name in ("alias_remove", "sharing_remove") else [house.account.pk]
    url = reverse(f"panel:{name}", args=arguments)
    for role in reversed(ROLES):  # the owner last: what it does may close the door
        for method in ("get", "post"):
            expect(knock(house, role, method, url), role, method, is_in=role in roles, methods=methods)


@pytest.mark.parametrize("name", RUN_DOORS)
def test_a_run_of_the_wizard_is_its_users_own(house: House, name: str) -> None:
    owner = house.users["owner"]
    owner.is_mail_administrator = True
    owner.save()
    setup = services.start_setup(user=owner, address="kim@nordlys.example")
    services.use_servers(setup, (ChosenServer("imap", "imap.nordlys.example", 993),))
    url = reverse(f"panel:{name}", args=[setup.pk])
    for role in ROLES:
        for method in ("get", "post"):
            status = knock(house, role, method, url)
            if role == "owner" and name == "wizard_service" and method == "post":
                assert status == 404  # no provider was named
            else:
                expect(status, role, method, is_in=role == "owner", methods=RUN_DOORS[name])


def test_open_doors_and_those_of_people(house: House) -> None:
    for role in ROLES:
        for method in ("get", "post"):
            for name, methods in OPEN_DOORS.items():
                status = knock(house, role, method, reverse(f"panel:{name}"))
                expect(status, role, method, is_in=True, methods=methods)
            for name, methods in PEOPLE_DOORS.items():
                url = reverse(f"panel:{name}", args=[0] if name == "invitation_withdraw" else [])
                expect(knock(house, role, method, url), role, method, is_in=role in ADMINISTRATORS, methods=methods)


def test_only_those_who_manage_servers_may_add_one(house: House) -> None:
    setup = services.start_setup(user=house.users["stranger"], address="kim@nordlys.example")
    url = reverse("panel:wizard_server", args=[setup.pk])
    assert knock(house, "stranger", "get", url) == 403
    assert (
        "Add new server"
        not in house.clients["stranger"].get(reverse("panel:wizard_service", args=[setup.pk])).content.decode()
    )


def test_somebody_who_may_set_up_cannot_share_or_remove(house: House) -> None:
    client, account = house.clients["set_up"], house.account
    client.post(
        reverse("panel:sharing", args=[account.pk]), {"who": f"user:{house.users['stranger'].pk}", "level": "see"}
    )
    client.post(reverse("panel:email_account_remove", args=[account.pk]), {"act": "erase"})
    assert account.shares.count() == 3
    assert EmailAccount.objects.get().state == "active"


def _shares(house: House, role: str, who: str, level: str = "set_up") -> int:
    url = reverse("panel:sharing", args=[house.account.pk])
    return house.clients[role].post(url, {"who": who, "level": level}).status_code


def test_a_mail_administrator_shares_a_shared_mailbox_with_others_but_never_with_themselves(house: House) -> None:
    admin, stranger = house.users["mail_administrator"], house.users["stranger"]
    group = Group.objects.create(name="Night shift")
    admin.groups.add(group)
    _shares(house, "mail_administrator", f"user:{admin.pk}")
    _shares(house, "mail_administrator", f"group:{group.pk}")
    assert house.account.shares.count() == 3 and not may(admin, house.account, "see")
    page = house.clients["mail_administrator"].get(reverse("panel:email_account", args=[house.account.pk]))
    assert f'value="user:{admin.pk}"' not in page.content.decode()
    assert f'value="group:{group.pk}"' not in page.content.decode()
    assert f'value="user:{stranger.pk}"' in page.content.decode()
    _shares(house, "mail_administrator", f"user:{stranger.pk}", "see")
    assert may(stranger, house.account, "see")
    _shares(house, "owner", f"group:{group.pk}", "see")
    assert may(admin, house.account, "see"), "the owner may"


def test_a_mail_administrator_leaves_with_the_last_share_and_never_sees_what_is_not_shared(house: House) -> None:
    client = house.clients["mail_administrator"]
    page = reverse("panel:email_account", args=[house.account.pk])
    assert house.account.address in client.get(reverse("panel:settings")).content.decode()
    assert "Remove this email account" not in client.get(page).content.decode()
    for share in list(house.account.shares.all()):
        answer = client.post(reverse("panel:sharing_remove", args=[house.account.pk, share.pk]))
    assert answer.headers["Location"] == reverse("panel:settings")
    assert client.get(page).status_code == 404
    assert house.account.address not in client.get(reverse("panel:settings")).content.decode()
    assert _shares(house, "mail_administrator", f"user:{house.users['stranger'].pk}") == 404
