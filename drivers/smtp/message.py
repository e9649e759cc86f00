"""What leaves on the line: addresses and message bytes made safe for SMTP. Pure.

Invariant: nothing that passes `wire_address` or `wire_message` can hold a command of its own (no CR, LF, NUL, `<`, `>`
in an address; no bare CR or LF and no NUL in a message, RFC 5321 2.3.8 and 4.1.1.4), so no mail is smuggled in a mail.
"""

from __future__ import annotations

import email
import email.generator
import email.policy
import io
import re
from dataclasses import dataclass

HEADER_LOOK = 64 * 1024  # octets in which a header field of ours is looked for
ADDRESS_LIMIT = 320  # octets: 64 + @ + 255 (RFC 5321 4.5.3.1)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f<>\u2028\u2029]")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MESSAGE_ID = re.compile(rb"(?im)^Message-ID:[ \t]*(?:\r?\n[ \t]+)?<([!-;=?-~]{3,300})>[ \t]*\r?$")
_DOT = re.compile(rb"(?m)^\.")


class Unsendable(ValueError):
    """The text cannot travel by SMTP; the message says why, in words fit for a person."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes ready for DATA: lines end in CR LF, dots doubled, final dot not included."""

    body: bytes
    has_8bit: bool
    needs_utf8: bool


def wire_address(address: str, *, utf8: bool) -> bytes:
    """`address` for the inside of `<…>`; "" is the null sender.

    `utf8`: the server takes SMTPUTF8 (RFC 6531). Without it a non-ASCII domain is written in its A-label form and a
    non-ASCII mailbox name raises Unsendable, as does anything that could end the command.
    """
    if _FORBIDDEN.search(address):
        raise Unsendable("The address holds a character that no address may hold.")
    if address and ("@" not in address.strip("@")):
        raise Unsendable("This is not a whole address.")
    try:
        if address.isascii() or not utf8:
            name, at, domain = address.rpartition("@")
            encoded = name.encode("ascii") + at.encode("ascii") + _ascii_domain(domain)
        else:
            encoded = address.encode("utf-8")
    except UnicodeError:
        raise Unsendable("The server does not take addresses with these letters (no SMTPUTF8).") from None
    if len(encoded) > ADDRESS_LIMIT:
        raise Unsendable("The address is too long.")
    return encoded


def envelope_id(raw: bytes) -> str:
    """The mail's Message-ID as ENVID takes it (RFC 3461 4.4: xtext, 100 characters before encoding); "" without a fit one."""
    found = _MESSAGE_ID.search(raw[:HEADER_LOOK].replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n")
    if found is None or len(found[1]) > 100:
        return ""
    return "".join(f"+{byte:02X}" if byte in b"+=" else chr(byte) for byte in found[1])


def _ascii_domain(domain: str) -> bytes:
    return domain.encode("ascii") if domain.isascii() else domain.encode("idna")


def wire_message(raw: bytes, *, allow_8bit: bool) -> Wire:
    """`raw` (RFC 5322 bytes, any line ends) made ready for DATA.

    Lone LF become CR LF. A lone CR in the header raises Unsendable (it would begin a header that the writer did not
    see); in the body it becomes CR LF. NUL raises Unsendable. `allow_8bit` False: 8-bit parts are re-encoded as
    base64 or quoted-printable (RFC 6152 3), the header is left alone. `needs_utf8`: the header itself is not ASCII.
    """
    if b"\0" in raw:
        raise Unsendable("The message holds a NUL byte.")
    header = _header_of(raw)
    if b"\r" in header.replace(b"\r\n", b""):
        raise Unsendable("The header of the message holds a bare carriage return.")
    needs_utf8 = not header.isascii()
    if not allow_8bit and not needs_utf8 and not raw.isascii():
        try:
            raw = _seven_bit(raw)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Unsendable("The server takes seven bits only, and this message cannot be written so.") from None
    body = _LINE_END.sub(b"\r\n", raw)
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    return Wire(_DOT.sub(b"..", body), has_8bit=not raw.isascii(), needs_utf8=needs_utf8)


def _header_of(raw: bytes) -> bytes:
    end = re.search(rb"\r\n\r\n|\n\n|\n\r\n", raw)
    return raw[: end.start()] if end else raw


def _seven_bit(raw: bytes) -> bytes:
    policy = email.policy.compat32.clone(cte_type="7bit", max_line_length=None)
    out = io.BytesIO()
    email.generator.BytesGenerator(out, mangle_from_=False, policy=policy).flatten(email.message_from_bytes(raw))
    return out.getvalue()
