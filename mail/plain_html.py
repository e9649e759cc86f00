"""A plain text as HTML: escaped, its line breaks kept, its addresses made links. Linear time, never raises."""

from __future__ import annotations

import re
from html import escape

MAX_TEXT = 2_000_000  # characters shown

# A link ends before a closing mark that belongs to the sentence; parentheses inside are kept while they are balanced.
_LINK = re.compile(
    r"(?<![\w@.])(?:https?://[^\s<>\"\x00-\x1f]{1,2000}|www\.[\w-]{1,63}\.[^\s<>\"\x00-\x1f]{1,2000}"
    r"|mailto:[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
    re.I,
)
_CLOSING = ".,;:!?'\"*_~»”’>]}"


def text_to_html(text: str) -> str:
    """Return the text as one block of HTML (`white-space: pre-wrap`), URLs and mail addresses as links."""
    return f'<div class="plain-text" style="white-space: pre-wrap">{linkify(text[:MAX_TEXT])}</div>'


def linkify(text: str) -> str:
    """Return the text escaped for HTML with links around URLs and mail addresses."""
    out: list[str] = []
    position = 0
    for match in _LINK.finditer(text):
        start, end = match.start(), match.start() + len(_trim(match[0]))
        shown = text[start:end]
        if start < position or not shown:
            continue
        out.append(escape(text[position:start]))
        out.append(f'<a href="{escape(_target(shown))}" rel="noopener noreferrer" target="_blank">{escape(shown)}</a>')
        position = end
    out.append(escape(text[position:]))
    return "".join(out)


def _trim(link: str) -> str:
    while link:
        last = link[-1]
        if last in _CLOSING or (last == ")" and link.count(")") > link.count("(")):
            link = link[:-1]
        else:
            break
    return link


def _target(link: str) -> str:
    lowered = link.lower()
    if lowered.startswith(("http://", "https://", "mailto:")):
        return link
    return f"http://{link}" if lowered.startswith("www.") else f"mailto:{link}"
