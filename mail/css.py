"""CSS of a mail made harmless: known properties and functions only, nothing that fetches, overlays or runs. Pure.

Invariant: the output holds no "<", no backslash, no at-rule but @media, and no URL unless `allow_remote`; filtering the
output again changes nothing.
"""

from __future__ import annotations

import re

MAX_CSS = 300_000  # characters of one style sheet that are read
MAX_DECLARATIONS = 20_000

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.S)
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})[ \t\r\n\f]?|\\(.)", re.S)
_FUNCTION = re.compile(r"([a-z-]*)\(", re.I)
_URL = re.compile(r"url\(\s{0,20}(\"[^\"]*\"|'[^']*'|[^\"'()\s]*)\s{0,20}\)", re.I)
_REMOTE = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&*+,;=%-]{1,2000}")
_VALUE = re.compile(r"[^<>{}\\@\x00-\x08\x0b\x0e-\x1f\x7f;]*")
_SELECTOR = re.compile(r"[A-Za-z0-9\s.,#:*>+~()\[\]=\"'_^$|\u00a1-\uffff-]{1,2000}")
_MEDIA = re.compile(r"@media\s+[A-Za-z0-9\s(),:.-]{1,300}", re.I)
_PROPERTY = re.compile(r"[a-z][a-z-]{1,40}")
_PREFIXES = (
    "background", "border", "margin", "padding", "font", "text", "list-style", "outline", "flex", "grid", "column",
    "align", "justify", "place", "overflow-wrap", "mso-", "page-break", "break-", "word-", "table-layout", "caption-side",
)  # fmt: skip
_EXACT = frozenset({
    "aspect-ratio", "block-size", "border-collapse", "border-spacing", "box-shadow", "box-sizing", "clear",
    "color", "direction", "display", "empty-cells", "float", "gap", "height", "hyphens", "inline-size",
    "letter-spacing", "line-height", "max-height", "max-width", "min-height", "min-width", "object-fit",
    "opacity", "order", "orphans", "overflow", "overflow-x", "overflow-y", "quotes", "row-gap", "tab-size",
    "unicode-bidi", "vertical-align", "visibility", "white-space", "widows", "width", "zoom",
})  # fmt: skip
_FUNCTIONS = frozenset({
    "calc", "clamp", "fit-content", "hsl", "hsla", "hwb", "lab", "lch", "linear-gradient", "max", "min",
    "minmax", "radial-gradient", "repeat", "repeating-linear-gradient", "repeating-radial-gradient", "rgb",
    "rgba",
})  # fmt: skip
_PICTURES = ("background", "background-image", "list-style", "list-style-image")
_BAD_WORDS = ("expression", "javascript", "vbscript", "behavior", "binding", "data:", "//", "image-set")
_COLLAPSE = re.compile(r"\s+")


class CssFilter:
    """Filters style sheets and style attributes; `blocked` collects the URLs that were cut out."""

    def __init__(self, allow_remote: bool) -> None:
        self.allow_remote = allow_remote
        self.blocked: set[str] = set()

    def declarations(self, text: str) -> str:
        """Return the harmless declarations of a style attribute or a block, joined by "; "."""
        text = _plain(text[:MAX_CSS])
        kept = []
        for piece in _split(text, ";")[:MAX_DECLARATIONS]:
            name, colon, value = piece.partition(":")
            name = name.strip().lower()
            if colon and _allowed_property(name):
                value = self._value(name, _COLLAPSE.sub(" ", value).strip())
                if value:
                    kept.append(f"{name}: {value}")
            else:
                self._note_urls(piece)
        return "; ".join(kept)

    def _value(self, name: str, value: str) -> str:
        match = _URL.search(value)
        if match:
            value = self._with_url(name, value)
            if not value:
                return ""
        rest = _URL.sub(" ", value).lower()
        if len(value) > 4000 or not _VALUE.fullmatch(_URL.sub(" ", value)) or any(word in rest for word in _BAD_WORDS):
            return ""
        if any(function.lower() not in _FUNCTIONS for function in _FUNCTION.findall(rest)):
            return ""
        if rest.count("(") != rest.count(")") or rest.count('"') % 2 or rest.count("'") % 2:
            return ""
        return value

    def _with_url(self, name: str, value: str) -> str:
        """Return the value with safe remote URLs where they are allowed, without them where they are not."""
        remote = name in _PICTURES and self.allow_remote

        def settle(match: re.Match[str]) -> str:
            url = match[1].strip("\"'").strip()
            if remote and _REMOTE.fullmatch(url):
                return f'url("{url}")'
            self._note(url)
            return ""

        return _COLLAPSE.sub(" ", _URL.sub(settle, value)).strip(" ,")

    def _note(self, url: str) -> None:
        if url.lower().startswith(("http:", "https:", "//")):
            self.blocked.add(url)

    def _note_urls(self, text: str) -> None:
        for match in _URL.finditer(text):
            self._note(match[1].strip("\"'").strip())

    def sheet(self, text: str) -> str:
        """Return a style sheet with its harmless rules; @media is kept, every other at-rule is dropped."""
        text = _plain(text[:MAX_CSS])
        out: list[str] = []
        self._rules(text, out, 0)
        return "\n".join(out)

    def _rules(self, text: str, out: list[str], level: int) -> None:
        position = 0
        while position < len(text):
            brace = text.find("{", position)
            semicolon = text.find(";", position, brace if brace >= 0 else len(text))
            head = text[position : brace if brace >= 0 else len(text)].strip()
            if semicolon >= 0 and head.startswith("@"):
                self._note_imports(text[position:semicolon])
                position = semicolon + 1
                continue
            if brace < 0:
                self._note_imports(text[position:])
                return
            end = _closing(text, brace)
            self._rule(head.lstrip("; }"), text[brace + 1 : end], out, level)
            position = end + 1

    def _rule(self, head: str, block: str, out: list[str], level: int) -> None:
        head = _COLLAPSE.sub(" ", head).strip()
        if head.startswith("@"):
            if not level and _MEDIA.fullmatch(head):
                inner: list[str] = []
                self._rules(block, inner, 1)
                if inner:
                    out.append(f"{head} {{\n" + "\n".join(inner) + "\n}")
            else:
                self._note_urls(block)
            return
        declarations = self.declarations(block)
        if declarations and _SELECTOR.fullmatch(head) and _balanced(head):
            out.append(f"{head} {{ {declarations} }}")

    def _note_imports(self, text: str) -> None:
        if "@import" in text.lower():
            for url in re.findall(r"(?i)(?:https?:)?//[^\s\"');]{1,2000}", text):
                self._note(url)


def _plain(text: str) -> str:
    """Return the text without comments, with escapes undone so that nothing hides in them."""
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    return _COMMENT.sub("", text).replace("\\", "")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        number = int(match[1], 16)
        return chr(number) if 32 <= number < 0xD800 or 0xE000 <= number < 0x110000 else " "
    return match[2] if match[2] not in "\r\n\f" else ""


def _allowed_property(name: str) -> bool:
    if name in _EXACT:
        return True
    return bool(_PROPERTY.fullmatch(name)) and name.startswith(_PREFIXES) and "behavior" not in name


def _split(text: str, mark: str) -> list[str]:
    """Split at `mark` outside of quotes and parentheses (which end with the text at the latest)."""
    if '"' not in text and "'" not in text and "(" not in text:
        return text.split(mark)
    pieces, start, depth, quote = [], 0, 0, ""
    for match in re.finditer(r"[\"'();]", text):
        sign = match[0]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth = max(0, depth - 1)
        elif sign == mark and not depth:
            pieces.append(text[start : match.start()])
            start = match.end()
    pieces.append(text[start:])
    return pieces


def _closing(text: str, brace: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, brace):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return match.start()
    return len(text)


def _balanced(head: str) -> bool:
    return (
        head.count("(") == head.count(")")
        and head.count("[") == head.count("]")
        and not head.count('"') % 2
        and not head.count("'") % 2
    )
