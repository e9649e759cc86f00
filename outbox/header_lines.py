"""Header fields of a letter as bytes: folded, encoded, impossible to break out of. Pure.

Invariants: no field holds a CR or LF but its own folding; every line is ASCII and at most 998 octets (RFC 5322 2.1.1),
encoded-word lines at most 76 (RFC 2047 2); only an address whose mailbox name is not ASCII makes a line UTF-8 (RFC 6532).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.header import Header
from urllib.parse import quote

from base.addresses import clean_line, is_valid, normalise_domain

LINE_MOST = 76
NAME_MOST = 200  # characters of a file name
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\- ]+")
_ID = re.compile(r"[!-;=?-~]{1,900}")  # printable ASCII without blanks and <>
_MAILBOX = re.compile(r"[^\s\x00-\x20\x7f-\x9f\"(),:;<>\[\]\\@\u2028\u2029]+@[^\s\x00-\x20\x7f<>@,;\u2028\u2029]+")
_UNSAFE = re.compile(r"[\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


class Unwritable(ValueError):
    """The letter cannot be written; the message says why, in words fit for a person."""


def text_field(name: str, value: str) -> bytes:
    """An unstructured field (Subject).

    Written by email.header alone: EmailMessage of Python 3.11 loses a blank between two encoded words when it folds.
    """
    value = clean_line(value, 1000)
    if not value:
        return f"{name}: \r\n".encode()
    if value.isascii() and "=?" not in value and max(map(len, value.split(" "))) < LINE_MOST - len(name) - 2:
        return _fold(name, value.split(" "), " ")
    return f"{name}: {_words(value, len(name) + 2)}\r\n".encode("ascii")


def _words(value: str, used: int) -> str:
    """Encoded words (RFC 2047) with folding; `used` columns of the first line are taken."""
    safe = value.encode("utf-8", "replace").decode("utf-8")
    return str(Header(safe, "utf-8", maxlinelen=LINE_MOST, header_name="x" * max(0, used - 2)).encode(linesep="\r\n"))


def _fold(name: str, words: Sequence[str], joint: str) -> bytes:
    lines, line = [], f"{name}:"
    for number, word in enumerate(words):
        piece = word + (joint.rstrip() if number < len(words) - 1 else "")
        if len(line) + 1 + len(piece) > LINE_MOST and line.strip() and number and piece.strip():
            lines.append(line)
            line = ""
        line += f" {piece}"
    return ("\r\n".join([*lines, line]) + "\r\n").encode("utf-8")


def address_field(name: str, pairs: Iterable[tuple[str, str]]) -> bytes:
    """A list of mailboxes, one a line. Raises Unwritable for what is not exactly one address."""
    mailboxes = [mailbox(display, address) for display, address in pairs]
    return (f"{name}: " + ",\r\n ".join(mailboxes) + "\r\n").encode("utf-8")


def mailbox(display: str, address: str) -> str:
    """One mailbox as it stands in a header, folding inside allowed."""
    written = wire_form(address)
    display = clean_line(_UNSAFE.sub("", display), 200)
    if not display or display == address:
        return written
    if not display.isascii() or "=?" in display:
        return f"{_words(display, 12)}\r\n <{written}>"
    if not _ATOMS.fullmatch(display):
        display = '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'
    joint = " " if len(display) + len(written) < LINE_MOST - 12 else "\r\n "
    return f"{display}{joint}<{written}>"


def wire_form(address: str) -> str:
    """The address as header and envelope write it: the mailbox name as typed, the domain in A-labels (RFC 5890).

    Raises Unwritable. A mailbox name that is not ASCII stays as it is and needs SMTPUTF8.
    """
    address = address.strip()
    local, _, domain = address.rpartition("@")
    ascii_domain = normalise_domain(domain)
    if not is_valid(address) or not ascii_domain:
        raise Unwritable(f"“{clean_line(address, 100)}” is not an email address.")
    if local.startswith('"') and local.endswith('"') and local.isascii() and local.isprintable():
        return f"{local}@{ascii_domain}"
    if not _MAILBOX.fullmatch(f"{local}@{ascii_domain}") and not ascii_domain.startswith("["):
        raise Unwritable(f"“{clean_line(address, 100)}” cannot be written as an address.")
    if "<" in local or ">" in local or any(character.isspace() for character in local):
        raise Unwritable(f"“{clean_line(address, 100)}” cannot be written as an address.")
    return f"{local}@{ascii_domain}"


def id_field(name: str, ids: Sequence[str]) -> bytes:
    """Message-ID, In-Reply-To or References: one id a line; ids that could break the field are left out; b"" if none."""
    good = [one for one in (raw.strip().strip("<>") for raw in ids) if _ID.fullmatch(one)]
    if not good:
        return b""
    return (f"{name}: " + "\r\n ".join(f"<{one}>" for one in good) + "\r\n").encode("ascii")


def file_parameters(name: str) -> list[str]:
    """filename parameters of Content-Disposition (RFC 2183, RFC 2231): plain where it can be, else in numbered pieces."""
    name = clean_line(_UNSAFE.sub("", name), NAME_MOST) or "attachment"
    if name.isascii() and len(name) <= 60 and not re.search(r"[\"\\\x00-\x1f\x7f%*']", name):
        return [f'filename="{name}"']
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    if len(encoded) <= 55:
        return [f"filename*=utf-8''{encoded}"]
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,18}", encoded)
    return [
        f"filename*{n}*={chr(39).join(['utf-8', '', '']) if not n else ''}{piece}" for n, piece in enumerate(pieces)
    ]


def parametrised(name: str, value: str, parameters: Sequence[str]) -> bytes:
    """A field with parameters, each on a line of its own."""
    return ";\r\n ".join([f"{name}: {value}", *parameters]).encode("ascii") + b"\r\n"
