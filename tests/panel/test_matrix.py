"""Every address × every role × GET and POST gives what `matrix.py` says; an address without a row fails."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.urls import URLResolver, get_resolver, reverse

from tests.panel.admin_matrix import ADMIN_ROWS
from tests.panel.matrix import ROLES, ROWS
from tests.panel.world import SECRET, World, make_world

pytestmark = pytest.mark.django_db

READERS = ("owner", "see", "send", "set_up")
LOGIN = ("/accounts/login/", "/admin/login/")


def addresses(
    resolver: URLResolver | None = None, spaces: tuple[str, ...] = (), route: str = "/"
) -> Iterator[tuple[str, str]]:
    """The name (with its namespace; the whole route where it has none) and the route of every address of the project."""
    for entry in (resolver or get_resolver()).url_patterns:
        whole = route + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, (*spaces, entry.namespace) if entry.namespace else spaces, whole)
        else:
            yield ":".join([*spaces, entry.name or whole]), whole


def letter(response: Any) -> str:
    """The outcome as one letter of the table."""
    code = response.status_code
    if code in (301, 302):
        target = response.headers["Location"]
        if "reauthenticate" in target:
            return "x"
        return "l" if target.startswith(LOGIN) else "r"
    return {200: "o", 204: "o", 400: "b", 422: "b", 403: "f", 404: "n", 405: "m", 410: "g", 503: "s"}.get(
        code, f"[{code}]"
    )


def knock(world: World, role: str, method: str, url: str) -> tuple[Any, str]:
    """One request, whatever it changed taken back."""
    client = world.clients[role]
    client.raise_request_exception = False
    cookies = copy.deepcopy(client.cookies)
    try:
        with transaction.atomic():
            response = getattr(client, method)(url)
            body = b"".join(response.streaming_content) if response.streaming else response.content
            raise _Undo
    except _Undo:
        client.cookies = cookies
    return response, body.decode("utf-8", "replace")


class _Undo(Exception):
    pass


@pytest.fixture
def world() -> World:
    """Everything once."""
    return make_world()


def test_every_address_has_a_row() -> None:
    named = {name for name, _ in addresses() if not name.startswith("admin:")}
    assert named - set(ROWS) == set(), "add rows to tests/panel/matrix.py"
    assert set(ROWS) - named == set(), "rows of addresses that are no more"


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_role_gets_what_the_table_says(name: str, world: World) -> None:
    wanted, get, post = ROWS[name]
    url = reverse(name, kwargs={key: world.names.get(value, value) for key, value in wanted.items()})
    told = {}
    for method in ("get", "post"):
        outcome = ""
        for role in ROLES:
            response, body = knock(world, role, method, url)
            outcome += letter(response)
            if role not in READERS:
                assert SECRET not in body, f"{role} was shown the mail at {url}"
        told[method] = outcome
    assert told == {"get": get, "post": post}


def test_every_address_of_the_administration_has_a_row() -> None:
    named = {name for name, _ in _administration()}
    assert named - set(ADMIN_ROWS) == set(), "add rows to tests/panel/admin_matrix.py"
    assert set(ADMIN_ROWS) - named == set(), "rows of addresses that are no more"


@pytest.mark.parametrize("role", ROLES)
def test_the_administration_opens_to_whom_the_table_says_and_shows_nobodys_mail(role: str, world: World) -> None:
    place = ROLES.index(role)
    told, wanted = {}, {}
    sessions = {client.session.session_key for client in world.clients.values() if client is not world.clients[role]}
    for name, route in _administration():
        url = _filled(route, name, world)
        for number, method in enumerate(("get", "post")):
            response, body = knock(world, role, method, url)
            told[f"{method} {name}"] = letter(response)
            wanted[f"{method} {name}"] = ADMIN_ROWS[name][number][place]
            assert SECRET not in body, f"{role} was shown the mail at {url}"
            assert sessions.isdisjoint(re.findall(r"[a-z0-9]{32}", body)), f"{role} could take a session at {url}"
    assert told == wanted


def _administration() -> list[tuple[str, str]]:
    return sorted((name, route) for name, route in addresses() if name.startswith("admin:"))


def _filled(route: str, name: str, world: World) -> str:
    """The address with an object that exists, of the model that it tells."""
    values = {"app_label": "providers", "url": "nowhere", "content_type_id": "1"}
    model = next((one for one in apps.get_models() if f"/{one._meta.app_label}/{one._meta.model_name}/" in route), None)
    first = model._default_manager.order_by("pk").first() if model else None
    assert first or "object_id" not in route or name == "admin:view_on_site", f"make one for {name} in world.py"
    pk = str(first.pk if first else world.account.pk)
    route = re.sub(r"\^?\(\?P<(\w+)>[^()]*\)", r"<\1>", route).replace("$", "")
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda one: values.get(one[1], pk), route)
