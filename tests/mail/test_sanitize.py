"""HTML of a mail: nothing runs, nothing is fetched, what a person reads stays."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mail import sanitize
from mail.css import CssFilter
from mail.html_text import html_to_text
from mail.plain_html import text_to_html
from mail.sanitize import SanitizedHtml, sanitize_html
from tests.conftest import CORPUS

OURS = "/parts/7/signed-token"
FETCHERS = (
    "src",
    "srcset",
    "background",
    "poster",
    "data",
    "dynsrc",
    "lowsrc",
    "xlink:href",
    "formaction",
    "action",
    "ping",
)
DANGEROUS = {
    "script", "iframe", "frame", "object", "embed", "applet", "svg", "math", "form", "input", "button", "link", "meta",
    "base", "video", "audio", "source", "track", "template", "noscript", "portal",
}  # fmt: skip


def clean(html: str, *, allow_remote: bool = False) -> SanitizedHtml:
    return sanitize_html(html, allow_remote=allow_remote, part_urls={"logo@example.org": OURS})


def assert_inert(html: str) -> None:
    """Read the output as a browser would and look for anything that runs or fetches."""
    for node in LexborHTMLParser(html).css("*"):
        if node.tag in ("html", "head", "body", "-text", "-comment"):
            continue
        assert node.tag not in DANGEROUS, node.tag
        attributes = {name.lower(): value or "" for name, value in node.attributes.items()}
        assert not [name for name in attributes if name.startswith("on") or name == "srcdoc"], attributes
        for name in FETCHERS:
            url = attributes.get(name, "")
            assert not url or url == OURS or re.match(r"data:image/(png|jpe?g|gif|webp|bmp);base64,", url, re.I), url
        href = attributes.get("href", "")
        assert not href or re.match(r"(https?://|mailto:|tel:)", href, re.I), href
        css = attributes.get("style", "") + (node.text(deep=True) if node.tag == "style" else "")
        assert not re.search(r"url\s*\(|@import|expression|javascript|behavior|-moz-binding|\\|<", css, re.I), css
        assert not re.search(r"position\s*:", css, re.I), css
        if node.tag == "a" and href:
            assert attributes["target"] == "_blank"
            assert "noopener" in (attributes["rel"] or "")


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href="java\tscript:alert(1)">x</a>',
        '<a href="&#106;avascript:alert(1)">x</a>',
        '<a href="data:text/html,<script>x</script>">x</a>',
        '<a href="//evil.example/">x</a>',
        "<svg><script>alert(1)</script><image href=//evil.example/x.png></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "<iframe src=https://evil.example/></iframe>",
        '<link rel=stylesheet href="https://evil.example/a.css"><base href="https://evil.example/">',
        '<meta http-equiv=refresh content="0;url=https://evil.example/">',
        '<form action="https://evil.example/"><input name=a><button formaction=javascript:x>b</button></form>',
        "<style>@import url(https://evil.example/a.css); p{background:url(//evil.example/x)}</style>",
        '<p style="background:u\\72l(https://evil.example/x)">a</p>',
        "<p style=\"background-image:image-set('https://evil.example/x' 1x)\">a</p>",
        '<p style="width:expression(alert(1));position:fixed;top:0">a</p>',
        '<p style="background:url(&quot;https://evil.example/x&quot;)">a</p>',
        '<img srcset="https://evil.example/a.png 2x"><video poster=https://evil.example/p.png></video>',
        '<table background="https://evil.example/b.png"><tr><td background="//evil.example/c.png">x</td></tr></table>',
        "<style></style><style><!--</style><img src=x onerror=alert(1)>--></style>",
        '<div title="</style><script>alert(1)</script>">x</div>',
        "<style>p{font-family:'</style><script>alert(1)</script>'}</style>",
        '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
        "<a href='https://a.example' onclick=x target=_self rel=opener>x</a>",
        "<plaintext><script>x</script>",
        "<xmp><img src=x onerror=y></xmp>",
    ],
)
def test_nothing_runs_and_nothing_is_fetched(html: str) -> None:
    result = clean(html)
    assert_inert(result.html)
    assert clean(result.html).html == result.html


def test_remote_pictures_are_counted_and_come_back_when_allowed() -> None:
    html = (
        '<img src="https://a.example/1.png" alt="Logo"><img src="https://a.example/1.png">'
        '<table background="http://a.example/2.png"></table><p style="background:url(https://a.example/3.png) red">x</p>'
        '<style>p{background-image:url("https://a.example/4.png")}</style>'
    )
    blocked = clean(html)
    assert blocked.remote_count == 4
    assert "a.example" not in blocked.html
    assert 'alt="Logo"' in blocked.html
    shown = clean(html, allow_remote=True)
    assert shown.remote_count == 0
    assert shown.html.count("https://a.example/1.png") == 2
    assert 'url("https://a.example/4.png")' in shown.html


def test_scripts_stay_out_when_remote_pictures_are_allowed() -> None:
    html = (
        '<img src="https://a.example/x.png" onload=x><p style="background:url(javascript:x)"><script src=//a></script>'
    )
    assert "script" not in clean(html, allow_remote=True).html
    assert "onload" not in clean(html, allow_remote=True).html


def test_inline_pictures_get_our_urls() -> None:
    result = clean('<img src="cid:LOGO@example.org"><img src="cid:other"><a href="cid:logo@example.org">x</a>')
    assert result.html.count(OURS) == 1
    assert result.used_parts == ("logo@example.org",)
    assert "cid:" not in result.html


def test_a_sender_cannot_write_our_urls() -> None:
    assert "/accounts/logout" not in clean('<img src="/accounts/logout"><a href="/accounts/logout">x</a>').html


def test_harmless_looks_are_kept() -> None:
    html = (
        '<body bgcolor="#eeeeee" style="margin:0"><style>.a > b, td:first-child { color: red; padding: 1px }'
        "@media (max-width: 600px) { .a { width: 100% !important } } @font-face { src: url(x) }</style>"
        '<table width="600" cellpadding="0" align="center"><tr><td class="a" style="font: 12px/1.5 Arial, \'Open Sans\';'
        ' color: rgb(1, 2, 3)"><b>Hello</b> <a href="https://example.org/?a=1&amp;b=2">link</a></td></tr></table>'
    )
    out = clean(html).html
    assert ".a > b, td:first-child { color: red; padding: 1px }" in out
    assert "@media (max-width: 600px) {\n.a { width: 100% !important }\n}" in out
    assert "background-color: #eeeeee; margin: 0" in out
    assert "font: 12px/1.5 Arial, 'Open Sans'; color: rgb(1, 2, 3)" in out
    assert 'href="https://example.org/?a=1&amp;b=2"' in out
    assert 'rel="noopener noreferrer"' in out
    assert "@font-face" not in out


def test_the_same_mail_gives_the_same_bytes() -> None:
    html = '<a title="t" href="https://example.org" class="c">x</a><img alt="a" width="1" height="2">' * 20
    assert len({clean(html).html for _ in range(10)}) == 1


def test_deep_html_is_shown_as_text_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanitize, "JAIL_SECONDS", 2)
    start = time.monotonic()
    result = clean("<div>" * 100_000 + "the words <b>stay</b>")
    assert time.monotonic() - start < 20
    assert result.is_fallback
    assert "the words stay" in result.html
    assert_inert(result.html)


def test_big_but_flat_html_goes_through_the_helper_process() -> None:
    result = clean("<p onclick=x>word</p>" * 8000 + '<img src="cid:logo@example.org"><img src="https://a.example/x">')
    assert not result.is_fallback
    assert result.html.count("<p>word</p>") == 8000
    assert (result.remote_count, result.used_parts) == (1, ("logo@example.org",))


@pytest.mark.parametrize(
    "html",
    [
        "<p " + " ".join(f"a{n}=1" for n in range(90_000)) + ">x",
        "<p " + " ".join(f"a{n}" for n in range(90_000)) + ">x",
        "<p/" + "/".join(f"a{n}" for n in range(90_000)) + ">x",
        "<p " + " ".join(f"a{n}='>'" for n in range(90_000)) + ">x",
        "<style>" + "@media x{" * 30_000,
        "<!--" * 500_000,
        "<" * 1_000_000,
        "<pre " * 300_000,
        "<img src=" + " " * 900_000 + "x>",
        '<p style="background:url(' + " " * 250_000 + 'x">',
        "<style>p{background:url(" + " " * 250_000 + "}</style>",
        "<style>" + "url(" * 70_000 + "</style>",
        "<pre>" + "\u200b\t" * 300_000 + "x</pre>",
        "<p>" + "\u00a0\u200c" * 300_000,
    ],
)
def test_html_bombs_end_in_time(html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanitize, "JAIL_SECONDS", 2)
    start = time.monotonic()
    html_to_text(html)
    out = clean(html).html
    assert time.monotonic() - start < 20
    assert_inert(out)


TAGS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<style>",
        "</style>",
        "<svg>",
        "<math>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<img src=x onerror=y>",
        "<a href='",
        "'>",
        '"',
        "<table>",
        "<select>",
        "<script>",
        "</script>",
        "<title>",
        "<noscript>",
        "<template>",
        'style="background:url(',
        "https://evil.example/x",
        ")",
        ";",
        "expression(",
        "\\75rl(",
        "/*",
        "*/",
        "{",
        "}",
        "@import ",
        "position:fixed",
        "<body background=",
        "<iframe",
        "srcset=",
        "&#x6a;avascript:",
        "cid:logo@example.org",
        "\x00",
        "\r",
        " on",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TAGS | st.text(max_size=6), max_size=30))
def test_no_html_gets_through(pieces: list[str]) -> None:
    result = clean("".join(pieces))
    assert_inert(result.html)
    assert clean(result.html).html == result.html
    result.html.encode("utf-8")
    assert "\x00" not in result.html


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abu:;{}()\"'\\/*@<>#.,! \n-rliox0", max_size=80))
def test_filtered_css_is_stable_and_inert(css: str) -> None:
    for allow_remote in (False, True):
        rules = CssFilter(allow_remote).sheet(css)
        assert CssFilter(allow_remote).sheet(rules) == rules
        inline = CssFilter(allow_remote).declarations(css)
        assert CssFilter(allow_remote).declarations(inline) == inline
        assert not set("<\\") & set(rules + inline)


@given(st.text(max_size=300))
def test_plain_text_becomes_inert_html_with_all_its_letters(text: str) -> None:
    html = text_to_html(text)
    assert_inert(html)
    shown = LexborHTMLParser(html).css_first("div").text(deep=True)
    assert shown.split() == text.replace("\x00", "\ufffd").split() or "\x00" in text


def test_addresses_in_plain_text_become_links() -> None:
    html = text_to_html("See https://example.org/a_(b)?x=1&y=2. Or www.example.org, ann@example.org <script>")
    assert 'href="https://example.org/a_(b)?x=1&amp;y=2"' in html
    assert 'href="http://www.example.org"' in html
    assert 'href="mailto:ann@example.org"' in html
    assert "&lt;script&gt;" in html


def test_text_of_html_keeps_words_and_lines() -> None:
    html = (
        "<title>T</title><p>One  two</p><ul><li>a<li>b</ul><table><tr><td>x<td>y</table><pre>k\n  l</pre>&amp;&nbsp;end"
    )
    assert html_to_text(html).split() == ["One", "two", "a", "b", "x", "y", "k", "l", "&", "end"]
    assert "One two\n" in html_to_text(html)
    assert "k\nl" in html_to_text(html)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def test_every_payload_of_the_corpora_comes_out_inert() -> None:
    folder = CORPUS / "html"
    if not folder.exists():
        pytest.skip("no corpus here")
    payloads: list[str] = []
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        text = path.read_bytes().decode("utf-8", "replace")
        payloads.append(text)
        if path.suffix == ".json":
            payloads.extend(strings(json.loads(text)))
    assert len(payloads) > 300
    for payload in payloads:
        result = clean(payload)
        assert_inert(result.html)
        assert clean(result.html).html == result.html
