"""Every address × every role × GET and POST gives what `matrix.py` says; an address without a row fails."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from mail.models import Message
from tests.panel.matrix import ROLES, ROWS
from tests.panel.world import SECRET, World, make_world

pytestmark = pytest.mark.django_db

READERS = ("owner", "see", "send", "set_up")
LOGIN = ("/accounts/login/", "/admin/login/")


def addresses(resolver: URLResolver | None = None, spaces: tuple[str, ...] = ()) -> Iterator[tuple[str, URLPattern]]:
    """Every named address of the project with its namespace."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from addresses(entry, (*spaces, entry.namespace) if entry.namespace else spaces)
        else:
            yield ":".join([*spaces, entry.name or str(entry.pattern)]), entry


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


@pytest.mark.parametrize("role", ["owner", "set_up", "stranger", "anonymous"])
def test_the_administration_is_closed_to_others(role: str, world: World) -> None:
    for _name, url in _admin_addresses():
        response, body = knock(world, role, "get", url)
        assert letter(response) in ("l", "n", "f", "r", "m"), url
        assert SECRET not in body


@pytest.mark.parametrize("role", ["administrator", "mail_administrator"])
def test_the_administration_shows_nobodys_mail(role: str, world: World) -> None:
    for _name, url in _admin_addresses():
        response, body = knock(world, role, "get", url)
        assert response.status_code < 500, url
        assert SECRET not in body, url


def _admin_addresses() -> Iterator[tuple[str, str]]:
    message = Message.objects.get()
    for name, entry in addresses():
        if not name.startswith("admin:") or name == "admin:logout":
            continue
        converters = set(entry.pattern.converters) or set(entry.pattern.regex.groupindex)
        values = {"app_label": "auth", "url": "nowhere", "content_type_id": 1} if converters else {}
        values |= dict.fromkeys(converters - set(values), message.email_account_id)
        yield name, reverse(name, kwargs={key: values[key] for key in converters})
