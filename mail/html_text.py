"""HTML to the text a person would read: every word kept, markup, scripts, styles and link targets dropped.

Fast enough for a first download (selectolax); never raises.
"""

from __future__ import annotations

import html as html_entities
import re

from selectolax.lexbor import LexborHTMLParser

from mail.decoding import clean_text

MAX_HTML = 4 * 1024 * 1024  # characters read
_MANY_TAGS = 10_000  # above it the tree is not built: tags are cut out by rule

_MANY_EQUALS = 7000  # "=" above which the same goes
_SPACES = re.compile(r"[ \t\r\n\f]+")
_BREAKS = re.compile(
    r"(?i)(<(?:br|hr|/?(?:p|div|tr|li|ul|ol|dl|dt|dd|h[1-6]|table|blockquote|section|article|header|footer|main|nav|aside"
    r"|center|form|fieldset|address|figure|figcaption|pre|option|caption|title))\b)"
)
_CELLS = re.compile(r"(?i)(<t[dh]\b)")
_PRE = re.compile(r"(?i)<(/?)(?:pre|textarea|xmp|listing)\b")
_DROPPED = ["script", "style", "head", "noscript", "template", "svg", "math", "iframe", "object"]
_RAW_DROPPED = re.compile(r"(?is)<(script|style|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)")
_ANY_TAG = re.compile(r"<[A-Za-z/!?][^>]*(?:>|\Z)")
_LINE_ENDS = re.compile(r"[ \t\u00a0\u200b\u200c\u034f\ufeff]*\n[ \t\u00a0\u200b\u200c\u034f\ufeff]*")
_EMPTY_LINES = re.compile(r"\n{3,}")
_RUNS = re.compile(r"[ \t]+")
_FILL = re.compile("[\u200b\u200c\u034f\u00ad\ufeff\u2007]{2,}|(?:[\u200b\u200c\u034f\u00ad\ufeff\u2007\u00a0] ?){4,}")


def html_to_text(html: str) -> str:
    """Return the readable text of an HTML document: blocks on lines of their own, at most one empty line between."""
    if not html:
        return ""
    html = html[:MAX_HTML]
    if "<" not in html:
        return _tidy(clean_text(html_entities.unescape(html)))
    marked = _mark_lines(html)
    if html.count("<") > _MANY_TAGS or has_many_attributes(html):
        return _tidy(clean_text(_cut_tags(marked)))
    try:
        tree = LexborHTMLParser(marked)
        tree.strip_tags(_DROPPED, recursive=True)
        body = tree.body or tree.root
        text = body.text(deep=True, separator="", strip=False) if body is not None else ""
    except (ValueError, RuntimeError, UnicodeError, MemoryError, RecursionError):
        text = _cut_tags(marked)
    return _tidy(clean_text(text))


def has_many_attributes(html: str) -> bool:
    """Return whether one element might have thousands of attributes: HTML parsers need time by their square.

    An attribute needs "=" or lies in a stretch without ">" (quoted ">" needs "=" too), so both are counted.
    """
    if html.count("=") > _MANY_EQUALS:
        return True
    for stretch in html.split(">"):
        if len(stretch) > _MANY_EQUALS:
            tag = stretch[max(0, stretch.find("<")) :] if "<" in stretch else ""
            if len(tag.split()) + tag.count("/") > _MANY_EQUALS // 2:
                return True
    return False


def _mark_lines(html: str) -> str:
    """Return the HTML on one line, with line breaks only where the page would show one."""
    html = _collapse(html) if _PRE.search(html) else _SPACES.sub(" ", html)
    html = _BREAKS.sub(r"\n\1", html)
    return _CELLS.sub(r" \1", html)


def _collapse(html: str) -> str:
    """Collapse white space outside of preformatted elements; one pass, an element that never ends runs to the end."""
    out, position, inside = [], 0, False
    for match in _PRE.finditer(html):
        if bool(match[1]) != inside:
            continue
        piece = html[position : match.start()]
        out.append(piece if inside else _SPACES.sub(" ", piece))
        position, inside = match.start(), not inside
    out.append(html[position:] if inside else _SPACES.sub(" ", html[position:]))
    return "".join(out)


def _cut_tags(html: str) -> str:
    text = _RAW_DROPPED.sub(" ", html)
    return html_entities.unescape(_ANY_TAG.sub("", text))


def _tidy(text: str) -> str:
    text = _RUNS.sub(" ", text)
    if not text.isascii():
        text = _FILL.sub(" ", text)
    text = _LINE_ENDS.sub("\n", text)
    return _EMPTY_LINES.sub("\n\n", text).strip()
