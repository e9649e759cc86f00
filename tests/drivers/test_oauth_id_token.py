"""An identity is believed only where it was made for this very sign-in: issuer, audience, nonce and time."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import ProtocolError
from drivers.oauth.errors import AnswerForged
from drivers.oauth.id_token import MAX_CHARS, address_in, check_claims, claims_of
from drivers.oauth.openid import tokens_of

RIGHT = {"issuer": "https://in.example", "client_id": "ours", "nonce": "n-1"}


def claims(**more: Any) -> dict[str, Any]:
    return {"iss": "https://in.example", "aud": "ours", "nonce": "n-1", "exp": time.time() + 600} | more


def spelled(body: Any, header: str = "e30") -> str:
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b'=').decode()}.x"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"}, {"iss": "https://in.example/"}, {"iss": None},
        {"aud": "theirs"}, {"aud": ["theirs"]}, {"aud": []}, {"aud": None}, {"aud": {"ours": 1}},
        {"aud": ["ours", "theirs"]}, {"aud": ["ours", "theirs"], "azp": "theirs"},
        {"nonce": "n-2"}, {"nonce": ""}, {"nonce": None}, {"nonce": ["n-1"]},
        {"exp": time.time() - 4000}, {"exp": "2999-01-01"}, {"exp": None},
    ],
)  # fmt: skip
def test_an_identity_made_for_another_sign_in_is_refused(wrong: dict[str, Any]) -> None:
    check_claims(claims(), **RIGHT)
    with pytest.raises(AnswerForged):
        check_claims(claims(**wrong), **RIGHT)


def test_several_audiences_are_right_where_it_was_given_to_us() -> None:
    check_claims(claims(aud=["theirs", "ours"], azp="ours"), **RIGHT)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "e30.!!!.x", "e30.W10.x", "e30." + "a" * MAX_CHARS + ".x"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(AnswerForged):
        claims_of(token)


def test_the_header_of_a_token_decides_nothing() -> None:
    """No algorithm of its choosing is used: the token came over checked TLS from the service's own token endpoint."""
    for algorithm in ("none", "HS256", "RS256"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "jwk": {"kty": "oct"}}).encode()).decode()
        assert claims_of(spelled(claims(), header))["iss"] == "https://in.example"


def test_an_address_that_is_not_verified_is_no_identity() -> None:
    assert address_in({"email": "Kim@Nordlys.example", "email_verified": True}) == "kim@nordlys.example"
    assert address_in({"email": "kim@nordlys.example", "email_verified": False}) == ""
    assert address_in({"email": "kim@nordlys.example", "email_verified": "false"}) == ""
    assert address_in({"preferred_username": "kim"}) == ""


@given(st.text(max_size=400))
def test_no_text_breaks_the_reading(text: str) -> None:
    with suppress(AnswerForged):
        assert isinstance(claims_of(text), dict)


@pytest.mark.parametrize("life", [float("nan"), float("inf"), "soon", None, [], 10**400, -5, "1e3", True])
def test_a_life_that_is_no_number_of_seconds_does_no_harm(life: Any) -> None:
    tokens = tokens_of({"access_token": "a", "expires_in": life, "refresh_token_expires_in": life}, needed=())
    assert 0 <= tokens.expires_in <= 3.2e8
    assert tokens.refresh_expires_in is None or 0 <= tokens.refresh_expires_in <= 3.2e8


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("iss", "aud", "azp", "exp", "nonce", "email", "email_verified"), json_values)
    )
)
def test_no_claims_break_the_check(found: dict[str, Any]) -> None:
    assert isinstance(address_in(found), str)
    with pytest.raises(AnswerForged):
        check_claims(found, **RIGHT)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("access_token", "refresh_token", "expires_in", "scope", "refresh_token_expires_in"), json_values
        ),
    )
)
def test_no_answer_of_a_token_endpoint_breaks_the_reading(answer: dict[str, Any]) -> None:
    try:
        tokens = tokens_of(answer, needed=())
    except ProtocolError:
        return
    assert tokens.access_token and 0 <= tokens.expires_in <= 3.2e8
