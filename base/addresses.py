"""Email addresses: one form for matching, tolerant reading of address headers, and nothing that lies.

Invariants: every function takes any string and returns in linear time; an address that is not certainly one mailbox
is no address at all ("" instead of a guess, CVE-2023-27043); nothing returned holds CR, LF or NUL.
"""

from __future__ import annotations

import re
from functools import lru_cache

import idna
import tldextract

MAX_ADDRESS = 320  # characters; RFC 5321 4.5.3.1 allows 64 + 1 + 255
MAX_HEADER = 256 * 1024  # characters of one address header that are read
MAX_ADDRESSES = 2000  # mailboxes read from one header
MAX_NAME = 300  # characters kept of a display name

_ATEXT = r"[^\s\"()<>\[\]:;@\\,\x00-\x20\x7f]"
_DOT_ATOM = re.compile(_ATEXT + "+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|ipv6:[0-9a-f:.]{2,45})\]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\Z', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)

_WORD = r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\r\n]{0,1000}\?="
_TOKEN = re.compile(_WORD + r'|"[^"\\]*(?:\\.[^"\\]*)*"|[^"()<>,;:=]+|.', re.S)
_TOKEN_NO_QUOTES = re.compile(_WORD + r"|[^()<>,;:=]+|.", re.S)
_SIMPLE = re.compile(r'\s*(?:"([^"\\<>@]*)"|([^"\\()<>,;:@]*?))\s*<([^\s"\\()<>,;:@]+@[A-Za-z0-9.-]+)>\s*')
_BARE = re.compile(r'\s*([^\s"\\()<>,;:@]+@[A-Za-z0-9.-]+)\s*')

# The list that ships with the library; it is never fetched. Private suffixes (github.io, blogspot.com) count:
# two tenants of one host are not one company.
_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def load_suffixes() -> None:
    """Read the public suffix list now (0.1 s): else the first look at a domain waits for it."""
    registrable_domain("mail.example")


def clean_line(text: str, limit: int = 1000) -> str:
    """Return `text` as one safe line of at most `limit` characters: no CR, LF, NUL, other control or lone surrogate.

    Safe as a header value, an IMAP string and a database value.
    """
    text = text[: limit * 4]
    if text.isascii() and text.isprintable():  # most are: nothing to look for
        return text.strip()[:limit].rstrip() if len(text) > limit else text.strip()
    text = _CONTROLS.sub(" ", text)
    return _SURROGATES.sub("\ufffd", text).strip()[:limit].rstrip()


@lru_cache(maxsize=32768)
def normalise_domain(domain: str) -> str:
    """Return the domain in its one form (lower-case ASCII, A-labels, no final dot), "" if it is none.

    Accepts address literals ([192.0.2.1], [IPv6:…]). IDNA 2008 with UTS 46 mapping; IDNA 2003 for the few names that
    only it knows.
    """
    if not domain or len(domain) > 255:
        return ""
    domain = domain.lower().removesuffix(".")
    if domain.startswith("["):
        return domain if _LITERAL.fullmatch(domain) else ""
    if not domain.isascii():
        domain = _to_ascii(domain)
    if not domain or len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        return ""
    return domain


def _to_ascii(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        pass
    try:
        return domain.encode("idna").decode("ascii").lower()
    except (UnicodeError, ValueError, IndexError):
        return ""


def _normalise_local(local: str) -> str:
    if local.startswith('"'):
        quoted = _QUOTED.match(local)
        if not quoted:
            return ""
        local = _ESCAPED.sub(r"\1", quoted[1])
        if _CONTROLS.search(local) or not local:
            return ""
        if not _DOT_ATOM.fullmatch(local):
            return '"' + local.replace("\\", "\\\\").replace('"', '\\"').lower() + '"'
    elif not _DOT_ATOM.fullmatch(local):
        return ""
    if _CONTROLS.search(local) or _SURROGATES.search(local):
        return ""
    return local.lower()


@lru_cache(maxsize=32768)
def normalise_address(text: str) -> str:
    """Return the address in the form used for matching: local part and domain in lower case, the domain in ASCII.

    "" unless the whole of `text` (spaces around it aside) is exactly one address (RFC 5321 Mailbox; RFC 6531 local
    parts in UTF-8 are kept as they are; dots anywhere in the local part are tolerated, some providers hand them out).
    """
    text = text.strip(" \t\r\n")
    if not text or len(text) > MAX_ADDRESS or "@" not in text:
        return ""
    local, _, domain = text.rpartition("@")
    domain = normalise_domain(domain)
    local = _normalise_local(local) if domain else ""
    return f"{local}@{domain}" if local else ""


def is_valid(text: str) -> bool:
    """Return whether `text` is exactly one address, with a local part of at most 64 octets (RFC 5321 4.5.3.1.1)."""
    local, domain = split_address(text)
    return bool(domain) and len(local.encode("utf-8", "replace")) <= 64


def split_address(text: str) -> tuple[str, str]:
    """Return (local part, domain) of the normalised address, ("", "") if it is none."""
    local, _, domain = normalise_address(text).rpartition("@")
    return local, domain


def domain_of(text: str) -> str:
    """Return the normalised domain of an address, "" if it is none."""
    return split_address(text)[1]


@lru_cache(maxsize=32768)
def registrable_domain(domain: str) -> str:
    """Return what somebody registered ("mail.example.co.uk" → "example.co.uk"), "" for suffixes, literals, single labels.

    By the public suffix list that ships with tldextract, private suffixes included; never asks the network. Unknown
    top-level domains count as suffixes of one label (the list's rule "*").
    """
    domain = normalise_domain(domain)
    if not domain or domain.startswith("["):
        return ""
    found = _suffixes(domain)
    if found.domain and found.suffix:
        return f"{found.domain}.{found.suffix}".lower()
    labels = domain.split(".")
    if found.suffix or len(labels) < 2 or labels[-1].isdigit():
        return ""
    return ".".join(labels[-2:])


class _Item:
    """One mailbox of a list while it is read."""

    __slots__ = ("after", "angle", "comments", "has_at_after", "phrase")

    def __init__(self) -> None:
        self.phrase: list[str] = []
        self.angle: str | None = None
        self.after = False
        self.has_at_after = False
        self.comments: list[str] = []

    def add(self, token: str) -> None:
        if self.angle is not None:
            self.after = True
            self.has_at_after = self.has_at_after or "@" in token
        self.phrase.append(token)

    def finish(self) -> tuple[str, str] | None:
        """Return (name, address), None if nothing stood here."""
        name = _phrase(self.phrase)
        comment = clean_line(" ".join(self.comments), MAX_NAME)
        if self.angle is not None:
            address = normalise_address(_route(self.angle))
            if self.has_at_after:  # "<alice@a>bob@b": whose is it?
                address = ""
            if not address and self.angle.strip():
                name = clean_line(f"{name} <{self.angle}>", MAX_NAME)
            return (name or comment, address) if name or comment or address else None
        if not self.phrase:
            return (comment, "") if comment else None
        bare = re.sub(r"\s*([@.])\s*", r"\1", "".join(self.phrase).strip()[: MAX_ADDRESS + 50])
        address = normalise_address(bare.removeprefix("mailto:"))
        if address:
            return comment, address
        return (name, "") if name else None


def _route(angle: str) -> str:
    """Return the address of an angle form without the obsolete route (RFC 5322 4.4) and a mailto: in front."""
    angle = angle.strip()
    if angle.startswith("@") and ":" in angle:
        angle = angle.partition(":")[2]
    return angle.removeprefix("mailto:").strip()


def _phrase(tokens: list[str]) -> str:
    out = []
    for token in tokens:
        if len(token) >= 2 and token[0] == '"' and token[-1] == '"':
            token = _ESCAPED.sub(r"\1", token[1:-1])
        out.append(token)
    text = "".join(out)
    return clean_line(re.sub(r"\s+", " ", text), 4 * MAX_NAME)


def parse_address_list(value: str) -> list[tuple[str, str]]:
    """Return the mailboxes of an address header's value as [(display name, normalised address)].

    Reads RFC 5322 lists, groups (flattened), comments, obsolete routes and the usual breakage. Names are unquoted but
    still hold encoded words (RFC 2047): the caller decodes them after this, never before. Where no certain address
    stood, address is "" and the name holds what stood there. Linear time, at most MAX_ADDRESSES entries.
    """
    if len(value) < 500:
        simple = _SIMPLE.fullmatch(value)
        if simple:
            return [(clean_line(simple[1] or simple[2] or "", 4 * MAX_NAME), normalise_address(simple[3]))]
        bare = _BARE.fullmatch(value)
        if bare:
            return [("", normalise_address(bare[1]))]
    return _Reader(value[:MAX_HEADER]).read()


class _Reader:
    """A single pass over a list's tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[tuple[str, str]] = []
        self.item = _Item()
        self.in_angle: list[str] | None = None
        self.in_group = False
        self.broken_comments = 0

    def read(self) -> list[tuple[str, str]]:
        pattern, position, end = _TOKEN, 0, len(self.text)
        while position < end and len(self.found) < MAX_ADDRESSES:
            if self.text[position] == "(" and self.in_angle is None and self.broken_comments < 3:
                position = self._comment(position)
                continue
            match = pattern.match(self.text, position)
            if not match:  # cannot happen: "." takes anything
                break
            token = match[0]
            position = match.end()
            if token == '"' and pattern is _TOKEN:
                pattern = _TOKEN_NO_QUOTES  # never closed: from here on a quote is a character like others
                continue
            self._take(token)
        self._flush()
        return self.found

    def _comment(self, position: int) -> int:
        """Read a comment, nested ones included; one that never ends counts as a stray parenthesis."""
        depth, start = 0, position
        for match in re.finditer(r"\\.|[()]", self.text[position : position + 2000]):
            if match[0] == "(":
                depth += 1
            elif match[0] == ")":
                depth -= 1
                if not depth:
                    self.item.comments.append(_ESCAPED.sub(r"\1", self.text[start + 1 : start + match.start()]))
                    return start + match.end()
        self.broken_comments += 1  # a few are looked at, not thousands
        self.item.add("(")
        return position + 1

    def _take(self, token: str) -> None:
        if self.in_angle is not None:
            self._take_in_angle(token)
        elif token == "<":
            self.in_angle = []
        elif token in (",", ";"):
            self._flush()
            self.in_group = self.in_group and token != ";"
        elif token == ":" and not self.in_group and "@" not in "".join(self.item.phrase):
            if "".join(self.item.phrase).strip().lower() == "mailto":
                self.item.phrase.clear()
                return
            self.item = _Item()  # the name of a group
            self.in_group = True
        else:
            self.item.add(token)

    def _take_in_angle(self, token: str) -> None:
        assert self.in_angle is not None
        inside = self.in_angle
        if token == ">":
            self._close_angle()
        elif token in (",", ";") and not "".join(inside[:3]).lstrip().startswith("@"):
            self._flush()  # ">" was forgotten
        elif token == "<":
            self._close_angle()
            self.in_angle = []
        elif len(inside) < 50:
            inside.append(token)

    def _close_angle(self) -> None:
        text = "".join(self.in_angle or ())[:1000]
        self.in_angle = None
        if self.item.angle is not None and self.item.angle.strip():
            self.item.phrase.append(f"<{self.item.angle}>")  # the last one is the address, the others are name
        if text.strip() or self.item.angle is None:
            self.item.angle = text
            self.item.has_at_after = False

    def _flush(self) -> None:
        if self.in_angle is not None:
            self._close_angle()
        result = self.item.finish()
        if result:
            self.found.append(result)
        self.item = _Item()
