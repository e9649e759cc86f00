"""Autodiscover: who is asked, with and without a secret, and what is believed."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import net
from drivers import errors
from drivers.ews import autodiscover
from drivers.ews.driver import EwsDriver
from drivers.types import Security, ServerAddress
from tests.servers.ews import EwsServer

HOST = "autodiscover.hafen.de"
ADDRESS = "anna@hafen.de"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name leads to loopback; which were asked for."""
    names: list[str] = []

    def resolve(host: str, port: int, timeout: float) -> list[Any]:
        names.append(host)
        return [ipaddress.ip_address("127.0.0.1")]

    monkeypatch.setattr(net, "resolve", resolve)
    return names


@pytest.fixture
def server(asked: list[str]) -> Iterator[EwsServer]:
    with EwsServer(address=ADDRESS, tls=True, name=HOST) as running:
        yield running


def door(server: EwsServer) -> ServerAddress:
    pem = server.authority.pem if server.authority else ""
    return ServerAddress("", server.port, Security.SSL, pem, ("127.0.0.0/8",), 5.0)


def says(url: object) -> tuple[int, bytes, dict[str, list[str]]]:
    return 200, json.dumps({"Protocol": "EWS", "Url": url}).encode(), {}


def test_the_json_answer_names_the_service_and_no_secret_is_sent(server: EwsServer, asked: list[str]) -> None:
    server.json_answer = says("https://mail.hafen.de/EWS/Exchange.asmx")
    found = autodiscover.find_service(ADDRESS, door(server))
    assert found == autodiscover.Found("https://mail.hafen.de/EWS/Exchange.asmx", HOST)
    assert found.host == "mail.hafen.de" and not found.is_online
    assert {who for _path, who in server.discoveries} == {""} and set(asked) == {HOST}


def test_exchange_online_is_recognised(server: EwsServer) -> None:
    server.json_answer = says("https://outlook.office365.com/EWS/Exchange.asmx")
    found = autodiscover.find_service(ADDRESS, door(server))
    assert found is not None and found.is_online


@pytest.mark.parametrize("url", ["http://mail.hafen.de/EWS/Exchange.asmx", "ftp://x", "", None, 7, "https://"])
def test_only_https_is_believed(server: EwsServer, url: object) -> None:
    server.json_answer = says(url)
    assert autodiscover.find_service(ADDRESS, door(server)) is None


def test_nobody_but_the_domain_itself_is_asked(server: EwsServer, asked: list[str]) -> None:
    server.json_answer = None
    assert autodiscover.find_service("anna@post.hafen.de", door(server)) is None
    assert set(asked) == {"autodiscover.post.hafen.de", "post.hafen.de"}
    asked.clear()
    for address in ("anna@de", "anna@co.uk", "anna@", "anna"):
        assert autodiscover.find_service(address, door(server)) is None
    assert asked == []


def test_a_redirect_to_itself_ends(server: EwsServer) -> None:
    server.json_answer = (302, b"", {"Location": ["/autodiscover/autodiscover.json/v1.0/again"]})
    assert autodiscover.find_service(ADDRESS, door(server)) is None
    assert len(server.discoveries) <= 2 * (autodiscover.MAX_REDIRECTS + 1)


@pytest.mark.parametrize("knows_soap", [True, False])
@pytest.mark.parametrize("scheme", ["basic", "ntlm"])
def test_a_confirmed_host_is_asked_with_the_secret(server: EwsServer, knows_soap: bool, scheme: str) -> None:
    server.knows_soap, server.schemes = knows_soap, [scheme]
    url = server.url.replace("/EWS/Exchange.asmx", "/autodiscover/autodiscover.xml")
    with EwsDriver(server.server_address(url=url), server.login()) as driver:
        assert driver.list_folders()
    assert {who for _path, who in server.discoveries} == {ADDRESS}


def test_the_secret_never_goes_to_the_host_that_an_answer_names(server: EwsServer, asked: list[str]) -> None:
    server.elsewhere = "https://thief.example.net/EWS/Exchange.asmx"
    url = server.url.replace("/EWS/Exchange.asmx", "/autodiscover/autodiscover.xml")
    with pytest.raises(errors.ExchangeElsewhere) as caught:
        EwsDriver(server.server_address(url=url), server.login()).open()
    assert caught.value.host == "thief.example.net"
    assert set(asked) == {HOST} and server.calls == []


def test_a_wrong_password_is_said_by_autodiscover_too(server: EwsServer) -> None:
    url = server.url.replace("/EWS/Exchange.asmx", "/autodiscover/autodiscover.xml")
    with pytest.raises(errors.AuthenticationFailed):
        EwsDriver(server.server_address(url=url), server.login("wrong")).open()


def test_a_host_without_a_valid_certificate_is_passed_over(server: EwsServer) -> None:
    server.json_answer = says("https://mail.hafen.de/EWS/Exchange.asmx")
    assert autodiscover.find_service(ADDRESS, replace(door(server), ca_bundle="")) is None


REDIRECT = (
    b'<Autodiscover xmlns="a"><Response xmlns="b"><Account><Action>redirectAddr</Action>'
    b"<RedirectAddr>anna@other.example</RedirectAddr></Account></Response></Autodiscover>"
)


def test_redirects_in_documents_are_told_not_followed() -> None:
    with pytest.raises(errors.ExchangeElsewhere) as caught:
        autodiscover.read_pox(REDIRECT)
    assert caught.value.host == "other.example"
    soap = (
        b"<a><ErrorCode>RedirectUrl</ErrorCode><RedirectTarget>https://x.example/autodiscover.svc</RedirectTarget></a>"
    )
    with pytest.raises(errors.ExchangeElsewhere) as caught:
        autodiscover.read_soap(soap)
    assert caught.value.host == "x.example"


def test_entities_and_rubbish_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "y">]><a><EwsUrl>&x;</EwsUrl></a>'
    for read in (autodiscover.read_pox, autodiscover.read_soap):
        for data in (bomb, b"", b"<a", b"\xff\xfe"):
            with pytest.raises(errors.ProtocolError):
                read(data)


@given(st.binary(max_size=200))
def test_no_document_breaks_the_readers(data: bytes) -> None:
    assert isinstance(autodiscover.read_json(data), str)
    for read in (autodiscover.read_pox, autodiscover.read_soap):
        with contextlib.suppress(errors.DriverError):
            assert isinstance(read(data), str)
