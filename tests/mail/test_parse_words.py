"""Search tokens, thread keys, sender verdicts and quotes: small pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.authentication import Standing, parse_results, sender_verdict
from mail.quotes import split_quote, split_quote_html
from mail.thread_keys import base_subject, normalise_message_id, reference_chain, subject_key
from mail.tokens import MAX_TOKEN, fold, search_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World", ["hello", "world"]),
        ("ÉCOLE Straße Łódź øre", ["ecole", "strasse", "lodz", "ore"]),
        ("ann.b@mail.example.org", ["ann", "b", "mail", "example", "org"]),
        ("invoice_2026-11", ["invoice", "2026", "11"]),
        ("報價單", ["報價", "價單"]),
        ("字", ["字"]),
        ("株式会社ABC御中", ["株式", "式会", "会社", "abc", "御中"]),
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("Привет, Ёлка", ["привет", "елка"]),
        ("ＦＵＬＬ ﬁn", ["full", "fin"]),
        ("नमस्ते", ["नमस्ते"]),
        ("", []),
        ("!!! ---", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert search_tokens(text) == tokens


@given(st.text(max_size=300))
def test_tokens_are_stable_and_short(text: str) -> None:
    tokens = search_tokens(text)
    assert all(0 < len(token) <= MAX_TOKEN and not token.isspace() for token in tokens)
    assert search_tokens(text, 3) == tokens[:3]
    assert fold(text).isascii() or "\x00" not in "".join(tokens)


def test_long_words_are_cut_alike_on_both_sides() -> None:
    assert search_tokens("a" * 200) == ["a" * MAX_TOKEN]
    assert search_tokens("é" * 200) == ["e" * MAX_TOKEN]


@pytest.mark.parametrize(
    "subject",
    [
        "Offer",
        "Re: Offer",
        "AW: Re[2]: Offer",
        "SV: VS: Offer (fwd)",
        "Fwd: Re: offer",
        "RE : Offer",
        "回复：Offer",
        "Re: [list] Offer",
        "Odp: Offer",
    ],
)
def test_base_subjects_of_many_languages(subject: str) -> None:
    assert subject_key(subject) == "offer"


@given(st.text(max_size=200))
def test_a_base_subject_never_raises(subject: str) -> None:
    assert len(base_subject(subject)) <= len(subject)


def test_references_are_one_chain_with_the_parent_last() -> None:
    assert reference_chain(["<a@X>", "b@x", "a@x"], ["<b@x>"]) == ("b@x", "a@x")
    assert reference_chain(["a@x"], ["c@x", "d@x"]) == ("a@x", "c@x")
    assert reference_chain([], []) == ()
    long = reference_chain([f"{n}@x" for n in range(500)])
    assert (len(long), long[0], long[-1]) == (100, "0@x", "499@x")
    assert normalise_message_id(" <A.b@Example.ORG> ") == "A.b@example.org"


MX = {"mx.example.org"}


@pytest.mark.parametrize(
    ("headers", "standing", "reason"),
    [
        (["mx.example.org; dmarc=pass header.from=bank.example"], Standing.VERIFIED, "dmarc-pass"),
        (["mx.example.org 1; spf=pass smtp.mailfrom=a@mail.bank.example"], Standing.VERIFIED, "spf-aligned"),
        (["MX.example.org; dkim=pass (good; really) header.d=bank.example"], Standing.VERIFIED, "dkim-aligned"),
        (
            ["mx.example.org; dkim=pass header.i=@evil.example; spf=pass smtp.mailfrom=evil.example"],
            Standing.UNKNOWN,
            "not-aligned",
        ),
        (
            ["mx.example.org; dmarc=fail header.from=bank.example; dkim=pass header.d=bank.example"],
            Standing.FAILED,
            "dmarc-fail",
        ),
        (["mx.example.org; dmarc=pass header.from=evil.example"], Standing.UNKNOWN, "not-aligned"),
        (["mx.example.org; spf=fail smtp.mailfrom=bank.example"], Standing.FAILED, "spf-fail"),
        (["mx.example.org; none"], Standing.UNKNOWN, "inconclusive"),
        (["evil.example; dmarc=pass header.from=bank.example"], Standing.UNKNOWN, "foreign-server"),
        (
            ["other; spf=none", "mx.example.org; dmarc=pass header.from=bank.example"],
            Standing.UNKNOWN,
            "foreign-server",
        ),
        (["(mx.example.org) evil.example; dmarc=pass"], Standing.UNKNOWN, "foreign-server"),
        (["evil.example (; mx.example.org); dmarc=pass"], Standing.UNKNOWN, "foreign-server"),
        (['mx.example.org; x-a=b reason="; dmarc=pass"'], Standing.UNKNOWN, "inconclusive"),
        (["mx.example.org; x=y (dmarc=pass; dkim=pass header.d=bank.example)"], Standing.UNKNOWN, "inconclusive"),
        ([], Standing.UNKNOWN, "no-results"),
    ],
)
def test_only_the_mailbox_s_own_server_verifies(headers: list[str], standing: Standing, reason: str) -> None:
    verdict = sender_verdict(headers, trusted_authserv_ids=MX, from_domain="bank.example")
    assert (verdict.standing, verdict.reason) == (standing, reason)


def test_a_server_without_an_id_counts_only_where_that_is_said() -> None:
    header = [
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=bank.example; dkim=pass header.d=bank.example;"
        " dmarc=pass action=none header.from=bank.example"
    ]
    assert sender_verdict(header, trusted_authserv_ids={""}, from_domain="bank.example").standing is Standing.VERIFIED
    assert sender_verdict(header, trusted_authserv_ids=MX, from_domain="bank.example").standing is Standing.UNKNOWN


def test_no_single_sender_is_never_verified() -> None:
    header = ["mx.example.org; dmarc=pass header.from=bank.example"]
    assert sender_verdict(header, trusted_authserv_ids=MX, from_domain="").standing is Standing.UNKNOWN


@given(st.text(max_size=300))
def test_no_results_header_makes_it_raise(value: str) -> None:
    parse_results(value)
    assert sender_verdict([value], trusted_authserv_ids=MX, from_domain="bank.example").standing in Standing


def test_a_reply_above_its_quote_is_found() -> None:
    text = (
        "Thanks, fine.\n\nAnn\n-- \nAnn Example\nExample Ltd\n\n"
        "On Mon, 2 Nov 2026 at 10:00, Bob <bob@example.org>\nwrote:\n> old\n> text\n"
    )
    split = split_quote(text)
    assert split.visible(text) == "Thanks, fine.\n\nAnn"
    assert text[split.signature_at :].startswith("-- \nAnn Example")
    assert text[split.quote_at :].startswith("On Mon")


def test_answers_between_the_lines_stay_visible() -> None:
    text = "On Mon, 2 Nov 2026, Bob wrote:\n> question one?\nyes\n> question two?\nno\n"
    split = split_quote(text)
    assert split.quote_at == len(text)
    assert split.visible(text).endswith("no")


def test_outlook_s_header_block_opens_a_quote() -> None:
    text = (
        "Gern.\n\n________________________________\nVon: Bob <bob@example.org>\n"
        "Gesendet: Montag, 2. November 2026\nAn: Ann\nBetreff: Angebot\n\nalt\n"
    )
    assert split_quote(text).visible(text) == "Gern."


def test_a_text_without_quotes_is_left_alone() -> None:
    for text in ("", "From: here we go\nto there", "I wrote: nothing\nmore", "> only a quote"):
        assert split_quote(text).quote_at in (0, len(text))


@given(st.text(alphabet="On>:\n wroteFm-@2026 ", max_size=300))
def test_splitting_never_raises_and_names_places_inside(text: str) -> None:
    split = split_quote(text)
    assert 0 <= split.signature_at <= split.quote_at <= len(text)


def test_html_splits_lose_nothing() -> None:
    html = '<p>My answer</p><div class="gmail_quote">On Mon Bob wrote:<blockquote>old</blockquote></div>'
    split = split_quote_html(html)
    assert "My answer" in split.visible
    assert "old" not in split.visible
    assert "old" in split.quoted
    below = html + "<p>and one more word</p>"
    assert "one more word" in split_quote_html(below).visible
