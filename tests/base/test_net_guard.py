"""Whatever a person or a document names, the guard reaches only public mail servers and what the operator allowed."""

import ipaddress
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import net
from base.net_addresses import ascii_host, is_public, parse_address

HIDDEN = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:0808:0808::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2606:4700::5efe:127.0.0.1",
    "2606:4700::200:5efe:10.0.0.1",
    "100::1",
    "5f00::1",
]
OPEN = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80e::2005", "64:ff9b::808:808", "::ffff:8.8.8.8"]


def resolving(monkeypatch, *addresses):
    """getaddrinfo answers these, and dialling is recorded instead of done."""
    dialled = []

    def look_up(host, port, *args, **kwargs):
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses
        ]

    def dial(address, timeout=None):
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(net.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(net.socket, "create_connection", dial)
    monkeypatch.setattr(net, "BLOCKED_PAUSE", 0)
    return dialled


@pytest.mark.parametrize("address", HIDDEN)
def test_an_address_that_is_not_public_is_never_dialled(monkeypatch, address):
    assert not is_public(ipaddress.ip_address(address))
    dialled = resolving(monkeypatch, address)
    with pytest.raises(net.ConnectionBlocked):
        net.open_connection(net.Target("mail.example.com", 993), security="ssl")
    assert dialled == []


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_dialled_on_a_mail_port(monkeypatch, address):
    assert is_public(parse_address(address))
    dialled = resolving(monkeypatch, address)
    with pytest.raises(net.Refused):
        net.open_connection(net.Target("mail.example.com", 993), security="ssl")
    assert [port for _, port in dialled] == [993]


@pytest.mark.parametrize("port", [22, 80, 110, 3306, 6379, 8080, 9200])
def test_other_ports_of_public_addresses_are_blocked(monkeypatch, port):
    dialled = resolving(monkeypatch, "8.8.8.8")
    with pytest.raises(net.ConnectionBlocked):
        net.dial(net.Target("mail.example.com", port))
    assert dialled == []


def test_one_inner_address_among_public_ones_blocks_the_name(monkeypatch):
    dialled = resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(net.ConnectionBlocked):
        net.dial(net.Target("rebinding.example.com", 993))
    assert dialled == []


def test_no_encryption_is_allowed_in_private_networks_only(monkeypatch):
    dialled = resolving(monkeypatch, "8.8.8.8")
    with pytest.raises(net.ConnectionBlocked):
        net.open_connection(net.Target("mail.example.com", 143, ("10.0.0.0/8",)), security="none")
    assert dialled == []
    dialled = resolving(monkeypatch, "10.4.4.4")
    with pytest.raises(net.Refused):
        net.open_connection(net.Target("mail.example.com", 50143, ("10.0.0.0/8",)), security="none")
    assert dialled == [("10.4.4.4", 50143)]


def test_a_private_network_opens_nothing_else_and_rubbish_opens_nothing(monkeypatch):
    resolving(monkeypatch, "192.168.1.1")
    for networks in (("10.0.0.0/8",), ("rubbish", ""), ("192.168.1.0/33",)):
        with pytest.raises(net.ConnectionBlocked):
            net.dial(net.Target("mail.example.com", 993, networks))


def test_the_name_is_resolved_once_and_the_checked_address_is_dialled(monkeypatch):
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    dialled = []
    monkeypatch.setattr(
        net.socket, "getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", (one, port)) for one in next(answers)]
    )

    def dial(address, timeout=None):
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(net.socket, "create_connection", dial)
    with pytest.raises(net.Refused):
        net.dial(net.Target("turns.example.com", 993))
    assert dialled == [("8.8.8.8", 993)]


def test_the_payloads_of_the_corpus_are_blocked(corpus, monkeypatch):
    monkeypatch.setattr(net, "BLOCKED_PAUSE", 0)
    monkeypatch.setattr(net.socket, "create_connection", lambda *_, **__: pytest.fail("dialled"))
    payloads = json.loads((corpus / "ssrf/roundcube/is_local_url.json").read_text())
    tried = 0
    for payload in payloads:
        if payload["local"]:
            host = urlsplit(payload["url"]).hostname
            with pytest.raises((net.ConnectionBlocked, net.UnknownHost, net.TimedOut)):
                net.dial(net.Target(host, 993, timeout=5))
            tried += 1
    assert tried >= 10


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "LOCALHOST."]
)
def test_other_ways_to_write_loopback_are_blocked(host, monkeypatch):
    monkeypatch.setattr(net, "BLOCKED_PAUSE", 0)
    with pytest.raises((net.ConnectionBlocked, net.UnknownHost)):
        net.dial(net.Target(host, 993, timeout=5))


def test_a_refusal_always_looks_the_same_and_takes_its_time(monkeypatch):
    texts, times = set(), []
    for address, port in (("127.0.0.1", 993), ("10.0.0.1", 22), ("8.8.8.8", 6379)):
        resolving(monkeypatch, address)
        monkeypatch.setattr(net, "BLOCKED_PAUSE", 0.2)
        started = time.monotonic()
        with pytest.raises(net.ConnectionBlocked) as caught:
            net.dial(net.Target("mail.example.com", port))
        times.append(time.monotonic() - started)
        texts.add(str(caught.value))
    assert len(texts) == 1
    assert all(0.2 <= took < 0.5 for took in times)


def test_a_resolver_that_hangs_is_left_behind(monkeypatch):
    monkeypatch.setattr(net.socket, "getaddrinfo", lambda *_, **__: time.sleep(2) or [])
    started = time.monotonic()
    with pytest.raises(net.TimedOut):
        net.dial(net.Target("slow.example.com", 993, timeout=0.2))
    assert time.monotonic() - started < 1


def test_an_unknown_host_is_said(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(net.socket, "getaddrinfo", fail)
    with pytest.raises(net.UnknownHost):
        net.dial(net.Target("nowhere.example.com", 993))


@pytest.mark.parametrize(
    ("given_host", "wire"),
    [
        ("Mail.Example.COM", "mail.example.com"),
        ("mail.example.com.", "mail.example.com"),
        ("müller.example", "xn--mller-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("почта.рф", "xn--80a1acny.xn--p1ai"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("a b.example", ""),
        ("a\r\nb.example", ""),
        ("user@host", ""),
        ("host:993", ""),
        ("http://host/", ""),
        ("-x.example", ""),
        ("fe80::1%eth0", ""),
        ("x" * 300, ""),
        ("", ""),
    ],
)
def test_a_host_is_written_as_dns_wants_it_or_refused(given_host, wire):
    assert ascii_host(given_host) == wire


@given(st.text(max_size=80))
def test_any_text_is_a_host_or_none(text):
    found = ascii_host(text)
    assert found.isascii() and not set(found) & set(" \r\n\0/@?#\\%")


@given(st.integers(0, 2**32 - 1))
def test_an_embedded_address_is_never_more_public_than_itself(number):
    inner = ipaddress.IPv4Address(number)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96):
        assert is_public(ipaddress.IPv6Address(prefix | number)) == is_public(inner)
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))
