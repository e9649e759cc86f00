"""The HTML of a letter: cleaned before it is kept, the signature's block, pictures by content id. Pure but for the jail.

Invariants: what is kept holds no script, form or handler, whoever sent it to us; inline pictures are cid: references
(a data: picture of the editor becomes a part when the letter is built).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape

from mail.sanitize import sanitize_html

SIGNATURE = "signature"
_CID = re.compile(r"(?i)(?:src|background)\s*=\s*([\"'])\s*cid:([^\"'<>\s]{1,300})\s*\1")
_DATA = re.compile(
    r"(?i)(src\s*=\s*)([\"'])data:(image/(?:png|jpe?g|gif|webp));base64,([A-Za-z0-9+/=\s]{1,14000000})\2"
)
_IMAGE = re.compile(r"(?is)<img\b[^>]{0,20000}>")
_SOURCE = re.compile(r"(?is)(\bsrc\s*=\s*)([\"'])(.*?)\2")
_REMOTE = re.compile(r"(?i)\s*https?://")
KEPT = "data-remote"  # a picture of the web in the editor: its address, which nothing loads
BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_KEPT = re.compile(rf'(?i)\s*\b{KEPT}="([^"]{{1,10000}})"')
_ADDED = re.compile(r' (?:target="_blank"|referrerpolicy="no-referrer"|rel="noopener noreferrer")')


@dataclass(frozen=True, slots=True)
class Picture:
    """An inline picture found in the text as data:."""

    content_id: str
    content_type: str
    content: bytes


def clean_written(html: str) -> str:
    """Return the HTML fit to be kept and sent: no script, form, handler or foreign frame; cid:, http(s) and data pictures."""
    if not html.strip():
        return ""
    ids = {cid: f"cid:{cid}" for cid in used_content_ids(html)}
    cleaned = sanitize_html(html, allow_remote=True, part_urls=ids).html
    return _ADDED.sub("", cleaned).strip()


def clean_quote(html: str, content_ids: Mapping[str, str], *, keeps_remote: bool = False) -> str:
    """Return an original's HTML fit to be quoted, cid: mapped anew.

    `content_ids`: old content id → new one. Pictures of the web are taken out of an answer: it must fetch nothing, here or
    there. A forwarded mail keeps them (`keeps_remote`); here nothing loads them (`for_editor`).
    """
    urls = {old: f"cid:{new}" for old, new in content_ids.items()}
    return _ADDED.sub("", sanitize_html(html, allow_remote=keeps_remote, part_urls=urls).html).strip()


def used_content_ids(html: str) -> set[str]:
    """Content ids (without brackets, as written) that the HTML shows."""
    return {unescape(match[2]).strip("<>") for match in _CID.finditer(html)}


def signature_block(signature_html: str) -> str:
    """An empty line to write on and the signature below it; "" without a signature."""
    cleaned = clean_written(signature_html)
    return f'<p><br></p><div class="{SIGNATURE}">{cleaned}</div>' if cleaned else ""


def swap_signature(html: str, signature_html: str) -> str:
    """Return the HTML with another signature in place of the block that is there (added at the end where there is none)."""
    block = signature_block(signature_html).removeprefix("<p><br></p>")
    start, end = _block(html)
    if start < 0:
        return html + (signature_block(signature_html) if block else "")
    return html[:start] + block + html[end:]


def _block(html: str) -> tuple[int, int]:
    """Where the signature's block begins and ends, (-1, -1) where there is none."""
    opening = re.search(
        rf'(?i)<div\b[^>]{{0,500}}class="(?:[^"]{{0,200}}\s)?{SIGNATURE}(?:\s[^"]{{0,200}})?"[^>]{{0,500}}>', html
    )
    if not opening:
        return -1, -1
    depth = 1
    for match in re.finditer(r"(?i)<(/?)div\b[^>]{0,5000}>", html[opening.end() :]):
        depth += -1 if match[1] else 1
        if not depth:
            return opening.start(), opening.end() + match.end()
    return opening.start(), len(html)


def data_pictures(html: str, domain: str) -> tuple[str, list[Picture]]:
    """Return the HTML with data: pictures as cid:, and those pictures, each once. Content ids depend on the bytes alone."""
    found: dict[str, Picture] = {}

    def replace(match: re.Match[str]) -> str:
        try:
            content = base64.b64decode(re.sub(r"\s", "", match[4]), validate=True)
        except (binascii.Error, ValueError):
            return match[0]
        content_id = f"{hashlib.sha256(content).hexdigest()[:32]}@{domain}"
        found[content_id] = Picture(content_id, match[3].lower(), content)
        return f"{match[1]}{match[2]}cid:{content_id}{match[2]}"

    return _DATA.sub(replace, html), list(found.values())


def for_editor(html: str, urls: Mapping[str, str]) -> str:
    """Return the HTML as the editor shows it: cid: pictures by their URL (content id → URL of ours), the id kept aside.

    Inverse: `from_editor`. Pictures without a URL stay cid: and are not shown. Pictures of the web are kept aside, too, so
    that no browser loads them while one writes (the CSP of the page allows none either, backgrounds included).
    """

    def image(match: re.Match[str]) -> str:
        source = _SOURCE.search(match[0])
        if source and _REMOTE.match(unescape(source[3])):
            return f'{match[0][: source.start()]}src="{BLANK}" {KEPT}="{source[3]}"{match[0][source.end() :]}'
        if not source or not source[3].lower().startswith("cid:"):
            return match[0]
        url = urls.get(unescape(source[3][4:]).strip("<>"))
        if not url:
            return match[0]
        return match[0][: source.start()] + f'src="{escape(url)}"' + match[0][source.end() :]

    return _IMAGE.sub(image, html)


def from_editor(html: str, content_ids: Mapping[str, str]) -> str:
    """Return the HTML as it is kept: pictures of ours (URL as in `for_editor` → content id) as cid: again."""

    def image(match: re.Match[str]) -> str:
        source = _SOURCE.search(match[0])
        remote = _KEPT.search(match[0])
        if source and remote and _REMOTE.match(unescape(remote[1])):
            rest = f'{match[0][: source.start()]}src="{remote[1]}"{match[0][source.end() :]}'
            return _KEPT.sub("", rest)
        cid = content_ids.get(unescape(source[3])) if source else None
        if not source or not cid:
            return match[0]
        return match[0][: source.start()] + f'src="cid:{escape(cid)}"' + match[0][source.end() :]

    return _IMAGE.sub(image, html)
