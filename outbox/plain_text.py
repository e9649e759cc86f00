"""A letter's HTML as the plain text that a person would have typed, and text made ready to flow (RFC 3676). Pure.

Invariants: every word is kept, links keep their target; linear time; the flowed form gives the same text back.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mail.html_text import has_many_attributes, html_to_text

WIDTH = 74  # columns of a flowed line
DEEPEST = 200
TAGS_MOST = 20_000
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLOCKS = {
    "p", "div", "section", "article", "header", "footer", "main", "center", "address", "figure", "form", "fieldset",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "tr", "dl", "dt", "dd", "ul", "ol", "li", "blockquote", "pre", "hr",
}  # fmt: skip
_SPACED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table"}
_DROPPED = {"script", "style", "head", "title", "noscript", "template", "svg", "math", "iframe", "object", "-comment"}


def html_to_plain(html: str) -> str:
    """The HTML as text: lists with marks, quotes with ">", links with their target, tables line by line. Never raises."""
    if not html.strip():
        return ""
    if html.count("<") > TAGS_MOST or has_many_attributes(html):
        return html_to_text(html)
    try:
        tree = LexborHTMLParser(html)
        writer = _Writer()
        if tree.body is not None:
            writer.children(tree.body, 0)
        return writer.text()
    except (ValueError, RuntimeError, RecursionError):
        return html_to_text(html)


class _Writer:
    """Lines in the making; `prefix` stands before each line of the block that is open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = ""
        self.prefix = ""
        self.mark = ""  # of a list item, written once
        self.is_pre = False
        self.lists: list[int | None] = []

    def text(self) -> str:
        self.end_line()
        text = "\n".join(line.rstrip() for line in self.lines)
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"

    def end_line(self, *, even_empty: bool = False) -> None:
        if self.line.strip() or even_empty or self.mark.strip():
            first = self.prefix[: len(self.prefix) - len(self.mark)] + self.mark if self.mark else self.prefix
            self.lines.append((first + self.line.strip(" ")) if not self.is_pre else self.prefix + self.line)
            self.mark = ""
        self.line = ""

    def gap(self) -> None:
        self.end_line()
        if self.lines and self.lines[-1].strip(" >") and not self.lists:
            self.lines.append(self.prefix.rstrip())

    def children(self, node: LexborNode, depth: int) -> None:
        child = node.child
        while child is not None:
            self.node(child, depth + 1)
            child = child.next

    def node(self, node: LexborNode, depth: int) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self.words(node.text_content or "")
        elif tag in _DROPPED:
            return
        elif depth > DEEPEST:
            self.words(node.text(deep=True))
        elif tag in _BLOCKS:
            self.block(node, tag, depth)
        else:
            self.inline(node, tag, depth)

    def words(self, text: str) -> None:
        if self.is_pre:
            first, *rest = text.replace("\r\n", "\n").split("\n")
            self.line += first
            for line in rest:
                self.end_line(even_empty=True)
                self.line = line
            return
        text = _SPACE.sub(" ", text.replace("\u00a0", " "))
        self.line += text[1:] if text.startswith(" ") and (not self.line or self.line.endswith(" ")) else text

    def inline(self, node: LexborNode, tag: str, depth: int) -> None:
        if tag == "br":
            self.end_line(even_empty=True)
        elif tag == "img":
            self.words(f"[{alt}]" if (alt := _SPACE.sub(" ", node.attributes.get("alt") or "").strip()) else "")
        elif tag == "a":
            start = len(self.line)
            self.children(node, depth)
            self.target((node.attributes.get("href") or "").strip(), self.line[start:].strip())
        elif tag in ("td", "th"):
            if self.line.strip():
                self.line = self.line.rstrip() + "   "
            self.children(node, depth)
        else:
            self.children(node, depth)

    def target(self, href: str, shown: str) -> None:
        if not re.match(r"(?i)(?:https?://|mailto:|tel:)\S+\Z", href):
            return
        plain = re.sub(r"(?i)^(?:mailto:|tel:|https?://)", "", href).rstrip("/")
        if plain.lower() not in shown.lower():
            self.line += f" <{re.sub('(?i)^mailto:', '', href)}>"

    def block(self, node: LexborNode, tag: str, depth: int) -> None:
        if tag == "hr":
            self.gap()
            self.line = "-" * 40
            self.gap()
            return
        self.gap() if tag in _SPACED else self.end_line()
        if tag in ("blockquote", "li", "ul", "ol", "pre"):
            self.marked(node, tag, depth)
        else:
            self.children(node, depth)
        self.gap() if tag in _SPACED else self.end_line()

    def marked(self, node: LexborNode, tag: str, depth: int) -> None:
        before, lists = self.prefix, self.lists
        if tag == "blockquote":
            quotes = re.match(r"(?:> ?)*", before)
            if quotes and quotes.end() == len(before):
                self.prefix = before.replace(" ", "") + "> "
            else:
                self.prefix = before + "> "
            self.lists = []
            self.children(node, depth)
        elif tag == "pre":
            self.is_pre = True
            self.children(node, depth)
            self.end_line()
            self.is_pre = False
        elif tag == "li":
            number = self.lists[-1] if self.lists else None
            self.mark = f"{number}. " if number is not None else "- "
            self.prefix = before + " " * len(self.mark)
            if self.lists and number is not None:
                self.lists[-1] = number + 1
            self.children(node, depth)
            self.end_line()
            self.mark = ""
        else:
            self.lists = [*lists, 1 if tag == "ol" else None]
            self.children(node, depth)
        self.end_line()
        self.prefix, self.lists = before, lists
        while tag == "blockquote" and self.lines and self.lines[-1] and not self.lines[-1].strip(" >"):
            self.lines.pop()  # the empty line at the end of a quote stands outside of it


def flow(text: str) -> str:
    """The text as format=flowed (RFC 3676 4.2): long lines broken with a blank before the break, quotes kept at their depth.

    Lines end in LF. Unquoted lines that begin with a blank, ">" or "From " get a blank in front (space-stuffing).
    """
    out: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        quotes = re.match(r"(?:> ?)*>|", line)
        depth = quotes[0].count(">") if quotes else 0
        rest = line[quotes.end() if quotes else 0 :]
        rest = rest[1:] if depth and rest.startswith(" ") else rest
        signature = rest == "-- "
        out.extend(_flowed(rest if signature else rest.rstrip(" "), ">" * depth))
    return "\n".join(out)


def _flowed(line: str, quotes: str) -> list[str]:
    stuffed = " " if quotes or line.startswith((" ", ">", "From ")) else ""
    out: list[str] = []
    while len(line) > WIDTH:
        at = line.rfind(" ", 1, WIDTH)
        at = line.find(" ", WIDTH) if at < 0 else at
        if at < 0 or not line[at + 1 :].strip():
            break
        piece, line = line[: at + 1], line[at + 1 :]
        out.append(quotes + stuffed + piece)
        stuffed = " " if quotes or line.startswith((" ", ">", "From ")) else ""
    out.append((quotes + stuffed + line) if line else quotes)
    return out
