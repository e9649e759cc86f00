"""HTML of a mail made safe to show. The iframe's sandbox and CSP hold alone too; this is the first wall, not the last.

Invariants: no script, handler, form, frame, SVG or MathML comes through; with allow_remote=False nothing in the output
makes a browser fetch anything but the given part URLs (and embedded raster pictures); sanitising the output again with
the same arguments changes nothing; big or deep HTML is cleaned in a helper process, and where that fails shown as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import nh3
from selectolax.lexbor import LexborHTMLParser

from base import jail
from mail.css import CssFilter
from mail.decoding import clean_text
from mail.html_text import has_many_attributes, html_to_text
from mail.plain_html import text_to_html

MAX_HTML = 4_000_000  # characters cleaned at all
QUIET_HTML = 250_000  # characters cleaned in this process (runs of no-break spaces cost nh3 the square of their length)
QUIET_TAGS = 4000  # "<" cleaned in this process (nh3 needs time by the square of the depth)
JAIL_SECONDS = 8
JAIL_MEGABYTES = 768

_TAGS = {
    "a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
    "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "dir", "div", "dl", "dt", "em",
    "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img",
    "ins", "kbd", "li", "main", "mark", "nav", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section",
    "small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead",
    "time", "tr", "tt", "u", "ul", "var", "wbr",
}  # fmt: skip
_DROPPED_WITH_CONTENT = {
    "script", "style", "head", "title", "noscript", "template", "svg", "math", "iframe", "object", "embed", "applet",
    "frameset", "noframes", "noembed", "audio", "video", "canvas", "textarea", "select", "xmp", "plaintext",
}  # fmt: skip
_EVERYWHERE = {
    "align", "background", "bgcolor", "class", "color", "dir", "height", "id", "lang", "style", "title", "valign",
    "width",
}  # fmt: skip
_ATTRIBUTES = {
    "*": _EVERYWHERE,
    "a": {"href", "name"},
    "img": {"src", "alt", "border", "hspace", "vspace", "srcset"},
    "table": {"border", "cellpadding", "cellspacing", "rules", "frame", "summary"},
    "td": {"colspan", "rowspan", "nowrap", "headers", "abbr", "scope"},
    "th": {"colspan", "rowspan", "nowrap", "headers", "abbr", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"face", "size"},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value", "type"},
    "hr": {"size", "noshade"},
    "br": {"clear"},
    "details": {"open"},
    "blockquote": {"type"},
    "time": {"datetime"},
}
_SCHEMES = {"http", "https", "mailto", "tel", "cid", "data"}
_LINKS = re.compile(r"(?:https?://|mailto:|tel:)[^\x00-\x20]", re.I)
_PICTURE = re.compile(r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*\Z", re.I)
_STRIP = re.compile(r"[\x00-\x20\x7f-\xa0\u200b\u2028\u2029\ufeff]+")
# Output of nh3 only: every "<" outside of a quoted value begins a tag, values hold no raw quotes.
_START_TAG = re.compile(r'<([a-z0-9]+)((?: [a-z-]+="[^"]*")+)>')
_ATTRIBUTE = re.compile(r'[a-z-]+="[^"]*"')
_OTHER_FETCHERS = re.compile(
    r"(?i)<(?:iframe|embed|object|video|audio|source|track|link|input|image|svg|use|bgsound|body|script|frame)\b[^>]{0,2000}?"
    r"\b(?:src|href|data|poster|xlink:href)\s{0,20}=\s{0,20}[\"']?\s{0,20}((?:https?:)?//[^\s\"'>]{1,2000})"
)


@dataclass(frozen=True, slots=True)
class SanitizedHtml:
    """`html` is safe to serve; `remote_count` is how many different remote addresses were kept out (0 when allowed);
    `used_parts` the content ids shown inline; `is_fallback` says that only the text could be kept."""

    html: str
    remote_count: int = 0
    used_parts: tuple[str, ...] = ()
    is_fallback: bool = False


def sanitize_html(html: str, *, allow_remote: bool, part_urls: Mapping[str, str] | None = None) -> SanitizedHtml:
    """Return the HTML of a mail body made safe.

    `part_urls` maps content ids (without brackets) to URLs of ours, for cid: pictures. Big or many-tagged HTML goes
    through `base.jail`; if that fails the text is shown instead (`is_fallback`). Never raises.
    """
    urls = dict(part_urls or {})
    html = clean_text(html).replace("\r\n", "\n").replace("\r", "\n")
    if len(html) <= QUIET_HTML and html.count("<") <= QUIET_TAGS and not has_many_attributes(html):
        try:
            return _clean(html, allow_remote, urls)
        except Exception:  # native code and a hostile document: fall back, whatever it was
            return _as_text(html)
    if len(html) > MAX_HTML:
        return _as_text(html)
    payload = json.dumps({"html": html, "allow_remote": allow_remote, "part_urls": urls}).encode()
    try:
        answer = json.loads(
            jail.run("mail.sanitize:clean_payload", payload, seconds=JAIL_SECONDS, megabytes=JAIL_MEGABYTES)
        )
        return SanitizedHtml(answer["html"], int(answer["remote_count"]), tuple(answer["used_parts"]))
    except (jail.JailError, ValueError, KeyError, TypeError):
        return _as_text(html)


def clean_payload(payload: bytes) -> bytes:
    """The helper's side of `sanitize_html`: JSON to JSON."""
    values = json.loads(payload)
    result = _clean(values["html"], values["allow_remote"], values["part_urls"])
    return json.dumps(
        {"html": result.html, "remote_count": result.remote_count, "used_parts": result.used_parts}
    ).encode()


def _as_text(html: str) -> SanitizedHtml:
    return SanitizedHtml(text_to_html(html_to_text(html)), is_fallback=True)


def _clean(html: str, allow_remote: bool, urls: Mapping[str, str]) -> SanitizedHtml:
    cleaner = _Cleaner(allow_remote, urls)
    sheet, wrapper = cleaner.document(html)
    body = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=cleaner.attribute,
        url_schemes=_SCHEMES,
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"referrerpolicy": "no-referrer"}},
        strip_comments=True,
        link_rel="noopener noreferrer",
    )
    body = _START_TAG.sub(_sorted_tag, body.replace("\r", "\n"))
    if wrapper:
        body = f'<div style="{escape(wrapper)}">{body}</div>'
    if sheet:
        body = f"<style>{sheet}</style>{body}"
    return SanitizedHtml(body, len(cleaner.blocked), tuple(cleaner.used))


def _sorted_tag(match: re.Match[str]) -> str:
    """nh3 writes attributes in random order; sorted, the same mail gives the same bytes."""
    return f"<{match[1]} " + " ".join(sorted(_ATTRIBUTE.findall(match[2]))) + ">"


class _Cleaner:
    """Decides about every attribute of one document."""

    def __init__(self, allow_remote: bool, urls: Mapping[str, str]) -> None:
        self.allow_remote = allow_remote
        self.css = CssFilter(allow_remote)
        self.by_id = {key.strip("<> ").lower(): url for key, url in urls.items()}
        self.ours = set(urls.values())
        self.used: dict[str, None] = {}
        self.blocked = self.css.blocked

    def document(self, html: str) -> tuple[str, str]:
        """Return (style sheet, declarations of the body element), both filtered; counts what only tags would fetch."""
        lowered = html.lower()
        if not self.allow_remote:
            self.blocked.update(match[1] for match in _OTHER_FETCHERS.finditer(html))
        if "<style" not in lowered and "<body" not in lowered:
            return "", ""
        tree = LexborHTMLParser(html)
        sheets = [self.css.sheet(node.text(deep=True)) for node in tree.css("style")[:50]]
        wrapper = ""
        if "<body" in lowered and tree.body is not None:
            wrapper = self._body_style(dict(tree.body.attributes))
        return "\n".join(sheet for sheet in sheets if sheet), wrapper

    def _body_style(self, attributes: dict[str, str | None]) -> str:
        pieces = [attributes.get("style") or ""]
        if attributes.get("bgcolor"):
            pieces.insert(0, f"background-color: {attributes['bgcolor']}")
        if attributes.get("background"):
            self._note(attributes["background"] or "")
        return self.css.declarations("; ".join(pieces))

    def attribute(self, tag: str, name: str, value: str) -> str | None:
        """Return what an attribute's value becomes, None to drop it (the signature nh3 asks for)."""
        if name == "style":
            return self.css.declarations(value) or None
        if name == "href":
            return value if _LINKS.match(_STRIP.sub("", value[:20])) and "\n" not in value else None
        if name in ("src", "background"):
            return self._picture(value, is_image=tag == "img" and name == "src")
        if name == "srcset":
            for candidate in value.split(","):
                self._note(candidate.strip().partition(" ")[0])
            return None
        return value

    def _picture(self, value: str, *, is_image: bool) -> str | None:
        url = value.strip()
        if url.lower().startswith("cid:"):
            key = url[4:].strip().strip("<>").lower()
            found = self.by_id.get(key)
            if found:
                self.used[key] = None
            return found
        if url in self.ours or (is_image and _PICTURE.match(url)):
            return url
        if re.match(r"https?://[^\s\"'<>]+\Z", url, re.I):
            if self.allow_remote:
                return url
            self.blocked.add(url)
            return None
        self._note(url)
        return None

    def _note(self, url: str) -> None:
        if not self.allow_remote and url.strip().lower().startswith(("http:", "https:", "//")):
            self.blocked.add(url.strip())
