"""What a person typed, understood."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.search_query import Filter, SearchQuery, TextTerm, parse_query


def _terms(text: str) -> list[tuple[tuple[str, ...], bool, bool]]:
    return [(term.tokens, term.is_prefix, term.is_negated) for term in parse_query(text).terms]


def test_words_phrases_beginnings_and_negations_are_told_apart() -> None:
    assert _terms('Offer "final draft" invoi* -spam -"out of office"') == [
        (("offer",), False, False),
        (("final", "draft"), False, False),
        (("invoi",), True, False),
        (("spam",), False, True),
        (("out", "of", "office"), False, True),
    ]


def test_accents_and_case_do_not_matter() -> None:
    assert parse_query("ÉCOLE Łódź") == parse_query("ecole lodz")


def test_scripts_without_spaces_become_neighbouring_pairs() -> None:
    assert _terms("東京都 京") == [(("東京", "京都"), False, False), (("京",), True, False)]


def test_people_are_found_by_the_beginning_of_name_or_address() -> None:
    assert parse_query('from:mar to:nordlys.ex cc:"Ida Lind"').terms == (
        TextTerm(("mar",), True, False, ("f",)),
        TextTerm(("nordlys", "ex"), True, False, ("t",)),
        TextTerm(("ida", "lind"), False, False, ("c",)),
    )


def test_operators_become_filters() -> None:
    query = parse_query(
        'is:unread -is:starred in:"Sent Items" account:me@a.example contact:ida company:Nordlys has:attachment'
    )
    assert query == SearchQuery(
        filters=(
            Filter("is", "unread"),
            Filter("is", "flagged", True),
            Filter("in", "Sent Items"),
            Filter("account", "me@a.example"),
            Filter("contact", "ida"),
            Filter("company", "Nordlys"),
        ),
        has_attachment=True,
    )


def test_dates_of_three_precisions_and_their_negation() -> None:
    query = parse_query("after:2025 before:2026-03 before:2026-02-10")
    assert (query.since, query.until) == (date(2025, 1, 1), date(2026, 2, 10))
    query = parse_query("-before:2026-01-02 -after:2026-05-01")
    assert (query.since, query.until) == (date(2026, 1, 2), date(2026, 5, 1))


@pytest.mark.parametrize(
    "text",
    ["colour:red", "is:purple", "has:legs", "before:tomorrow", "before:2026-13-45", "after:0000", "after:9999-12-31"],
)
def test_an_unknown_operator_is_plain_words(text: str) -> None:
    operator, value = text.split(":")
    query = parse_query(text)
    assert not query.filters and query.since is None and query.until is None and query.has_attachment is None
    assert query.terms[0].tokens[0] == operator
    assert "".join(query.terms[0].tokens[1:]) == value.replace("-", "")


@pytest.mark.parametrize("text", ["", "   ", "!!!", '"', '""', "-", "*", "from:", "is:", '-""', "\x00\x00"])
def test_a_query_without_content_is_empty_or_plain_words(text: str) -> None:
    query = parse_query(text)
    assert query.is_empty or query.terms[0].tokens in (("from",), ("is",))


@given(st.text(max_size=300))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    query = parse_query(text)
    assert all(term.tokens for term in query.terms)


@given(
    st.lists(
        st.sampled_from(
            [
                '"',
                "-",
                "*",
                ":",
                "(",
                ")",
                " ",
                "from:",
                "NEAR(",
                "AND",
                "OR",
                "NOT",
                "'",
                "\\",
                "&",
                "|",
                "!",
                "<->",
                "a",
                "é",
                "日",
                "§a1",
            ]
        ),
        max_size=60,
    )
)
def test_the_languages_of_the_engines_are_only_words(pieces: list[str]) -> None:
    for term in parse_query("".join(pieces)).terms:
        assert all(token.isalnum() for token in term.tokens)


def test_long_queries_are_cut() -> None:
    query = parse_query("a " * 10_000)
    assert len(query.terms) <= 40
    assert len(parse_query('"' + "word " * 500 + '"').terms[0].tokens) <= 30
