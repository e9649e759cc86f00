"""Addresses: one form for matching, no guess where two readings are possible, linear time."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.addresses import (
    MAX_ADDRESSES,
    clean_line,
    domain_of,
    is_valid,
    normalise_address,
    normalise_domain,
    parse_address_list,
    registrable_domain,
    split_address,
)
from base.lookalikes import address_in_name, has_bidi, has_mixed_scripts, show_plainly, shows_foreign_domain
from tests.conftest import CORPUS


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        (" ann@example.org. ", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("jörg@example.org", "jörg@example.org"),
        ('"ann"@example.org', "ann@example.org"),
        ('"ann b"@example.org', '"ann b"@example.org'),
        ("ann..b@example.org", "ann..b@example.org"),
        ("ann@localhost", "ann@localhost"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ],
)
def test_an_address_has_one_form(given_text: str, expected: str) -> None:
    assert normalise_address(given_text) == expected
    assert normalise_address(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "ann", "@", "ann@", "@example.org", "ann@@example.org", "ann@ex ample.org", "an n@example.org",
        "alice@example.org)bob@attacker.net", "alice@example.org,bob@attacker.net", "<ann@example.org>",
        "ann@example.org\r\nBcc: eve@example.net", "ann\x00@example.org", "ann@-example.org", "ann@exa_mple..org",
        "ann@" + "a" * 64 + ".org", "a" * 400 + "@example.org", "ann@" + "a." * 200 + "org", '"ann@example.org',
        "ann@[999", "ann@example.org>", "ann\ud800@example.org", 'a"b@example.org',
    ],
)  # fmt: skip
def test_what_is_not_exactly_one_address_is_none(text: str) -> None:
    assert normalise_address(text) == ""
    assert not is_valid(text)


def test_a_local_part_over_64_octets_is_matched_but_not_valid() -> None:
    text = "a" * 80 + "@example.org"
    assert normalise_address(text) == text
    assert not is_valid(text)
    assert split_address(text) == ("a" * 80, "example.org")
    assert domain_of("Ann@Example.org") == "example.org"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("ann@example.org", [("", "ann@example.org")]),
        ("Ann <ann@example.org>", [("Ann", "ann@example.org")]),
        ('"Doe, Ann" <ann@example.org>, bob@example.org', [("Doe, Ann", "ann@example.org"), ("", "bob@example.org")]),
        ("ann@example.org (Ann (A.) Example)", [("Ann (A.) Example", "ann@example.org")]),
        ("Team: ann@example.org, Bob <bob@example.org>;", [("", "ann@example.org"), ("Bob", "bob@example.org")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.example,@b.example:ann@example.org>", [("", "ann@example.org")]),
        ('"A \\"B\\" C" <ann@example.org>', [('A "B" C', "ann@example.org")]),
        ("Doe, Ann <ann@example.org>", [("Doe", ""), ("Ann", "ann@example.org")]),
        ("=?utf-8?Q?Doe,_Ann?= <ann@example.org>", [("=?utf-8?Q?Doe,_Ann?=", "ann@example.org")]),
        ("Ann <ann@example.org", [("Ann", "ann@example.org")]),
        ('"Broken <ann@example.org>', [("Broken", "ann@example.org")]),
        ("ann @ example . org", [("", "ann@example.org")]),
        ("mailto:ann@example.org", [("", "ann@example.org")]),
        ("a@example.org; b@example.org", [("", "a@example.org"), ("", "b@example.org")]),
        ("support@bank.example <eve@example.net>", [("support@bank.example", "eve@example.net")]),
        ("<>", []),
        (",,,", []),
    ],
)
def test_address_lists_are_read(header: str, expected: list[tuple[str, str]]) -> None:
    assert parse_address_list(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "alice@example.org)bob@attacker.net",
        "alice@example.org(comment)bob@attacker.net",
        "<alice@example.org>bob@attacker.net",
        "alice@example.org bob@attacker.net",
        "alice@example.org]bob@attacker.net",
    ],
)
def test_an_ambiguous_address_is_nobodys(header: str) -> None:
    """CVE-2023-27043: what two readers could read in two ways is no address."""
    assert all(address == "" for _, address in parse_address_list(header))


@pytest.mark.parametrize(
    "unit", ['"', ",", "(", ")", "<", ">", '\\"', '"\\', "(a", "a@b,", "=?a?q?", ":", ";", "a:", '"a" <', "<a"]
)
def test_fifty_kilobytes_of_punctuation_take_no_time(unit: str) -> None:
    header = unit * (50_000 // len(unit))
    start = time.perf_counter()
    found = parse_address_list(header)
    assert time.perf_counter() - start < 2
    assert len(found) <= MAX_ADDRESSES


@given(st.text(max_size=300))
def test_no_text_makes_the_readers_raise(text: str) -> None:
    for name, address in parse_address_list(text):
        assert normalise_address(address) == address
        assert not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name + address)
    assert normalise_address(normalise_address(text)) == normalise_address(text)
    registrable_domain(text)
    address_in_name(text)
    has_mixed_scripts(text)
    shows_foreign_domain(text)


@given(st.text(), st.integers(1, 50))
def test_a_clean_line_is_one_short_line(text: str, limit: int) -> None:
    line = clean_line(text, limit)
    assert len(line) <= limit
    assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]", line)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mail.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("co.uk", ""),
        ("localhost", ""),
        ("[192.0.2.1]", ""),
        ("192.0.2.1", ""),
        ("a.github.io", "a.github.io"),
        ("shop.bücher.de", "xn--bcher-kva.de"),
        ("a.b.unknowntld", "b.unknowntld"),
        ("", ""),
    ],
)
def test_the_registrable_domain_follows_the_suffix_list(domain: str, expected: str) -> None:
    assert registrable_domain(domain) == expected


def test_the_suffix_list_s_own_cases_hold() -> None:
    path = CORPUS / "psl" / "tests" / "tests.txt.json"
    if not path.exists():
        pytest.skip("no corpus here")
    lines = [case["line"].split() for case in json.loads(path.read_text(encoding="utf-8"))]
    pairs = [line for line in lines if len(line) == 2 and not line[0].startswith(("//", "."))]
    wrong = [
        (domain, expected, registrable_domain(domain))
        for domain, expected in pairs
        if registrable_domain(domain) != normalise_domain("" if expected == "null" else expected)
    ]
    assert len(pairs) > 20
    assert wrong == []


def test_look_alike_names_are_noticed() -> None:
    assert has_mixed_scripts("P\u0430ypal")
    assert not has_mixed_scripts("Иван Ivanov 山田 José")
    assert has_bidi("gpj.\u202eexe")
    assert not has_bidi("שלום")
    assert show_plainly("a\u202eb\u200bc") == "abc"
    assert address_in_name("ceo@bank.example", "eve@example.net") == "ceo@bank.example"
    assert address_in_name("ceo＠bank.example", "eve@example.net") == "ceo@bank.example"
    assert address_in_name("Ann ann@example.org", "ann@example.org") == ""
    assert address_in_name("Ann Example") == ""
    assert shows_foreign_domain("xn--pypal-4ve.com")
    assert not shows_foreign_domain("xn--bcher-kva.example")


def test_naughty_strings_pass_through_harmless() -> None:
    path = CORPUS / "strings" / "blns" / "blns.json"
    if not path.exists():
        pytest.skip("no corpus here")
    for case in json.loads(path.read_text(encoding="utf-8")):
        for name, address in parse_address_list(f"{case['s']} <ann@example.org>"):
            assert "\n" not in name
            assert address in ("", "ann@example.org") or address.count("@") == 1
