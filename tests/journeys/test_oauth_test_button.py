"""*Test* in the administration, against npm's oidc-provider as Google, as Microsoft (by msal, tenant included) and as itself."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.test import Client

from providers.applications import set_secret
from providers.models import OAuthApplication
from tests.factories import UserFactory
from tests.servers.oidc_server import CLIENTS, OidcServer

pytestmark = [pytest.mark.servers, pytest.mark.django_db]
ADMIN = "/admin/providers/oauthapplication/"
KNOWN = "The service knows this application and its secret."
REFUSED = "The service refuses the client id or the secret."
NOT_THERE = "What answers there is no sign-in server of this address."
SILENT = "The sign-in server cannot be reached."


@pytest.fixture(params=["google", "microsoft", "post", "microsoft-service"])
def application(request: Any, settings: Any, oidc: OidcServer) -> OAuthApplication:
    """Each as an administrator types it in."""
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    is_service = request.param == "microsoft-service"
    name = "microsoft" if is_service else request.param
    kind = name if name in ("google", "microsoft") else "oidc"
    made = OAuthApplication(
        key=request.param, name="Ours", kind=kind, client_id=request.param if is_service else CLIENTS[name],
        issuer=oidc.issuer(name), tenant="tenant-1" if kind == "microsoft" else "", is_app_only=is_service,
        mail_scopes="mail" if kind == "oidc" else "", ca_bundle=oidc.authority.pem, domains="nordlys.example",
    )  # fmt: skip
    set_secret(made, f"{made.client_id}-secret-6c1f")
    made.save()
    return made


@pytest.fixture
def said(client: Client, application: OAuthApplication) -> Any:
    """Change the row, press *Test*; the sentence."""
    client.force_login(UserFactory(is_staff=True, is_superuser=True, is_mail_administrator=True))

    def press(*, secret: str = "", **changed: str) -> str:
        for name, value in changed.items():
            setattr(application, name, value)
        if secret:
            set_secret(application, secret)
        application.save()
        page = client.post(f"{ADMIN}{application.pk}/test/", follow=True)
        sentence = str(next(iter(page.context["messages"])))
        assert sentence in html.unescape(page.content.decode())
        assert OAuthApplication.objects.get().tested_at is not None
        return sentence

    return press


def test_a_right_registration_is_known(said: Any) -> None:
    assert said() == KNOWN
    assert OAuthApplication.objects.get().test_problem == ""


def test_a_wrong_secret_and_an_unknown_application_are_told(said: Any, application: OAuthApplication) -> None:
    assert said(secret="over-since-today") == REFUSED
    assert said(secret=f"{application.client_id}-secret-6c1f", client_id="somebody-elses") == REFUSED


def test_a_wrong_place_is_told_from_a_wrong_secret(said: Any, application: OAuthApplication) -> None:
    if application.kind == "microsoft":
        assert said(tenant="tenant-of-nobody") == NOT_THERE
    else:
        assert said(issuer=f"{application.issuer}-of-nobody") == NOT_THERE


def test_a_service_that_is_down_a_place_that_is_not_allowed_and_a_strange_certificate_are_told(
    said: Any, oidc: OidcServer, settings: Any
) -> None:
    oidc.control(down=1)
    try:
        assert said() == SILENT
    finally:
        oidc.control(down=0)
    settings.PRIVATE_NETWORKS = ()
    assert said() == "This server address is not allowed (see PRIVATE_NETWORKS)."
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")
    assert said(ca_bundle="") == "The sign-in server's certificate is not trusted."
