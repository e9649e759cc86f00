"""The messages that the drivers' contract sends through every server."""

from __future__ import annotations

import base64
from email import message_from_bytes

from tests.drivers.worlds import World


def mail(number: int, text: str = "hello") -> bytes:
    """A small message."""
    return (
        f"From: Ida <ida@example.org>\r\nMessage-ID: <m{number}@example.org>\r\n"
        f"Subject: Number {number}\r\n\r\n{text} {number}\r\n"
    ).encode()


ATTACHMENT = bytes(range(256)) * 3000


def mail_with_attachment() -> bytes:
    """A text, a HTML and a big attachment, nested."""
    body = base64.encodebytes(ATTACHMENT).replace(b"\n", b"\r\n")
    return (
        b"From: Ida <ida@example.org>\r\nMessage-ID: <big@example.org>\r\nSubject: Plans\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed;\r\n boundary="outer"\r\n\r\n--outer\r\n'
        b'Content-Type: multipart/alternative; boundary="inner"\r\n\r\n--inner\r\n'
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Die Pl=C3=A4ne\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hi</p>\r\n--inner--\r\n"
        b'--outer\r\nContent-Type: application/pdf; name="plan.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="plan.pdf"\r\n\r\n' + body + b"\r\n--outer--\r\n"
    )


def same(raw: bytes, world: World) -> object:
    """The source, or what must survive where a server makes it anew: identity, subject, the last text and the files."""
    if world.keeps_bytes:
        return raw
    parsed = message_from_bytes(raw)
    leaves = [one for one in parsed.walk() if not one.is_multipart()]
    texts = [one.get_payload(decode=True).strip() for one in leaves if one.get_content_maintype() == "text"]  # type: ignore[union-attr]
    files = [(one.get_filename(), one.get_payload(decode=True)) for one in leaves if one.get_filename()]
    return parsed["Message-ID"], parsed["Subject"], texts[-1:], files
