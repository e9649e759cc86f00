"""The document that stands in a message's frame: the cleaned body with our style, quoted mail folded without scripts.

Invariant: whatever the sanitiser lets through, the headers of `panel.views.bodies` and the frame's sandbox run nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mail.models import MessageContent
from mail.plain_html import text_to_html
from mail.quotes import split_quote, split_quote_html
from mail.sanitize import sanitize_html

_PAPER = re.compile(r"(?i)bgcolor|background")  # such a letter is shown on the white paper that it was set for
# In the dark, a letter without paper of its own keeps our ink: its greys and blacks were chosen for white.
DARK_INK = "body * { color: inherit !important } body a, body a * { color: var(--accent) !important }"
DARK_PAPER = "body { padding: 14px 16px }"  # a white sheet in the dark has a margin

STYLE = """
@font-face { font-family: Inter; src: url(%(fonts)s/latin.woff2); font-weight: 100 900; font-display: swap }
@font-face { font-family: Inter; src: url(%(fonts)s/latin-ext.woff2); font-weight: 100 900; font-display: swap;
  unicode-range: U+100-2BA, U+1E00-1EFF, U+20A0-20AB, U+20AD-20C0 }
@font-face { font-family: Inter; src: url(%(fonts)s/cyrillic.woff2); font-weight: 100 900; font-display: swap;
  unicode-range: U+301, U+400-45F, U+490-491, U+4B0-4B1, U+2116 }
:root { color-scheme: %(scheme)s; --ink: light-dark(#16232b, #e9eef0); --soft: light-dark(#4c5c66, #b4bec4);
  --line: light-dark(#dbe2e5, #3a454c); --accent: light-dark(#0b5a73, #7cd0e6); --press: light-dark(#1a2b3418, #e0f0ff1c) }
* { max-width: 100%% }
html { overflow-x: auto; overflow-y: hidden; background: %(paper)s }
body { margin: 0; max-width: %(width)s; color: var(--ink); font: 420 15px/1.6 Inter, system-ui, "Segoe UI", "Noto Sans", sans-serif;
  overflow-wrap: anywhere }
.plain-text { font: inherit }
p:first-child { margin-top: 0 }
a { color: var(--accent) }
img { height: auto }
table { max-width: none; overflow-wrap: normal }
pre { white-space: pre-wrap }
blockquote { margin: 12px 0 0; padding-inline-start: 14px; border-inline-start: 2px solid var(--line); color: var(--soft) }
details.quoted > summary { display: inline-flex; margin-top: 12px; padding: 1px 9px; border: 1px solid var(--line);
  border-radius: 6px; font-size: 12px; font-weight: 520; line-height: 22px; color: var(--soft); cursor: pointer; list-style: none }
details.quoted > summary::-webkit-details-marker { display: none }
details.quoted > summary:hover { background: var(--press) }
details.quoted > summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
details.quoted[open] > summary { margin-bottom: 10px }
details.quoted > .plain-text { padding-inline-start: 14px;
  border-inline-start: 2px solid var(--line); color: var(--soft); font-size: 14px }
"""


@dataclass(frozen=True, slots=True)
class Look:
    """How the document is set. `theme`: system | light | dark; `fonts_url`: the folder of our fonts."""

    theme: str = "system"
    fonts_url: str = ""


@dataclass(frozen=True, slots=True)
class BodyPage:
    """A document for the frame and how many remote addresses were kept out of it."""

    html: str
    remote_count: int


def make_page(content: MessageContent, *, look: Look, allow_remote: bool, part_urls: Mapping[str, str]) -> BodyPage:
    """The body of a message as a document. `part_urls`: content id → URL of ours."""
    if content.html:
        clean = sanitize_html(content.html, allow_remote=allow_remote, part_urls=part_urls)
        body, count = _fold_quotes(clean.html), clean.remote_count
        is_own_paper = bool(_PAPER.search(clean.html))
    else:
        body, count, is_own_paper = _text(content.text), 0, False
    scheme = "light" if is_own_paper else {"light": "light", "dark": "dark"}.get(look.theme, "light dark")
    style = STYLE % {
        "scheme": scheme,
        "paper": "#fff" if is_own_paper else "transparent",
        "width": "none" if is_own_paper else "76ch",
        "fonts": look.fonts_url,
    }
    if content.html:
        style += _in_the_dark(DARK_PAPER if is_own_paper else DARK_INK, look.theme)
    head = f'<meta charset="utf-8"><meta name="referrer" content="no-referrer"><base target="_blank"><style>{style}</style>'
    lang = f'<html><head>{head}</head><body dir="auto">{body}</body></html>'
    return BodyPage(f"<!doctype html>{lang}", count)


def _in_the_dark(rules: str, theme: str) -> str:
    """Rules that count only where the panel around the letter is dark."""
    return {"light": "", "dark": rules}.get(theme, f"@media (prefers-color-scheme: dark) {{ {rules} }}")


def _text(text: str) -> str:
    split = split_quote(text)
    rest = text[split.signature_at :]
    if not rest.strip() or not split.visible(text).strip():
        return text_to_html(text)
    count = len(rest.strip().splitlines())
    if split.signature_at == split.quote_at:
        label = ngettext("Quoted text, %(count)d line", "Quoted text, %(count)d lines", count)
    elif not text[split.quote_at :].strip():
        label = ngettext("Signature, %(count)d line", "Signature, %(count)d lines", count)
    else:
        label = ngettext(
            "Signature and quoted text, %(count)d line", "Signature and quoted text, %(count)d lines", count
        )
    return text_to_html(split.visible(text)) + _folded(label % {"count": count}, text_to_html(rest.strip("\n")))


def _folded(label: str, inside: str) -> str:
    return f'<details class="quoted"><summary>··· {escape(label)}</summary>{inside}</details>'


def _fold_quotes(html: str) -> str:
    """The quoted end of a cleaned body folded."""
    split = split_quote_html(html)
    return split.visible + _folded(_("Quoted text"), split.quoted) if split.quoted else html
