"""What Microsoft does and npm's oidc-provider does not: it may refuse a made-up token before it looks at the secret."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.oauth.errors import AnswerForged, ApplicationRefused
from drivers.oauth.flow import Application, ServiceKind
from drivers.oauth.microsoft import MicrosoftService
from drivers.oauth.wire import Endpoints

HOST = "https://login.microsoftonline.com"
REFUSED = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
NO_RIGHT = {"error": "invalid_resource", "error_description": "AADSTS500011: The resource principal was not found."}


class FakeMsal:
    """msal's client as Entra lets it look."""

    def __init__(self, own: dict[str, Any]) -> None:
        self.own = own

    def acquire_token_by_refresh_token(self, _token: str, _scopes: list[str]) -> dict[str, Any]:
        return {"error": "invalid_grant", "error_description": "AADSTS9002313: Invalid request. Request is malformed."}

    def acquire_token_for_client(self, _scopes: list[str]) -> dict[str, Any]:
        return self.own


def service(tenant: str, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any] | None = None) -> MicrosoftService:
    made = MicrosoftService(Application(ServiceKind.MICROSOFT, "id", "secret", tenant=tenant))
    monkeypatch.setattr(made, "_client", lambda: FakeMsal(own or {}))
    endpoints = Endpoints(f"{HOST}/{tenant}/v2.0", "https://a", "https://t", says_issuer=True)
    monkeypatch.setattr(made, "_endpoints", lambda **_more: endpoints)
    return made


def test_a_wrong_secret_is_noticed_although_the_made_up_token_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApplicationRefused):
        service("0f3a", monkeypatch, REFUSED).check()
    for own in ({"access_token": "a", "expires_in": 3600}, NO_RIGHT):  # the secret is right; rights are another matter
        assert service("0f3a", monkeypatch, own).check() == f"{HOST}/0f3a/v2.0"
    assert service("common", monkeypatch, REFUSED).check()  # no directory to ask for a token of its own


@pytest.mark.parametrize(
    ("tenant", "said", "is_right"),
    [
        ("0f3a", f"{HOST}/0f3a/v2.0", True), ("0f3a", f"{HOST}/other/v2.0", False), ("0f3a", "", False),
        ("common", f"{HOST}/any/v2.0", True), ("common", "", True), ("common", "https://attacker.example/any/v2.0", False),
        ("common", f"{HOST}.attacker.example/any/v2.0", False),
    ],
)  # fmt: skip
def test_an_answer_that_names_another_sender_is_refused_before_its_code_is_used(
    tenant: str, said: str, is_right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = service(tenant, monkeypatch)
    if is_right:
        made._check_sender(said)
        return
    with pytest.raises(AnswerForged):
        made._check_sender(said)
